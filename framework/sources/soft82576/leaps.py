"""Times of a recording that leap: told once a file, with a sum of all at its end."""

from __future__ import annotations

from typing import Final, NamedTuple

SECOND: Final = 1_000_000_000
UNITS: Final = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))

# What was done about a leap: the pause was shortened; the clock was set back, no pause; one frame's time is wrong, and
# that frame went at once.
SHORTENED: Final = 1
SET_BACK: Final = 2
STRAY: Final = 3


class Leaps(NamedTuple):
    """Leaps of one file: how many of each kind, and the first of them; row: in the table that was released last."""

    shortened: int = 0
    set_back: int = 0
    strays: int = 0
    kind: int = 0
    row: int = 0
    by: int = 0  # ns, from the latest time before it; negative: back

    @property
    def total(self) -> int:
        return self.shortened + self.set_back + self.strays


NO_LEAPS: Final = Leaps()


def duration(ns: int) -> str:
    """In the largest unit that it has, and the next smaller one: "18 h 12 min"."""
    seconds = abs(ns) // SECOND
    largest = next((place for place, (_, size) in enumerate(UNITS) if seconds >= size), None)
    if largest is None:
        return f"{abs(ns) / SECOND:.3f} s"
    parts = []
    for unit, size in UNITS[largest : largest + 2]:
        count, seconds = divmod(seconds, size)
        parts += [f"{count} {unit}"] if count else []
    return " ".join(parts)


def first_leap(leaps: Leaps, label: str, number: int, longest: float) -> str:
    """The line for the first leap of a file, whose frame is packet `number`; longest: seconds."""
    by = duration(leaps.by)
    if leaps.kind == SHORTENED:
        return (
            f"{label}: packet {number} comes {by} after the one before it: this gap is shortened to {longest:g} s, and"
            " every longer one (--max-gap)"
        )
    where = "ahead of" if leaps.by > 0 else "behind"
    if leaps.kind == STRAY:
        return f"{label}: the time of packet {number} is {by} {where} those around it: it goes at once"
    return f"{label}: the time of packet {number} is {by} {where} the one before it: the replay goes on without a gap"


def all_leaps(leaps: Leaps, label: str, longest: float) -> str:
    """The line for all leaps of a file, at its end."""
    kinds = (
        (leaps.shortened, f"gaps shortened to {longest:g} s"),
        (leaps.set_back, "steps back"),
        (leaps.strays, "packets with a time of their own"),
    )
    return f"{label}: {leaps.total} leaps in time: " + ", ".join(f"{n} {what}" for n, what in kinds if n)
