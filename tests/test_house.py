"""Each room has its test and its place on the map; the laws bite; samples load."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[1]
MAP = (HOUSE / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
PACKAGES = ("wire", "devices", "agent", "collector", "firmware_sim")


def rooms() -> list[tuple[str, str]]:
    """(package, room) of every module and package that stands directly in a program."""
    found = []
    for package in PACKAGES:
        for path in sorted((HOUSE / package).iterdir()):
            name = path.stem
            is_room = (path.suffix == ".py" and not name.startswith("__")) or (
                path / "__init__.py"
            ).exists()
            if is_room:
                found.append((package, name))
    return found


def is_built(package: str, room: str) -> bool:
    path = HOUSE / package / room
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return any(
        re.search(r"^(def|class|async def) ", file.read_text(encoding="utf-8"), re.MULTILINE)
        for file in files
    )


@pytest.mark.parametrize(("package", "room"), rooms())
def test_every_room_stands_on_the_map(package: str, room: str) -> None:
    section = MAP.split(f"## {package}", 1)[1].split("\n## ", 1)[0]
    assert f"`{room}" in section or package == "firmware_sim", (
        f"docs/ARCHITECTURE.md does not name {package}/{room}"
    )


@pytest.mark.parametrize(("package", "room"), rooms())
def test_every_built_room_has_its_test(package: str, room: str) -> None:
    if not is_built(package, room) or package == "firmware_sim":  # the witness is tested as one
        return
    tests = [
        path
        for path in (HOUSE / "tests").rglob("test_*.py")
        if package in path.parts or "live" in path.parts
    ]
    imported = re.compile(rf"\b{package}\.{room}\b|from {package} import .*\b{room}\b")
    assert any(imported.search(path.read_text(encoding="utf-8")) for path in tests), (
        f"no test imports {package}.{room}"
    )


@pytest.mark.parametrize(
    "path", sorted(HOUSE.glob("[!.]*/**/*.py")), ids=lambda path: str(path.relative_to(HOUSE))
)
def test_every_room_begins_with_its_law(path: Path) -> None:
    if path.relative_to(HOUSE).parts[0] in ("build", "tests"):
        return
    text = path.read_text(encoding="utf-8")
    assert text.lstrip().startswith('"""'), f"{path.relative_to(HOUSE)} begins without a docstring"


def test_locks_name_no_registry() -> None:
    for lock in (HOUSE / "requirements").glob("*.txt"):
        assert "://" not in lock.read_text(encoding="utf-8"), lock.name


def imported_by(package: str) -> set[str]:
    """Top names of all modules that a package imports, wherever it does."""
    found: set[str] = set()
    for file in (HOUSE / package).rglob("*.py"):
        if "node_modules" in file.parts or (package, "web") == file.relative_to(HOUSE).parts[:2]:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found.update(name.name.split(".")[0] for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize(
    ("lock", "packages", "optional"),
    [
        ("agent", ("agent", "devices", "wire"), {"sllurp"}),  # under the GPL: see its extra
        ("collector", ("collector", "devices", "wire", "plomba"), set()),
    ],
)
def test_what_a_program_imports_is_installed_with_it(
    lock: str, packages: tuple[str, ...], optional: set[str]
) -> None:
    text = (HOUSE / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==", text, re.MULTILINE))
    ours = {path.name for path in HOUSE.iterdir() if path.is_dir()}
    named = set().union(*map(imported_by, packages)) - ours - sys.stdlib_module_names
    distributions = packages_distributions()
    missing = {
        module
        for module in named - optional
        if not {name.lower().replace("_", "-") for name in distributions.get(module, [])} & locked
    }
    assert not missing, f"requirements/{lock}.txt installs none of {missing}: see pyproject.toml"


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pages = "\n".join(
        page.read_text(encoding="utf-8") for page in (HOUSE / "docs" / "decisions").glob("*.md")
    ).lower()
    for extra, packages in project["optional-dependencies"].items():
        for requirement in packages:
            name = re.split(r"[<>=;\[ ]", requirement)[0].lower()
            assert name in pages, f"docs/decisions says nothing of {name} ([{extra}])"


def test_checks_are_loosened_only_with_a_reason() -> None:
    loosened = re.compile(r"#\s*(?:noqa|type: ignore|pragma: no cover).*$")
    with_reason = re.compile(
        r"#\s*(?:noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|type: ignore\[[a-z-]+(?:, ?[a-z-]+)*\])\s+(?:[#-]\s+)?\S.{3,}"
    )
    for path in HOUSE.glob("[!.]*/**/*.py"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = loosened.search(line)
            if match and path != Path(__file__).resolve():
                assert with_reason.match(match.group()), (
                    f"{path.relative_to(HOUSE)}:{number}: {match.group()}"
                )
