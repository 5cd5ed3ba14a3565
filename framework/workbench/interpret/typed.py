"""The numba type of a value, by which compiled code is asked whether it would take it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numba.core import types
from numba.core.errors import TypingError

from zcframe.framework.packet.address import addr_type
from zcframe.framework.packet.plain import Address, View
from zcframe.framework.packet.view import view_type

# bool is an int in Python, so that it comes first.
TYPES: Final = (
    ((bool, np.bool_), types.boolean),
    ((int, np.integer), types.int64),
    ((float, np.floating), types.float64),
    ((View, bytes), view_type),
    ((Address, ipaddress.IPv4Address, ipaddress.IPv6Address), addr_type),
)


def type_of(value: Any) -> Any:
    """What compiled code has in a value's place; none for what it has not."""
    return next((kind for classes, kind in TYPES if isinstance(value, classes)), types.none)


@contextmanager
def refusing() -> Iterator[None]:
    """What compiled code refuses raises TypeError, in its words."""
    try:
        yield
    except TypingError as error:
        raise TypeError(str(error).strip().removeprefix("zcframe: ")) from None
