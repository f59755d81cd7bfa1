"""The unit's own page: one document, no script, 10 kB at most (EDGE section 9, CONSOLE section 6).

Law: pure: numbers in, HTML out. Shapes and words tell what colours tell. Green turns grey by itself when its time is over.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from agent.app.page_verdict import Colour, Known, Reason, SealSeen, Verdict
from agent.app.page_words import CATALOGUES, LANGUAGES, age, clock, day_and_clock

PAGE_BYTES_MAX = 10_000
SEALS_SHOWN_MAX = 5
ALARMS_SHOWN_MAX = 6
NAME_CHARS_MAX = 24  # of a seal or a link; ours have ten to sixteen

_ICONS = {  # octagon with a cross, triangle with a mark, ring with a question, disc with a tick
    Colour.RED: '<path d="M7 2h10l5 5v10l-5 5H7l-5-5V7z"/><path d="M8 8l8 8m0-8l-8 8"/>',
    Colour.AMBER: '<path d="M12 2.5L22.5 21h-21z"/><path d="M12 9v6m0 2.5v.5"/>',
    Colour.GREY: '<circle cx="12" cy="12" r="10" stroke-dasharray="3 2.2"/>'
    '<path d="M9 9.5a3 3 0 1 1 4.5 2.5c-1 .6-1.5 1-1.5 2.3m0 2.7v.5"/>',
    Colour.GREEN: '<circle cx="12" cy="12" r="10"/><path d="M7 12.5l3.5 3.5L17 8.5"/>',
}
_STYLE = (
    ":root{--g:#d9d9d9;--p:#e8e8e8;--t:#1f1f1f;--m:#4a4a4a;--l:#6f6f6f;--s:#0a4fc0;color-scheme:light dark}"
    "@media(prefers-color-scheme:dark){:root{--g:#2b2d30;--p:#35383c;--t:#e6e6e6;--m:#a8a8a8;--l:#8a8a8a;--s:#7ab4ff}}"
    "*{box-sizing:border-box}"
    'body{margin:0 auto;padding:12px;max-width:560px;background:var(--g);color:var(--t);font:18px/1.35 "Segoe UI",Roboto,'
    '"Noto Sans","DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}'
    "header,nav{display:flex;justify-content:space-between;align-items:center;gap:8px;flex-wrap:wrap}"
    "h1{font-size:22px;margin:0}h2{font-size:18px;margin:16px 0 6px}"
    "a{color:var(--s);min-height:48px;min-width:48px;padding:0 8px;display:inline-flex;align-items:center;justify-content:center}"
    "a[aria-current]{color:var(--t);font-weight:700;text-decoration:none}"
    ":focus-visible{outline:2px solid var(--s);outline-offset:2px}"
    ".v{padding:16px;margin:8px 0;display:grid;border-radius:4px}.v>div{grid-area:1/1}"
    ".v p{margin:4px 0 0}.v ul{margin:8px 0 0;padding-left:22px}"
    ".w{display:flex;align-items:center;gap:12px;font-size:min(34px,8.4vw);font-weight:700;line-height:1.1}"
    "svg.i{width:52px;height:52px;flex:none;fill:none;stroke:currentColor;stroke-width:2.2;stroke-linecap:round;stroke-linejoin:round}"
    ".red{background:#b00020;color:#fff}.amber{background:#ffb000;color:#000}"
    ".grey{background:#5a5a5a;color:#fff}.green{background:#006b2d;color:#fff}"
    "dl{margin:0;background:var(--p);border:1px solid var(--l);border-radius:4px;padding:2px 12px}"
    "dl>div{display:flex;justify-content:space-between;gap:12px;padding:8px 0;border-bottom:1px solid var(--l)}"
    "dl>div:last-child{border:0}dt{color:var(--m);flex:0 1 40%}dd{margin:0;text-align:right;flex:1}"
    ".a{margin:0;padding-left:22px}"
    ".q{display:block;padding:0;background:#fff;border-radius:4px}.q svg{display:block;width:100%;height:auto}"
    "footer{color:var(--m);font-size:15px;margin-top:12px}"
)
# Only for green: the block pales, its words go and the others come, whatever the browser does with the rest.
_EXPIRY = (
    ".green{animation:x 0s %ds forwards}@keyframes x{to{background:#5a5a5a}}"
    ".green>div{animation:n 0s %ds forwards}@keyframes n{to{visibility:hidden}}"
    ".green>div+div{visibility:hidden;animation:y 0s %ds forwards}@keyframes y{to{visibility:visible}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Everything on the page."""

    unit_id: str
    program: str
    now_ms: int
    known: Known
    verdict: Verdict
    link: str  # flowing, connecting, down, stalled
    receipt_age_s: int | None
    place: tuple[int, int] | None  # lat_e7, lon_e7
    alarms: Sequence[tuple[str, str, int]]  # code of a sentence, of what, how many
    states: Mapping[str, str]  # of the links that are in trouble, by name
    handover: str  # the address in the QR; empty: none
    qr: Sequence[str]  # its rows, "1" dark


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """HTML, and the hash of the only style sheet in it (CSP)."""

    html: bytes
    style_hash: str


