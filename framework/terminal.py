"""Text that came from a packet, a file or a worker, made safe for a terminal."""

from __future__ import annotations

import re
from typing import Final

# Control characters (C0, C1), line and paragraph separators, lone surrogates, and every character that changes the
# writing direction: U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069 (Unicode Standard Annex 9).
UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str, keep: str = "") -> str:
    """The text with every unprintable character shown as an escape. keep: those that stay, such as line ends."""

    def shown(found: re.Match[str]) -> str:
        return found[0] if found[0] in keep else found[0].encode("unicode_escape").decode()

    return UNPRINTABLE.sub(shown, text)
