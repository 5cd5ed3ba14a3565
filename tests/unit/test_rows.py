"""Lines of records, what is refused of them, and how they are read back."""

from __future__ import annotations

import csv
import gzip
import ipaddress
import json
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.rig import bound
from zcframe import PASS, Records, addr, blob, f64, i64, plugin, text, u8, u16, u32, u64
from zcframe.framework.chain.build import build_chain
from zcframe.framework.errors import DeclarationError, OutputError, PluginCompileError, ZcframeError
from zcframe.framework.outputs.output import OutputSpec
from zcframe.framework.outputs.rows.csv_lines import Csv
from zcframe.framework.outputs.rows.json_lines import Json
from zcframe.framework.outputs.rows.kind import RecordKind
from zcframe.framework.outputs.rows.output import Rows
from zcframe.framework.outputs.rows.reader import read_rows
from zcframe.framework.outputs.sink import Pieces
from zcframe.framework.state.records import RecordsLayout

FIELDS = {"ts": u64, "small": u8, "left": i64, "part": f64, "src": addr, "word": text(64), "raw": blob(64)}
KIND = RecordKind("http", RecordsLayout("log", 0, tuple(FIELDS.items())))
PLAIN = RecordKind("http", RecordsLayout("plain", 1, (("n", u32), ("port", u16))))


def packed(number: int, kind: RecordKind, values: Sequence[Any]) -> bytes:
    """A record as compiled code leaves it, by our own arithmetic."""
    fixed, tail = b"", b""
    for value, (_, form) in zip(values, kind.fields, strict=True):
        if isinstance(value, bytes):
            fixed += struct.pack("=H", len(value)) if form is not addr else value
            tail += value if form is not addr else b""
        else:
            code = {"u1": "B", "u2": "H", "u4": "I", "u8": "Q", "i8": "q", "f8": "d"}[str(form.dtype)]
            fixed += struct.pack("=" + code, value)
    body = fixed + tail
    body += bytes(-len(body) % 8)
    return struct.pack("=6I", number, 24 + len(body), 0, 0, 0, 0) + body


def lines(cls: type[Rows], records: bytes, taken: Sequence[int] = (0, 1)) -> tuple[str, Sequence[int]]:
    output = cls(OutputSpec("", "-", {}, ""), (), 0, (KIND, PLAIN), taken)
    pieces = Pieces.of(records)
    made = output._form
    assert made is not None
    found = made(Pieces(pieces.words, 1, len(records), 1))
    return output.head().decode() + found.joined().decode(), found.kinds


octets = st.binary(max_size=64)
values = st.tuples(
    st.integers(0, 2**64 - 1),
    st.integers(0, 255),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.binary(min_size=16, max_size=16),
    octets,
    octets,
)


@given(st.lists(values, min_size=1, max_size=5))
def test_lines_of_json_hold_the_values(rows: list[tuple[Any, ...]]) -> None:
    whole, counts = lines(Json, b"".join(packed(0, KIND, row) for row in rows) + packed(1, PLAIN, (7, 8)))
    assert whole.isascii() and counts == [len(rows), 1]
    *found, last = [json.loads(line) for line in whole.split("\n")[:-1]]
    assert last == {"record": "http.plain", "n": 7, "port": 8}
    for row, (ts, small, left, part, src, word, raw) in zip(found, rows, strict=True):
        mapped = ipaddress.IPv6Address(src).ipv4_mapped
        assert row == {
            "record": "http.log",
            "ts": ts,
            "small": small,
            "left": left,
            "part": part if math.isfinite(part) else None,
            "src": str(mapped or ipaddress.IPv6Address(src)),
            "word": word.decode(errors="backslashreplace"),
            "raw": raw.hex(),
        }


@given(st.lists(values, min_size=1, max_size=5))
def test_lines_of_csv_are_read_by_python(rows: list[tuple[Any, ...]]) -> None:
    whole, _ = lines(Csv, b"".join(packed(0, KIND, row) for row in rows), [0])
    assert len(whole.splitlines()) == len(rows) + 1
    found = list(csv.DictReader(whole.splitlines()))
    for row, (ts, small, left, part, _, word, raw) in zip(found, rows, strict=True):
        assert (row["ts"], row["small"], row["left"], row["raw"]) == (str(ts), str(small), str(left), raw.hex())
        assert row["part"] == repr(part)
        plain = word.decode(errors="backslashreplace")
        if plain.isprintable():
            assert row["word"] == plain


