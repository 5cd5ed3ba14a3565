"""Kinds of values: what numpy reads of their memory, and what becomes of that in Python."""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

import numpy as np
import pytest

from zcframe import addr, blob, f64, i64, text, u8, u16, u64
from zcframe.framework.errors import DeclarationError
from zcframe.framework.outputs.document import plain
from zcframe.framework.state.kinds import Kind

PATH = b"/caf\xc3\xa9\xff"


@pytest.mark.parametrize(
    ("kind", "memory", "value"),
    [
        (u8, b"\xff", 255),
        (u64, b"\xff" * 8, 2**64 - 1),
        (i64, b"\xff" * 8, -1),
        (f64, struct.pack("<d", -0.125), -0.125),
        (addr, ipaddress.ip_address("::ffff:192.0.2.9").packed, ipaddress.ip_address("192.0.2.9")),
        (addr, ipaddress.ip_address("2001:db8::").packed, ipaddress.ip_address("2001:db8::")),
        (text(10), struct.pack("<H", len(PATH)) + PATH + b"zzz", "/café\\xff"),
        (blob(10), struct.pack("<H", 4) + b"a\0b\0" + b"zzzzzz", b"a\0b\0"),
        (u16[3], struct.pack("<3H", 1, 2, 65535), [1, 2, 65535]),
        (f64[1], struct.pack("<d", 2.5), [2.5]),
    ],
)
def test_a_kind_reads_its_memory(kind: Kind, memory: bytes, value: Any) -> None:
    assert len(memory) == kind.size == np.dtype(kind.dtype).itemsize
    (raw,) = np.frombuffer(memory, [("field", kind.dtype)])["field"]
    assert kind.value(raw) == value
    assert type(kind.value(raw)) is type(value)


@pytest.mark.parametrize(
    "make", [lambda: text(0), lambda: blob(4097), lambda: text("8"), lambda: u16[0], lambda: u8[True], lambda: f64.bits]
)
def test_what_is_no_kind_is_refused(make: Any) -> None:
    with pytest.raises(DeclarationError, match="needed|or-ed"):
        make()


def test_addresses_sort_as_addresses() -> None:
    texts = ["255.0.0.1", "2001:db8::1", "10.0.0.2", "::1", "9.9.9.9"]
    found = [ipaddress.ip_address(one) for one in texts]
    octets = [bytes(10) + b"\xff\xff" + one.packed if one.version == 4 else one.packed for one in found]
    ordered = np.sort(np.array(octets, addr.dtype))
    assert [str(addr.value(raw)) for raw in ordered] == ["::1", "9.9.9.9", "10.0.0.2", "255.0.0.1", "2001:db8::1"]


def test_addresses_and_text_in_a_report_are_text() -> None:
    """As `report` may return them: an item of a column, a column, a row, and other bytes as before."""
    rows = np.zeros(2, [("who", addr.dtype), ("name", "S5"), ("n", "u8")])
    rows["who"][0] = np.void(bytes(10) + b"\xff\xff\x0a\0\0\1")
    rows["name"] = [b"caf\xc3\xa9", b"\xff"]
    assert plain({"host": rows["who"][0], "names": rows["name"], "row": rows[1], "rest": b"\xff\0"}) == {
        "host": "10.0.0.1",
        "names": ["café", "\\xff"],
        "row": ["::", "\\xff", 0],
        "rest": "ff00",
    }
