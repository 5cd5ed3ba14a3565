"""Plain machine code: what it returns is what numba's returns, a copy needs no numba, and damage is made good."""

from __future__ import annotations

import os
import platform
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.kit.places import BUNDLED
from zcframe.framework.filecopy.repack import repack
from zcframe.framework.filecopy.selection import selection
from zcframe.framework.filters.libpcap import compile_expression
from zcframe.framework.jit.compiler import compiled
from zcframe.framework.jit.flat import function as function_module
from zcframe.framework.jit.flat.build import build
from zcframe.framework.jit.flat.cpu import cpu_identity
from zcframe.framework.jit.flat.function import Flat
from zcframe.framework.jit.flat.image import Image, packed, unpacked
from zcframe.framework.jit.flat.link import Linked, Unlinkable, link
from zcframe.framework.sources.capture import CaptureReader
from zcframe.framework.sources.capture.pcap import scan_pcap
from zcframe.framework.sources.capture.records import record_table

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="numba's own code is called on this machine")

# The command, and which of these packages it has imported by its end.
COPY = """
import sys
from zcframe.framework.cli.front import main
code = main(["dump", *sys.argv[1:]])
print(code, *(name for name in ("numba", "llvmlite") if name in sys.modules))
"""


def quotient(a, b, numbers):  # type: ignore[no-untyped-def]
    return a // b + numbers[0, 0]


