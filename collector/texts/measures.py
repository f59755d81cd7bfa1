"""Seconds, metres and percent as people say them: two sizes at most, no digit that nobody needs.

Law: dates, times and zones are not here; a length of time has none.
"""

from collector.texts.catalogue import number, text

SIZES_S = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def span(seconds: float, language: str) -> str:
    """`45 s`, `12 min`, `2 h 5 min`, `3 d 4 h`: the largest size and, from hours on, the next."""
    left = max(0, round(seconds))
    for index, (unit, size) in enumerate(SIZES_S):
        if left < size and unit != "s":
            continue
        said = [text(f"unit.{unit}", language, n=number(left // size, language))]
        if unit in ("d", "h"):
            smaller, smaller_s = SIZES_S[index + 1]
            rest = left % size // smaller_s
            if rest:
                said.append(text(f"unit.{smaller}", language, n=number(rest, language)))
        return " ".join(said)
    raise AssertionError("a second is the smallest size")


def distance(metres: float, language: str) -> str:
    """`850 m`, `1.2 km`, `52 km`."""
    metres = max(0.0, metres)
    if round(metres) < 1_000:
        return text("unit.m", language, n=number(round(metres), language))
    km = metres / 1_000
    return text("unit.km", language, n=number(km, language, decimals=1 if km < 10 else 0))


def percent(share: float, language: str) -> str:
    return text("unit.percent", language, n=number(share, language))
