"""Every sentence of the console is said somewhere, and whatever it says has a sentence."""

import json
import re
from pathlib import Path

from collector.alerts import MARKS, Event
from collector.cases import CaseEvent
from collector.people.authorize import RIGHTS, Kept

WEB = Path(__file__).resolve().parents[3] / "collector" / "web"
ACTS = (WEB / "console" / "audit" / "audit.ts").read_text(encoding="utf-8")
ACTS = ACTS.partition("ACTS: readonly")[2].partition("];")[0]
EN = json.loads((WEB / "locales" / "en.json").read_text(encoding="utf-8"))
SOURCE = "\n".join(
    path.read_text(encoding="utf-8")
    for path in (WEB / "console").rglob("*")
    if path.suffix in {".ts", ".svelte"} and not path.name.endswith(".test.ts")
)
# first words of the keys that the console alone says; the others are shared with Python
OURS = {
    *(
        "act",
        "admin",
        "audit",
        "did",
        "dir",
        "enter",
        "error",
        "evidence",
        "fence",
        "help",
        "key",
        "kpi",
        "login",
        "map",
        "nav",
        "narrow",
        "outcome",
    ),
    *("handover", "place", "room", "screen", "setup", "stale", "strip", "truck"),
}
FORMS = re.compile(r"_(?:one|few|many|other)$")
LITERAL = re.compile(r"'([a-z]+\.[a-zA-Z_.-]+)'")
STEM = re.compile(r"`([a-z]+\.(?:[a-z]+\.)?)\$\{")


def test_no_sentence_of_the_console_is_left_over() -> None:
    said, stems = set(LITERAL.findall(SOURCE)), tuple(set(STEM.findall(SOURCE)))
    left = {
        key
        for key in (FORMS.sub("", name) for name in EN)
        if key.split(".")[0] in OURS and key not in said and not key.startswith(stems)
    }
    assert left == set()


def test_whatever_the_console_says_has_its_sentence() -> None:
    keys = {FORMS.sub("", name) for name in EN}
    asked = {key for key in LITERAL.findall(SOURCE) if key.split(".")[0] in OURS}
    assert asked - keys == set()
    assert len(asked) > 80


def test_whatever_is_done_to_an_alert_has_its_word() -> None:
    acts = {"raise", "case", "confirmed", "withdrawn", *MARKS}
    acts |= {one.value for one in (*Event, *CaseEvent)}
    assert {f"did.{act}" for act in acts} - set(EN) == set()


def test_the_control_room_says_nothing_that_comes_later_with_the_other_screens() -> None:
    parts = (WEB / "console" / "lib" / "parts.ts").read_text(encoding="utf-8")
    words = re.findall(r"'([a-z]+)'", parts.partition("WORDS")[2].partition(";")[0])
    assert len(words) > 5
    for folder in ("room", "shell", "live", "map", "lib"):
        for path in (WEB / "console" / folder).iterdir():
            if path.suffix in {".ts", ".svelte"} and not path.name.endswith(".test.ts"):
                text = path.read_text(encoding="utf-8")
                said = {*LITERAL.findall(text), *STEM.findall(text)}
                assert not {key for key in said if key.split(".")[0] in words}, path.name


def test_every_act_that_is_written_down_is_told_in_words() -> None:
    api = WEB.parent / "api"
    source = "\n".join(path.read_text(encoding="utf-8") for path in api.glob("*.py"))
    kept = set(re.findall(r'keep\(\s*request,\s*connection,\s*f?"([a-z-]+)"', source))
    left = {  # changes of which no route keeps a line of its own: the guard does
        f"{method} {path}"
        for (method, path), right in RIGHTS.items()
        if right.kept is Kept.ACT and path.startswith(("/api/v1/handover", "/api/v1/fences/dry"))
    }
    assert len(kept) > 8
    assert len(left) == 3
    offered = set(re.findall(r"'([^']+)'", ACTS))
    assert (kept | left) - offered == set()
