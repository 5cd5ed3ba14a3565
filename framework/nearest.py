"""The name that a person most likely meant, where there is none like the one that was given."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final

# How alike two names are that may be the same one: 1 for equal ones. What a person types may be further off.
LIKENESS: Final = 0.6
TYPED_LIKENESS: Final = 0.5


def nearest(word: str, choices: Iterable[str], likeness: float = LIKENESS) -> str:
    """The choice that looks most like `word`, or "" where none does."""
    return next(iter(difflib.get_close_matches(word, list(choices), n=1, cutoff=likeness)), "")


def hint(word: str, choices: Iterable[str]) -> str:
    """ ": did you mean X?" for a word of the command line or a file, or "" where no choice is near."""
    close = nearest(word, choices, TYPED_LIKENESS)
    return f": did you mean {close}?" if close else ""


def offer(close: str, choices: Sequence[str], most: int | None = None) -> str:
    """ "; did you mean X?" where a near choice was found, else all choices, or "" where they are more than `most`."""
    if close:
        return f"; did you mean {close}?"
    return f"; there are: {', '.join(choices) or 'none'}" if most is None or len(choices) <= most else ""