def total(numbers):  # type: ignore[no-untyped-def]
    found = 0
    for row in range(numbers.shape[0]):
        found += numbers[row, 0] * numbers[row, 1]
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the code of this test is kept."""
    monkeypatch.setattr(function_module, "CACHE", tmp_path)
    yield tmp_path / "flat"


def flat_of(function: Callable[..., Any], returns: int = 1) -> Flat:
    return Flat(function.__name__, returns, lambda: function)


def rows(*values: tuple[int, int]) -> np.ndarray[Any, Any]:
    return np.array(values, np.int64)


def copy(cache: Path, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", COPY, *arguments],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.long
@pytest.mark.parametrize("suffix", [".pcap", ".pcapng"])
def test_a_copy_brings_neither_numba_nor_llvm_in_once_its_code_is_kept(tmp_path: Path, suffix: str) -> None:
    written = []
    for name, words in (("first", ()), ("second", ()), ("third", ("tcp", "port", "443")), ("last", ("tcp port 443",))):
        target = tmp_path / f"{name}{suffix}"
        assert copy(tmp_path / "cache", "-r", str(BUNDLED), "-w", str(target), *words)[0] == "0"
        # A pcapng ends with the time of its end.
        written.append(target.read_bytes()[:-100])
    assert written[0] == written[1] != written[2] == written[3]
    for words in ((), ("tcp", "port", "443")):
        again = copy(tmp_path / "cache", "-r", str(BUNDLED), "-w", str(tmp_path / f"again{suffix}"), *words)
        assert again == ["0"], "these were imported"


def made_by(function: Any) -> Callable[..., Any]:
    """What a flat function is made of, for numba."""
    made: Callable[..., Any] = function._make()
    return made


def test_scanning_is_as_numba_does_it() -> None:
    """Records of random lengths, of which some claim more than there is."""
    dice = random.Random(82576)
    by_numba = compiled(made_by(scan_pcap))
    for _ in range(200):
        data = np.frombuffer(dice.randbytes(dice.randrange(16, 4096)), np.uint8).copy()
        for at in range(0, len(data) - 16, 64):
            data[at + 8 : at + 12] = np.frombuffer(dice.randrange(48).to_bytes(4, "little"), np.uint8)
        framing = dice.randrange(8)
        found = []
        for scan in (scan_pcap, by_numba):
            octets, records = data.copy(), record_table()
            padded = np.concatenate((np.zeros(64, np.uint8), octets))
            base = int(padded.ctypes.data)
            found.append((scan(base, 64, len(padded), 0, 16, 1000, 0, framing, records), records, padded))
        (one, records, padded), (other, others, padded_too) = found
        assert one == other
        assert (records == others).all()
        assert (padded == padded_too).all()


def test_what_calls_the_c_library() -> None:
    """repack moves frames by memmove; so do records that grow."""
    reader = CaptureReader(str(BUNDLED))
    count = reader.read()
    by_numba = compiled(made_by(repack))
    made = []
    for function in (repack, by_numba):
        room = np.zeros(1 << 20, np.uint8)
        how = (0, count, int(room.ctypes.data), 1, 1 << 19, (1 << 63) - 1, 96)
        made.append((function(reader.window.address, reader.records, *how), room.tobytes()))
    reader.close()
    assert made[0] == made[1]
    assert made[0][0][0] > 100


def test_an_expression_selects_what_numba_selects() -> None:
    program = compile_expression("udp or tcp port 443", "test")
    flat = selection(program)
    reader = CaptureReader(str(BUNDLED))
    count = reader.read()
    found = []
    for function in (flat, compiled(flat._make())):  # type: ignore[attr-defined]
        records = reader.records.copy()
        found.append((function(reader.window.address, records, count, 50), records[:50].tobytes()))
    reader.close()
    assert found[0] == found[1]
    assert found[0][0][0] == 50


def test_code_is_made_once_and_read_later(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert flat_of(total)(rows((2, 3), (4, 5))) == 26
    (file,) = folder.iterdir()
    monkeypatch.setattr(Flat, "_made", lambda *_: pytest.fail("made again"))
    assert flat_of(total)(rows((2, 3))) == 6
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("wrong", [rows((2, 3)).astype(np.int32), rows((2, 3, 4), (5, 6, 7))[:, :2]])
def test_arrays_of_another_form_are_refused(folder: Path, wrong: np.ndarray[Any, Any]) -> None:
    function = flat_of(total)
    function(rows((2, 3)))
    with pytest.raises(TypeError, match="arrays of int64"):
        function(wrong)


def test_threads_do_not_get_each_others_results(folder: Path) -> None:
    function = flat_of(total)
    function(rows((1, 1)))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda number: function(rows((number, 2))), range(2000)))
    assert found == [2 * number for number in range(2000)]


@pytest.mark.parametrize("damage", [lambda data: data[:40], lambda data: b"", lambda data: data[:-1] + b"\0\0"])
def test_a_damaged_file_is_made_anew(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    flat_of(total)(rows((2, 3)))
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert flat_of(total)(rows((2, 3))) == 6
    assert file.read_bytes() == whole


def test_another_cpu_has_other_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flat_of(total)(rows((2, 3)))
    monkeypatch.setattr(function_module, "cpu_identity", lambda: "an older one")
    flat_of(total)(rows((2, 3)))
    assert len(list(folder.iterdir())) == 2


def test_a_kernel_that_does_not_tell_the_cpu(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function_module, "cpu_identity", lambda: "")
    assert flat_of(total)(rows((2, 3))) == 6
    assert not folder.exists()


def test_what_may_raise_is_left_to_numba(folder: Path) -> None:
    with pytest.raises(Unlinkable):
        build(quotient, (0, 0, 2))
    function = flat_of(quotient)
    assert function(7, 2, rows((10, 0))) == 13
    with pytest.raises(ZeroDivisionError):
        function(7, 0, rows((10, 0)))
    assert not list(folder.iterdir())


def test_memory_that_may_not_be_executed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(linked: Linked) -> Image:
        raise PermissionError(1, "not here")

    monkeypatch.setattr(function_module, "Image", refuse)
    assert flat_of(total)(rows((2, 3))) == 6


def test_a_folder_of_somebody_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.symlink_to("/tmp")
    assert flat_of(total)(rows((2, 3))) == 6


def test_files_hold_what_was_put_in() -> None:
    linked = Linked(b"code", 3, (("memmove", 8), ("abort", 24)))
    assert unpacked(packed(linked)) == linked


def test_no_object_of_another_machine() -> None:
    with pytest.raises(Unlinkable, match="machine 183"):
        link(b"\x7fELF\x02\x01" + bytes(12) + (183).to_bytes(2, "little") + bytes(60), "entry")


def test_the_identity_names_features() -> None:
    assert "sse2" in cpu_identity().split()
