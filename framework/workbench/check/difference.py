"""The first place in which two reports differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _text(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


def difference(one: Any, other: Any, at: str = "") -> str:
    """ "top[3].bytes: 12 and 14", of two values in types of JSON; "" where they are equal."""
    if one == other:
        return ""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in [*one, *(key for key in other if key not in one)]:
            if key not in one or key not in other:
                return f"{_below(at, key)}: only one of them has it"
            if found := difference(one[key], other[key], _below(at, key)):
                return found
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return f"{at}: {len(one)} and {len(other)} entries"
        pairs = enumerate(zip(one, other, strict=True))
        return next(filter(None, (difference(*pair, f"{at}[{place}]") for place, pair in pairs)), "")
    return f"{at or 'the report'}: {_text(one)} and {_text(other)}"


def _below(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key
