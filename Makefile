# Plomba. A newcomer needs `make demo` and `make test`; each sets up what it needs, with Python 3.11+ and make alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# What was compiled once is kept, whatever the machine says: half of a start is compiling.
export PYTHONDONTWRITEBYTECODE :=
.PHONY: help setup demo test long check live bench lock clean web web-dev web-try
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked packages into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . 2>/dev/null
	@touch $@

setup: $(READY) ## a virtual environment with the locked packages

# Both at once: the console is built, if it can be, while the packages are installed. Its bound is its own: no network, no console.
demo: ## three simulated trucks, broker, collector and console, live
	@$(MAKE) --no-print-directory -j2 $(READY) web-try
	@$(BIN)/plomba demo $(ARGS)

web: ## the console: a Node of its own, checks, build
	$(PYTHON) collector/web/build.py

web-dev: ## Vite's server for who works on the console, proxied to the API
	$(PYTHON) collector/web/build.py --serve

web-try:
	@$(PYTHON) collector/web/build.py --try 45

test: $(READY) ## the tests that need nothing but Python
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not live and not slow and not long" $(ARGS)

# Collecting all ten thousand takes half a minute: only the files are read that have such a test, or those that ARGS names.
MARKED = $(if $(findstring tests/,$(ARGS)),,$(shell grep -rl --include=*.py 'mark\.$(1)\b' tests))
long: $(READY) ## those that take a second or more each
	$(BIN)/python -m pytest -n auto --dist worksteal -m long $(ARGS) $(call MARKED,long)

check: $(READY) ## everything a commit must pass
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n auto --dist worksteal

# Real things take real time: a dump of the stacks after a minute would be no news, and four tests wait side by side: they mostly wait.
LIVE ?= -n 4 --dist loadscope
live: $(READY) ## tests with real brokers, ptys and gpsd (.ci/run installs what they need)
	$(BIN)/python -m pytest -m live -o faulthandler_timeout=300 $(LIVE) $(ARGS) $(call MARKED,live)

bench: $(READY) ## the numbers, as ratios against a baseline in the same run
	$(BIN)/plomba bench wire
	$(BIN)/plomba bench outbox
	$(BIN)/plomba bench ingest
	$(BIN)/plomba bench drill --seconds 20 --kills 10

lock: $(READY) ## resolve pyproject.toml anew into requirements/*.txt
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-strip-extras \
	  requirements/web.in -o requirements/web.txt
	set -e; for extra in agent collector sim llrp oracles; do $(BIN)/uv pip compile -q --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-strip-extras --extra $$extra pyproject.toml -o requirements/$$extra.txt; done
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-strip-extras \
	  --extra agent --extra collector --extra sim --extra dev pyproject.toml -o requirements/dev.txt

clean: ## forget the environment and all caches
	rm -rf $(VENV) .venv-web collector/web/node_modules collector/web/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache var
