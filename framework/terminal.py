"""Text made safe for a terminal: what came from a packet, a file or a worker, and what its encoding lacks."""

from __future__ import annotations

import codecs
import re
import unicodedata
from typing import Final

# Control characters (C0, C1), line and paragraph separators, lone surrogates, and every character that changes the
# writing direction: U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069 (Unicode Standard Annex 9).
UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str, keep: str = "") -> str:
    """The text with every unprintable character shown as an escape. keep: those that stay, such as line ends."""

    def shown(found: re.Match[str]) -> str:
        return found[0] if found[0] in keep else found[0].encode("unicode_escape").decode()

    return UNPRINTABLE.sub(shown, text)


# What stands for a character that an encoding lacks: bars and the marks of our own texts, each as wide as it was.
PLAIN: Final = {
    **dict(zip("▏▎▍▌▋▊▉█", "..--==##", strict=True)),
    **dict(zip("▁▂▃▄▅▆▇", "_.-=+*%", strict=True)),
    **dict(zip("…–—−→←×·•│─", "~---><x.*|-", strict=True)),
    **dict(zip("‘’“”", "''\"\"", strict=True)),
}
SUBSTITUTE: Final = "zcframe.substitute"


def _plain(character: str) -> str:
    """ASCII that takes as many columns of a terminal."""
    if unicodedata.combining(character):
        return ""
    return PLAIN.get(character) or "?" * (2 if unicodedata.east_asian_width(character) in "FW" else 1)


def _substitute(error: UnicodeError) -> tuple[str, int]:
    """The handler SUBSTITUTE of codecs: an encoding error is no reason to say nothing."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


codecs.register_error(SUBSTITUTE, _substitute)
