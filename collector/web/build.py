"""Builds the console with nothing but Python: a Node from its wheel, the locked packages, checks, Vite.

Law: the result is current or it is built anew; nothing of it is fetched when it is. `dist/.stamp` says of which sources it is.

    python collector/web/build.py              # checks (svelte-check, vitest) and build
    python collector/web/build.py --quick      # build only
    python collector/web/build.py --try 45     # build only, within so many seconds; without success it says so and ends well
    python collector/web/build.py --serve      # Vite's server, proxied to the API ($PLOMBA_API)
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

WEB = Path(__file__).resolve().parent
HOUSE = WEB.parents[1]
ENV = HOUSE / ".venv-web"
DIST = WEB / "dist"
STAMP = DIST / ".stamp"
LOCK = HOUSE / "requirements" / "web.txt"
SOURCES = ("console", "locales", "basemap")
FILES = (
    *("package.json", "package-lock.json", "vite.config.ts", "tsconfig.json", "index.html"),
    "officer/qr.js",
)
STEP_S_MAX = 300.0  # of one step without --try: npm on a slow line


class BuildError(Exception):
    """A step failed; the message says which and what it said last."""


def stamp() -> str:
    """SHA-256 over everything that the result depends on, names included."""
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(f"{path.relative_to(WEB)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_current() -> bool:
    """Whether what lies in `dist` was built from these sources."""
    return STAMP.is_file() and STAMP.read_text(encoding="ascii").strip() == stamp()


def build(*, checks: bool, until: float | None = None) -> None:
    """Make `dist` current. BuildError if that fails, or is not done by `until` (time.monotonic)."""
    if is_current() and not checks:
        return
    _node(until)
    _packages(until)
    if checks:
        _npm(until, "run", "check", "--silent")
        _npm(until, "run", "test", "--silent")
    made_of = stamp()
    _npm(until, "run", "build", "--silent")
    STAMP.write_text(made_of + "\n", encoding="ascii")


def _sources() -> Iterator[Path]:
    for name in (*FILES, "tokens.css"):
        yield WEB / name
    for folder in SOURCES:
        yield from sorted(
            path
            for path in (WEB / folder).rglob("*")
            if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
        )


def _node(until: float | None) -> None:
    """A Node of our own: a wheel brings it, pinned by hash, so that no machine needs one."""
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    mark = ENV / ".ready"
    if mark.is_file() and mark.read_text(encoding="ascii") == wanted:
        return
    python = ENV / "bin" / "python"
    _run([sys.executable, "-m", "venv", "--clear", str(ENV)], until)
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
    _run([str(python), *pip, "--no-deps", "--require-hashes", "-r", str(LOCK)], until)
    mark.write_text(wanted, encoding="ascii")


def _packages(until: float | None) -> None:
    """What the lock names, without anybody's install scripts."""
    wanted = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    mark = WEB / "node_modules" / ".plomba"
    if mark.is_file() and mark.read_text(encoding="ascii") == wanted:
        return
    _npm(until, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    mark.write_text(wanted, encoding="ascii")


def _npm(until: float | None, *arguments: str) -> None:
    _run([str(ENV / "bin" / "npm"), *arguments], until)


def _run(command: Sequence[str], until: float | None) -> None:
    left_s = STEP_S_MAX if until is None else until - time.monotonic()
    if left_s <= 0:
        raise BuildError("the time is over")
    try:
        done = subprocess.run(  # noqa: S603  # our own programs
            command,
            cwd=WEB,
            env=os.environ | {"PATH": f"{ENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"},
            capture_output=True,
            text=True,
            timeout=left_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{' '.join(command[:3])}: not within {left_s:.0f} s") from error
    except OSError as error:
        raise BuildError(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise BuildError("\n".join([f"{' '.join(command)}: exit {done.returncode}", *said[-40:]]))


def _serve() -> int:
    build(checks=False)
    path = f"{ENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    return subprocess.run(  # noqa: S603  # our own program
        [str(ENV / "bin" / "npm"), "run", "dev"],
        cwd=WEB,
        env=os.environ | {"PATH": path},
        check=False,
    ).returncode


def main() -> int:
    """The exit code: 0 if `dist` is current, or if it was only tried; 1 if not."""
    ask = argparse.ArgumentParser(description="Build the console with nothing but Python.")
    ask.add_argument("--quick", action="store_true", help="no checks")
    ask.add_argument("--try", dest="seconds", type=float, help="give up after so long, and go on")
    ask.add_argument("--serve", action="store_true", help="Vite's server for who works on it")
    asked = ask.parse_args()
    begin = time.monotonic()
    if asked.serve:
        return _serve()
    if asked.seconds is not None and is_current():
        return 0
    try:
        until = None if asked.seconds is None else begin + asked.seconds
        build(checks=not asked.quick and asked.seconds is None, until=until)
    except BuildError as error:
        if asked.seconds is None:
            sys.stderr.write(f"{error}\n")
            return 1
        shutil.rmtree(DIST, ignore_errors=True)  # half a console is none
        why = str(error).splitlines()[0]
        sys.stderr.write(f"the console was not built ({why}); all else works, try: make web\n")
        return 0
    sys.stderr.write(f"the console is built, {time.monotonic() - begin:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
