"""framework/abi.py against the header that is the authority, both ways: by the C compiler, name by name.

The header's own text says which structures, fields and constants there are, so that one which Python lacks fails too;
gcc says where they lie and what they are.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.kit.places import ROOT
from zcframe.framework import abi, config

INCLUDE = ROOT / "kernel" / "include" / "uapi"
HEADER = INCLUDE / "linux" / "pf_zerocopy.h"

STRUCTURES = {
    "zc_desc": "DESC",
    "zc_tx_desc": "TX_DESC",
    "zc_ring_header": "RING_HEADER",
    "zc_user_page": "USER_PAGE",
    "sockaddr_zc": "SOCKADDR",
    "zc_ring_req": "RING_REQ",
    "zc_buffer_req": "BUFFER_REQ",
    "zc_wake_req": "WAKE_REQ",
    "zc_stats": "STATS",
}

# Offsets that compiled code bakes in: DESC_WIRE_LEN is the offset of wire_len in DESC.
OFFSETS_OF = {"DESC": "DESC", "HEADER": "RING_HEADER", "USER": "USER_PAGE"}

# Ours alone.
PYTHON_ONLY = {"PAGE_SIZE", "DESC_SIZE"}

pytestmark = pytest.mark.needs("gcc")


def header_text() -> str:
    return re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)


def header_constants() -> list[str]:
    defined = re.findall(r"^#define\s+(\w+)[ \t]+\S", header_text(), flags=re.MULTILINE)
    assert len(defined) > 40
    return defined


def header_structures() -> dict[str, list[str]]:
    found = re.findall(r"^struct (\w+) \{(.*?)^\};", header_text(), flags=re.MULTILINE | re.DOTALL)
    return {name: re.findall(r"(\w+)(?:\[\w+\])?;", body) for name, body in found}


def python_name(constant: str) -> str:
    return constant.removeprefix("ZC_").removeprefix("ABI_")


def questions() -> Iterator[tuple[str, str]]:
    """Each fact that is compared, under a name, as a C expression."""
    for constant in header_constants():
        yield constant, constant
    for structure, fields in header_structures().items():
        yield structure, f"sizeof(struct {structure})"
        for field in fields:
            yield f"{structure}.{field}", f"offsetof(struct {structure}, {field})"
            yield f"{structure}.{field}.size", f"sizeof(((struct {structure} *)0)->{field})"


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What gcc makes of the header, asked for with warnings as errors."""
    folder = tmp_path_factory.mktemp("abi")
    rows = "\n".join(
        f'    printf("%s\\"{name}\\": %llu", {n} ? ", " : "{{", (unsigned long long)({expression}));'
        for n, (name, expression) in enumerate(questions())
    )
    includes = "#include <stddef.h>\n#include <stdio.h>\n#include <linux/pf_zerocopy.h>\n"
    source = folder / "abi.c"
    source.write_text(f'{includes}int main(void)\n{{\n{rows}\n    printf("}}\\n");\n    return 0;\n}}\n')
    flags = ["-std=c11", "-Wall", "-Wextra", "-Wpadded", "-Wpedantic", "-Werror"]
    command = ["gcc", *flags, "-I", str(INCLUDE), str(source), "-o", str(folder / "abi")]
    subprocess.run(command, check=True)
    answer = subprocess.run([folder / "abi"], check=True, capture_output=True, text=True)
    found: dict[str, int] = json.loads(answer.stdout)
    return found


def view(structure: str) -> np.dtype[Any]:
    found: np.dtype[Any] = getattr(abi, STRUCTURES[structure])
    return found


def test_every_constant_of_the_header_stands_in_python(facts: dict[str, int]) -> None:
    wanted = {python_name(name): facts[name] for name in header_constants()}
    assert {name: getattr(abi, name, "missing") for name in wanted} == wanted


def test_every_constant_of_python_stands_in_the_header() -> None:
    known = {python_name(name) for name in header_constants()} | PYTHON_ONLY
    known |= {name for name, _, _ in baked_offsets()}
    ours = {name for name, value in vars(abi).items() if name.isupper() and isinstance(value, int)}
    assert ours - known == set()


def test_every_structure_of_the_header_has_a_view() -> None:
    assert set(header_structures()) == set(STRUCTURES)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_structure_has_the_same_fields_in_the_same_places(structure: str, facts: dict[str, int]) -> None:
    dtype = view(structure)
    assert dtype.fields is not None
    ours = {name: (offset, field.itemsize) for name, (field, offset, *_) in dtype.fields.items()}
    fields = header_structures()[structure]
    theirs = {name: (facts[f"{structure}.{name}"], facts[f"{structure}.{name}.size"]) for name in fields}
    assert ours == theirs
    assert dtype.itemsize == facts[structure]


def test_numbers_are_unsigned_and_in_the_machines_order() -> None:
    for structure in STRUCTURES:
        for name, (field, *_) in (view(structure).fields or {}).items():
            assert field.kind == "u" or name == "ifname" or name.startswith("reserved"), (structure, name)
            assert field.isnative


def baked_offsets() -> Iterator[tuple[str, str, int]]:
    """(constant, field, value) of each offset constant: a name of ours that the header does not define."""
    in_header = {python_name(name) for name in header_constants()}
    for name, value in vars(abi).items():
        prefix, _, rest = name.partition("_")
        dtype = getattr(abi, OFFSETS_OF.get(prefix, ""), None)
        if isinstance(value, int) and dtype is not None and name not in in_header and rest.lower() in dtype.names:
            yield name, f"{OFFSETS_OF[prefix]}.{rest.lower()}", value


def test_offsets_for_compiled_code_are_those_of_the_header(facts: dict[str, int]) -> None:
    of_view = {view_name: structure for structure, view_name in STRUCTURES.items()}
    offsets = list(baked_offsets())
    assert len(offsets) >= 20
    for name, where, value in offsets:
        structure, field = where.split(".")
        assert value == facts[f"{of_view[structure]}.{field}"], name


def test_the_users_page_and_the_descriptors_after_it_do_not_overlap(facts: dict[str, int]) -> None:
    assert facts["zc_user_page"] <= abi.TX_DESC_OFFSET
    assert facts["zc_ring_header"] <= abi.PAGE_SIZE
    assert abi.PAGE_SIZE % abi.BLOCK_SIZE == 0


def test_the_command_line_knows_the_same_bounds() -> None:
    assert (config.MAX_QUEUES, config.MIN_SLOTS, config.MAX_SLOTS) == (abi.MAX_QUEUES, abi.MIN_SLOTS, abi.MAX_SLOTS)