def document(shown: Shown, language: str) -> Document:
    """The page in one of our languages."""
    words = CATALOGUES[language]
    verdict = shown.verdict
    style = _STYLE
    if verdict.colour is Colour.GREEN:
        style += _EXPIRY % ((verdict.green_s,) * 3)
    word = words[verdict.colour.value]
    html = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{word} · {escape(shown.unit_id)}</title><style>{style}</style></head><body>"
        f'<header><h1>{escape(shown.unit_id)}</h1><a href="/?lang={language}">{words["refresh"]}</a></header>'
        f"<main>{_verdict(shown, words)}"
        f"<dl>{''.join(_rows(shown, words))}</dl>{_alarms(shown, words)}{_code(shown, words)}</main>"
        f'<nav aria-label="{words["languages"]}">{"".join(_languages(language))}</nav>'
        f"<footer>{escape(shown.program)}</footer></body></html>"
    )
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return Document(html=html.encode(), style_hash=digest)


def _verdict(shown: Shown, words: Mapping[str, str]) -> str:
    verdict = shown.verdict
    now = [_word(verdict.colour, words)]
    if shown.known.time_quality:
        now.append(f"<p>{words['as_of'].format(time=clock(shown.now_ms))}</p>")
    if verdict.colour is Colour.GREEN:
        until = clock(shown.now_ms + verdict.green_s * 1000)
        now.append(f"<p>{words['green_until'].format(time=until)}</p>")
    if verdict.reasons:
        reasons = "".join(f"<li>{_sentence(one, words)}</li>" for one in verdict.reasons)
        now.append(f"<ul>{reasons}</ul>")
    then = ""
    if verdict.colour is Colour.GREEN:
        then = f"<div>{_word(Colour.GREY, words)}<p>{words['expired']}</p></div>"
    return (
        f'<section class="v {verdict.colour.value}" aria-label="{words["verdict"]}">'
        f"<div>{''.join(now)}</div>{then}</section>"
    )


def _word(colour: Colour, words: Mapping[str, str]) -> str:
    return (
        f'<div class="w"><svg class="i" viewBox="0 0 24 24" aria-hidden="true">{_ICONS[colour]}</svg>'
        f"{words[colour.value]}</div>"
    )


def _sentence(reason: Reason, words: Mapping[str, str]) -> str:
    return words[reason.code].format(
        seal=_name(reason.seal), n=reason.number, age=age(words, reason.number)
    )


