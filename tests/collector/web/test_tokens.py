"""The palette can be read: contrasts reckoned from tokens.css (WCAG 2.x), and no colour stands anywhere else."""

import re
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[3] / "collector" / "web"
TOKENS = (WEB / "tokens.css").read_text(encoding="utf-8")
TEXT, SHAPE = 4.5, 3.0
PRIORITIES = ("p1", "p2", "p3", "p4")
HEX = re.compile(r"#[0-9a-fA-F]{3,8}\b")
FUNCTION = re.compile(r"\b(?:rgba?|hsla?|oklch|color-mix)\(")


def palette(theme: str) -> dict[str, str]:
    blocks = re.findall(r"([^{}]*)\{([^{}]*)\}", re.sub(r"/\*.*?\*/", "", TOKENS, flags=re.DOTALL))
    block = next(body for head, body in blocks if f"data-theme='{theme}'" in head)
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", block))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_is_the_one_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("behind", ["ground", "panel"])
def test_text_and_shapes_stand_out_from_what_is_behind_them(theme: str, behind: str) -> None:
    colours = palette(theme)
    for name in ("text", "muted", *PRIORITIES):
        assert contrast(colours[name], colours[behind]) >= TEXT, name
    for name in ("unit", "line", "select"):
        assert contrast(colours[name], colours[behind]) >= SHAPE, name


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_an_inverted_row_can_be_read(theme: str) -> None:
    colours = palette(theme)
    for name in PRIORITIES:
        assert contrast(colours["on"], colours[name]) >= TEXT, name


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("row", PRIORITIES)
def test_the_shape_on_an_inverted_row_can_be_read_in_both_halves_of_its_beat(
    theme: str, row: str
) -> None:
    colours = palette(theme)
    colours["own"] = colours[row]
    style = (WEB / "console" / "shell" / "Shape.svelte").read_text(encoding="utf-8")
    rules = re.findall(r"([^{};]+)\{([^{}]*)\}", style.partition("<style>")[2])
    painted = [
        (head.strip(), name)
        for head, body in rules
        if re.search(r"\.(?:inverted|bare|flashing)\b", head)
        for name in re.findall(r"(?:fill|stroke): var\(--([\w-]+)\)", body)
    ]
    assert len(painted) >= 4
    for head, name in painted:
        behind = "on" if head.startswith(".inverted text") else "own"
        assert contrast(colours[name], colours[behind]) >= TEXT, head  # its number is text
    base = (WEB / "console" / "shell" / "base.css").read_text(encoding="utf-8")
    beat = base.partition("@keyframes flash")[2].splitlines()[0]
    assert set(re.findall(r"opacity: ([\d.]+)", beat)) == {"0", "1"}, "half seen is pale"


@pytest.mark.parametrize("verdict", ["red", "amber", "grey", "green"])
def test_a_verdict_can_be_read_in_the_sun(verdict: str) -> None:
    colours = dict(re.findall(r"--(verdict-[\w-]+):\s*(#[0-9a-f]{6})", TOKENS))
    assert contrast(colours[f"verdict-{verdict}-text"], colours[f"verdict-{verdict}"]) >= 6.5


def test_no_colour_is_written_outside_the_palette() -> None:
    for path in (WEB / "console").rglob("*"):
        if path.suffix not in {".svelte", ".css", ".ts"} or path.name.endswith(".test.ts"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            bare = re.sub(r"\{#(?:if|each|await|key|snippet)\b", "", line)
            found = HEX.search(bare) or FUNCTION.search(bare)
            assert not found, f"{path.relative_to(WEB)}:{number}: {line.strip()}"