@pytest.mark.parametrize(
    "records",
    [
        b"\0" * 8,
        packed(2, PLAIN, (1, 1)),
        packed(1, PLAIN, (1, 1))[:-8],
        struct.pack("=6I", 1, 24, 0, 0, 0, 0),
        struct.pack("=6I", 1, 0, 0, 0, 0, 0),
        packed(0, KIND, (1, 1, 1, 1.0, bytes(16), b"x", b"y")).replace(b"\1\0\1\0", b"\xff\xff\1\0"),
    ],
)
def test_what_is_no_record_ends_the_output(records: bytes) -> None:
    with pytest.raises(OutputError, match="no record"):
        lines(Json, records)


def test_records_are_read_back(tmp_path: Path) -> None:
    row = (5, 1, -1, 0.5, ipaddress.IPv6Address("2001:db8::1").packed, "wörd".encode(), b"\xff\0")
    whole, _ = lines(Json, packed(0, KIND, row) + packed(1, PLAIN, (7, 8)))
    plain, small = tmp_path / "a.json", tmp_path / "a.json.gz"
    plain.write_text(whole)
    small.write_bytes(gzip.compress(whole.encode()))
    (first,) = read_rows(plain, [KIND], "http.log")
    assert first["src"] == ipaddress.ip_address("2001:db8::1") and first["raw"] == b"\xff\0" and first["word"] == "wörd"
    assert [found["record"] for found in read_rows(small)] == ["http.log", "http.plain"]
    assert next(read_rows(small))["src"] == "2001:db8::1"
    for bad in ("[]\n", "{}\n", whole[:20]):
        plain.write_text(bad)
        with pytest.raises(ZcframeError, match="line 1 is no record"):
            list(read_rows(plain))
    with pytest.raises(ZcframeError, match="No such file"):
        list(read_rows(tmp_path / "none"))


# --- declarations


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "1 to 64 fields"),
        ({f"f{i}": u8 for i in range(65)}, "1 to 64 fields"),
        ({"a": 3}, "in field a, not 3"),
        ({"a": u16[4]}, "in field a, not u16"),
        ({"_a": u8}, "'_a'"),
        ({"record": u8}, "'record'"),
        ({f"f{i}": text(4096) for i in range(9)}, "are the most"),
    ],
)
def test_a_declaration_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(DeclarationError, match=reason):
        Records(**fields)


def refused(function: Any) -> str:
    """Why a plugin with this filter does not compile."""
    members = {"log": Records(n=u64, word=text(8), src=addr, part=f64), "filter": staticmethod(function)}
    cls = plugin(type("Wrong", (), {**members, "__module__": __name__}))
    with pytest.raises(PluginCompileError) as found:
        build_chain([bound(cls)])
    return str(found.value)


def _misspelt(pkt, state, params):  # type: ignore[no-untyped-def]
    state.log.emit(m=1)
    return PASS


def _missing(pkt, state, params):  # type: ignore[no-untyped-def]
    state.log.emit(n=1, part=1, src=pkt.src)
    return PASS


def _in_order(pkt, state, params):  # type: ignore[no-untyped-def]
    state.log.emit(1, b"x")
    return PASS


def _float(pkt, state, params):  # type: ignore[no-untyped-def]
    state.log.emit(n=1.5, word=b"x", src=pkt.src, part=1)
    return PASS


def _string(pkt, state, params):  # type: ignore[no-untyped-def]
    state.log.emit(n=1, word="x", src=pkt.src, part=1)
    return PASS


def _half(pkt, state, params):  # type: ignore[no-untyped-def]
    state.log.emit(n=1, word=b"x", src=pkt.src_lo, part=1)
    return PASS


def _verb(pkt, state, params):  # type: ignore[no-untyped-def]
    state.log.write(n=1)
    return PASS


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (_misspelt, "log.emit() has no field m: its fields are n, word, src, part"),
        (_missing, "log.emit() needs a value for word"),
        (_in_order, "log.emit() takes its values by name: n=..."),
        (_float, "log.emit() has n as u64: it takes a whole number"),
        (_string, "log.emit() has word as text(8): it takes a view of bytes, or bytes"),
        (_half, "log.emit() has src as addr: it takes an address, as pkt.src"),
        (_verb, "the Records log have no write: they have emit(n=..., word=..., src=..., part=...)"),
    ],
)
def test_a_wrong_call_is_told_with_its_line(function: Any, reason: str) -> None:
    told = refused(function)
    assert reason in told and f"test_rows.py:{function.__code__.co_firstlineno + 1}:" in told