def _rows(shown: Shown, words: Mapping[str, str]) -> list[str]:
    known = shown.known
    seals = [_seal(seal, words) for seal in known.seals[:SEALS_SHOWN_MAX]]
    if len(known.seals) > len(seals):
        seals.append(f"+ {len(known.seals) - len(seals)}")
    oldest = known.oldest_waiting_s
    store = {"ok": "store_ok", "full": "store_full", "spill": "store_spill"}
    quality = words[f"time_{known.time_quality}"]
    time = f"{day_and_clock(shown.now_ms)}<br>{quality}" if known.time_quality else quality
    pairs = [
        ("seals", "<br>".join(seals) or words["no_seals"]),
        ("fix", _fix(shown, words)),
        ("link", words[shown.link]),
        ("waiting", str(known.waiting)),
        ("oldest", words["none"] if oldest is None else age(words, oldest)),
        ("receipt", _ago(shown.receipt_age_s, words, "never")),
        ("store", words[store.get(known.store, "store_silent")]),
        ("clock", time),
    ]
    return [f"<div><dt>{words[name]}</dt><dd>{value}</dd></div>" for name, value in pairs]


def _seal(seal: SealSeen, words: Mapping[str, str]) -> str:
    state = {True: words["locked"], False: words["unlocked"], None: words["unknown"]}[seal.locked]
    battery = seal.battery_percent
    more = "" if battery is None else f", {words['battery'].format(n=battery)}"
    heard = _ago(seal.age_s, words, "unheard")
    return f"<b>{_name(seal.seal_id)}</b><br>{state}{more}<br>{heard}"


def _fix(shown: Shown, words: Mapping[str, str]) -> str:
    if shown.place is None:
        return words["unknown"]
    lat, lon = (f"{value / 1e7:.5f}" for value in shown.place)
    return f"{lat}, {lon}<br>{_ago(shown.known.fix_age_s, words, 'unknown')}"


def _ago(seconds: int | None, words: Mapping[str, str], none: str) -> str:
    return words[none] if seconds is None else words["ago"].format(age=age(words, seconds))


def _alarms(shown: Shown, words: Mapping[str, str]) -> str:
    said = [
        words[code].format(seal=_name(what), n=number, state=_state(shown, what, words))
        for code, what, number in shown.alarms[:ALARMS_SHOWN_MAX]
    ]
    if len(shown.alarms) > len(said):
        said.append(f"+ {len(shown.alarms) - len(said)}")
    lines = "".join(f"<li>{one}</li>" for one in said)
    body = f'<ul class="a">{lines}</ul>' if said else words["none"]
    return f"<h2>{words['alarms']}</h2>{body}"


def escape(text: str) -> str:
    """As html.escape, whose table of 2,231 names nobody here needs: 0.4 MiB."""
    for character, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, name)
    return text


def _name(text: str) -> str:
    """What a device calls itself, as text of a bounded length."""
    return escape(text if len(text) <= NAME_CHARS_MAX else f"{text[: NAME_CHARS_MAX - 1]}…")


def _state(shown: Shown, link: str, words: Mapping[str, str]) -> str:
    return words.get(f"state_{shown.states.get(link, '')}", "")


def _code(shown: Shown, words: Mapping[str, str]) -> str:
    if not shown.handover:
        return f"<h2>{words['code']}</h2><p>{words['no_code']}</p>"
    size = len(shown.qr) + 8
    path = "".join(_row(row, y) for y, row in enumerate(shown.qr))
    return (
        f'<h2>{words["code"]}</h2><a class="q" href="{escape(shown.handover)}">'
        f'<svg viewBox="-4 -4 {size} {size}" shape-rendering="crispEdges" role="img" aria-label="{words["code_says"]}">'
        f'<path stroke="#000" d="{path}"/></svg></a>'
    )


def _row(row: str, y: int) -> str:
    """One row of modules as strokes, each from where the last one ended."""
    out: list[str] = []
    end = 0
    while (at := row.find("1", end)) >= 0:
        until = row.find("0", at)
        until = len(row) if until < 0 else until
        out.append(f"m{at - end} 0h{until - at}" if out else f"M{at} {y}.5h{until - at}")
        end = until
    return "".join(out)


def _languages(current: str) -> list[str]:
    return [
        f'<a href="/?lang={one}" lang="{one}"{" aria-current=true" if one == current else ""}>'
        f"{CATALOGUES[one]['name']}</a>"
        for one in LANGUAGES
    ]
