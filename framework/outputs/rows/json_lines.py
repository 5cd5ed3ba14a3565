"""`json:FILE`: an object a line, with the name of the record's kind first."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from zcframe.framework.state.kinds import Addr, Kind, Octets, Scalar, text
from zcframe.framework.state.records import RECORD

from .kind import RecordKind
from .output import Rows


def _number(value: float) -> str:
    """JSON has neither infinity nor NaN."""
    return repr(value) if math.isfinite(value) else "null"


def _shown(kind: Kind) -> tuple[str, Callable[[Any], Any] | None]:
    """(how a value stands in a line, what is made of it before that; None: nothing)."""
    if isinstance(kind, Addr):
        return '"%s"', None
    if isinstance(kind, text):
        return "%s", quoted
    if isinstance(kind, Octets):
        return '"%s"', bytes.hex
    return ("%d", None) if isinstance(kind, Scalar) and kind.is_whole else ("%s", _number)


class Json(Rows):
    """Addresses as text, blobs as hex digits, text with escapes; ASCII only."""

    def line(self, kind: RecordKind) -> Callable[[tuple[Any, ...]], str]:
        shown = [_shown(field) for _, field in kind.fields]
        members = [f"{json.dumps(RECORD)}: {json.dumps(kind.name)}".replace("%", "%%")]
        members += [f'"{name}": {form}' for (name, _), (form, _) in zip(kind.fields, shown, strict=True)]
        pattern = "{" + ", ".join(members) + "}"
        makers = [(place, maker) for place, (_, maker) in enumerate(shown) if maker is not None]
        if not makers:
            return lambda values: pattern % values

        def line(values: tuple[Any, ...]) -> str:
            made = list(values)
            for place, maker in makers:
                made[place] = maker(made[place])
            return pattern % tuple(made)

        return line
