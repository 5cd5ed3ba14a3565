"""Ids of kernel functions: out of type information written here, and out of the running kernel's."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from zcframe.framework.sources.xdp.btf import VMLINUX, function_ids

NAMES = b"\0int\0tell_time\0near\0tell\0ar\0"
# A type of each kind, numbered as Documentation/bpf/btf.rst numbers them: words behind the three, for two parts.
KINDS = [(1, 1), (2, 0), (3, 3), (4, 6), (5, 6), (6, 4), (7, 0), (8, 0), (9, 0), (10, 0), (11, 0), (13, 4), (14, 1)]
KINDS += [(15, 6), (16, 0), (17, 1), (18, 0), (19, 6)]


def type_of(kind: int, name: str = "", words: int = 0, parts: int = 2) -> bytes:
    at = NAMES.index(b"\0" + name.encode() + b"\0") + 1 if name else 0
    # Filled with what would be a function, were it a type.
    return struct.pack("=III", at, kind << 24 | parts, 0) + struct.pack("=I", 12 << 24) * words


def file_of(folder: Path, types: bytes, magic: int = 0xEB9F, header: int = 24) -> Path:
    path = folder / "btf"
    head = struct.pack("=HBBIIIII", magic, 1, 0, header, 0, len(types), len(types), len(NAMES))
    path.write_bytes(head.ljust(header, b"\0") + types + NAMES)
    return path


def test_types_of_every_kind_are_counted(tmp_path: Path) -> None:
    """A function's linkage stands where others tell the number of their parts."""
    types = b"".join(type_of(kind, "tell_time", words) for kind, words in KINDS)
    types += type_of(12, "tell", parts=1) + type_of(12, "near", parts=0) + type_of(12, "tell_time", parts=2)
    path = file_of(tmp_path, types, header=32)
    assert function_ids(["tell", "tell_time", "far", "ar", "int"], path) == {"tell": 19, "tell_time": 21}


def test_a_kernel_that_tells_nothing_has_no_functions(tmp_path: Path) -> None:
    assert function_ids(["tell"], tmp_path / "none") == {}
    assert function_ids(["tell"], file_of(tmp_path, type_of(12, "tell"), magic=0x9FEB)) == {}
    assert function_ids(["tell"], file_of(tmp_path, type_of(20, "tell"))) == {}
    for octets in (b"", b"\x9f\xeb", file_of(tmp_path, type_of(12, "tell") + b"\0\0\0\0").read_bytes()):
        path = tmp_path / "cut"
        path.write_bytes(octets)
        assert function_ids(["tell"], path) == {}


@pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel tells no types (CONFIG_DEBUG_INFO_BTF)")
def test_the_running_kernel_has_functions_and_no_types_among_them() -> None:
    found = function_ids(["schedule", "ksys_read", "task_struct", "int", "no_such_function"])
    assert found.keys() == {"schedule", "ksys_read"}
    assert found["schedule"] != found["ksys_read"]


@pytest.mark.skipif(not shutil.which("bpftool"), reason="bpftool is not installed")
@pytest.mark.needs("root")
def test_as_bpftool_counts() -> None:
    text = subprocess.run(["bpftool", "btf", "dump", "file", str(VMLINUX)], capture_output=True, text=True).stdout
    names = ["schedule", "ksys_read", "bpf_xdp_metadata_rx_hash"]
    listed = {name: int(number) for number, name in re.findall(r"^\[(\d+)\] FUNC '(\w+)'", text, re.MULTILINE)}
    assert function_ids(names) == {name: listed[name] for name in names if name in listed}
