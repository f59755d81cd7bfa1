"""The console's folders keep their walls (STYLE section 6), and nothing in it would be stopped by its own CSP."""

import re
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[3] / "collector" / "web"
CONSOLE = WEB / "console"
SHARED = {"lib", "shell", "live", "map"}  # the rest are screens
FILES = sorted(
    path
    for path in CONSOLE.rglob("*")
    if path.suffix in {".ts", ".svelte"} and not path.name.endswith(".test.ts")
)
IMPORT = re.compile(r"(?:from|import)\s*\(?\s*'([^']+)'")


def text_of(path: Path) -> str:
    """The file without its remarks."""
    bare = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"(?m)(?<!:)//.*$", "", bare)


def folder_of(path: Path) -> str:
    return path.relative_to(CONSOLE).parts[0]


def imports(path: Path) -> list[str]:
    return IMPORT.findall(text_of(path))


def target(path: Path, name: str) -> str | None:
    """The folder of the console that an import leads to."""
    if not name.startswith("."):
        return None
    to = (path.parent / name.partition("?")[0]).resolve()
    return to.relative_to(CONSOLE).parts[0] if to.is_relative_to(CONSOLE) else None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONSOLE)))
def test_a_file_keeps_the_walls_of_its_folder(path: Path) -> None:
    here, text = folder_of(path), text_of(path)
    for name in imports(path):
        to = target(path, name)
        if here not in SHARED and path.parent != CONSOLE:
            assert to in {None, here, *SHARED}, f"a screen imports another: {name}"
        if here == "lib":
            assert to in {None, "lib"}, f"lib is the lowest: {name}"
            assert not name.startswith("svelte"), name
        if name.startswith("maplibre-gl"):
            assert here == "map", "only map/ knows MapLibre"
    if here == "lib":
        for word in ("document.", "window.", "fetch(", "Date.now", "performance.", "localStorage"):
            assert word not in text, f"lib is pure: {word}"
    if here != "live":
        for word in ("EventSource(", "SharedWorker(", "WebSocket("):
            assert word not in text, "live/ holds the only open connection"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONSOLE)))
def test_nothing_is_written_that_the_policy_refuses(path: Path) -> None:
    text = text_of(path)
    assert "{@html" not in text
    assert not re.search(r"\bstyle\s*=\s*[\"'{]", text), "style=... is inline: use style:name"
    assert not re.search(r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write)\b", text)
    assert not re.search(r"\b(?:eval|Function)\(", text)
    assert not re.search(r"https?://", text.replace("http://www.w3.org/2000/svg", "")), (
        "an address outside"
    )


def test_the_page_itself_has_no_inline_script_or_style() -> None:
    page = (WEB / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert "<style" not in page
    assert not re.search(r"\son\w+=", page)


def test_the_lock_names_no_registry_and_every_package_is_pinned() -> None:
    lock = (WEB / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert "://" not in lock, "take away `funding` too: nobody is asked for money by a lock"
    assert "registry" not in lock
    package = (WEB / "package.json").read_text(encoding="utf-8")
    assert not re.search(r'"[~^>*]', package)
