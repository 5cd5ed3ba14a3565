"""The place in an expression that libpcap's message is about: libpcap itself does not tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

SYNTAX: Final = "syntax error"
TOKEN: Final = re.compile(r"&&|\|\||<<|>>|[<>!=]=|[^\s()\[\]!&|<>=^*/%+]+|\S")
QUOTED: Final = re.compile(r"'([^']+)'|\"([^\"]+)\"")
# No token: libpcap complains of it as soon as it reads so far.
STUMBLE: Final = "1:2:3:4:5:6:7"
STUMBLED: Final = "1:2:3:4:5:6"


def _stumbling(expression: str, message: Callable[[str], str]) -> int:
    """Where the first token begins that cannot stand there; the end where the expression is cut short.

    A parser looks at one token at a time, so that it gets to one that is none only if all before it may stand there.
    """
    for token in TOKEN.finditer(expression):
        if STUMBLED not in message(f"{expression[: token.end()]} {STUMBLE}"):
            return token.start()
    return len(expression)


def _named(message: str) -> Iterator[str]:
    """What the message repeats of the expression, as it seems."""
    yield from (found[1] or found[2] for found in QUOTED.finditer(message))
    yield from (word.rstrip(":") for word in message.split() if len(word) > 2 and any(map(str.isdigit, word)))


def place_of(expression: str, complaint: str, message: Callable[[str], str]) -> int:
    """Index of the character that `complaint` is about, the expression's end where nothing better is known.

    message: libpcap's message on another expression.
    """
    if SYNTAX in complaint:
        return _stumbling(expression, message) if STUMBLED in message(STUMBLE) else len(expression)
    for word in _named(complaint):
        found = re.search(rf"(?<![\w.:]){re.escape(word)}", expression)
        if found:
            return found.start()
    return len(expression)
