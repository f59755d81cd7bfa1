"""Dials a second against time, a panel a case, as an SVG written by hand.

Law: no plotting library; every number in the picture stands in the report beside it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape

from bench.storm import Sailed

WIDTH, PANEL, LEFT, TOP, BOTTOM, RIGHT = 900, 210, 64, 34, 30, 16
SHOWN_S = 420  # after the broker's return; later nothing is to be seen
OURS, PLAIN, INK, FAINT = "#1f6f8b", "#c9a227", "#222", "#ddd"


def svg_of(sailed: Sequence[Sailed], title: str) -> str:
    """The whole picture. The scale upwards is the one of our fleet: the baseline leaves it, and its peak is written."""
    height = PANEL * len(sailed) + 30
    legend = (
        f'<text x="{WIDTH - RIGHT}" y="36" text-anchor="end"><tspan fill="{OURS}">ours</tspan>, '
        f'<tspan fill="{PLAIN}">a client without jitter</tspan></text>'
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="15" fill="{INK}">{escape(title)}</text>',
        legend,
    ]
    for number, one in enumerate(sailed):
        parts += _panel(one, 30 + number * PANEL)
    return "\n".join([*parts, "</svg>", ""])


def _panel(one: Sailed, top: int) -> Iterator[str]:
    end_s = one.case.away_s + SHOWN_S
    peak = max((n for s, n in one.storm.dials.items() if s <= end_s), default=1)
    full = _round_up(peak * 1.15)
    base, high = top + PANEL - BOTTOM, PANEL - TOP - BOTTOM
    across = WIDTH - LEFT - RIGHT

    def x(second: float) -> float:
        return round(LEFT + across * second / end_s, 1)

    def y(dials: float) -> float:
        return round(base - high * min(dials, full) / full, 1)

    plain_peak = one.report["plain_back_off_peak_dials_s"]
    words = f"{one.case.name}: peak {one.report['peak_dials_s']}/s; without jitter {plain_peak}/s"
    yield f'<text x="{LEFT}" y="{top + 22}" fill="{INK}">{escape(words)}</text>'
    for level in (0, full / 2, full):
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(level)}" y2="{y(level)}" stroke="{FAINT}"/>'
        yield f'<text x="{LEFT - 6}" y="{y(level) + 4}" text-anchor="end" fill="{INK}">{level:g}</text>'
    step = 60 if end_s <= 600 else 120
    for second in range(0, end_s + 1, step):
        yield f'<text x="{x(second)}" y="{base + 16}" text-anchor="middle" fill="{INK}">{second} s</text>'
    if one.case.away_s:
        yield f'<line x1="{x(one.case.away_s)}" x2="{x(one.case.away_s)}" y1="{y(full)}" y2="{base}" stroke="{INK}" stroke-dasharray="4 3"/>'
        yield f'<text x="{x(one.case.away_s) + 4}" y="{y(full) + 12}" fill="{INK}">the broker listens again</text>'
    for dials, colour in ((one.plain, PLAIN), (one.storm.dials, OURS)):
        points = " ".join(f"{x(second)},{y(n)}" for second, n in _steps(dials, end_s))
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _steps(dials: Counter[int], end_s: int) -> Iterator[tuple[int, int]]:
    return ((second, dials[second]) for second in range(end_s + 1))


def _round_up(value: float) -> int:
    """To the next 1, 2, 5 of its decade, so that the scale can be read."""
    decade = 1
    while True:
        for step in (1, 2, 5):
            if value <= step * decade:
                return step * decade
        decade *= 10
