"""State in huge pages: the same results as in small ones, and small ones where there are no others."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kit.places import BUNDLED
from tests.kit.rig import Frame, bound, run
from zcframe import PASS, Array, plugin, u64
from zcframe.framework.ring import Mapping, seal_writes
from zcframe.framework.ring import large as large_module
from zcframe.framework.ring.large import (
    HUGETLB,
    SMALL,
    TRANSPARENT,
    LargeMemory,
    free_huge_pages,
    make_large_memory,
    shared_mode,
)
from zcframe.framework.sources.capture import frames
from zcframe.framework.state.shared import StateMemory

MIB = 1 << 20
PLUGINS = ["flows", "sizes", "talkers"]
KINDS = [
    SMALL,
    pytest.param(TRANSPARENT, marks=pytest.mark.needs("shmem_huge")),
    pytest.param(HUGETLB, marks=pytest.mark.needs("hugepages")),
]


@plugin
class Counted:
    """Packets, in 16 MiB."""

    counts = Array(u64, 1 << 14)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.counts[0] += 1
        return PASS


@pytest.fixture(params=KINDS)
def pages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kind of pages that memory is to get: nothing larger seems to be there."""
    kind: str = request.param
    if kind != HUGETLB:
        monkeypatch.setattr(large_module, "free_huge_pages", lambda: 0)
    if kind == SMALL:
        monkeypatch.setattr(large_module, "shared_mode", lambda: "never")
    return kind


@pytest.fixture
def make() -> Iterator[Callable[[int], LargeMemory]]:
    made = []

    def make_it(size: int) -> LargeMemory:
        made.append(make_large_memory("zc-test", size, reserve=False))
        return made[-1]

    yield make_it
    for memory in made:
        os.close(memory.fd)


def smaps(address: int) -> dict[str, int]:
    """Fields in KiB of the mapping that begins at `address`, as the kernel counts them."""
    text = Path("/proc/self/smaps").read_text()
    begin = text.index(f"\n{address:x}-") + 1
    fields = re.findall(r"^(\w+): +(\d+) kB$", text[begin : text.index("VmFlags", begin)], re.MULTILINE)
    return {name: int(kib) for name, kib in fields}


def address_space() -> int:
    """Bytes of addresses that this process has mapped."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")


def test_memory_lies_in_pages_of_that_kind(pages: str, make: Callable[[int], LargeMemory]) -> None:
    memory = make(5 * MIB)
    mapping = memory.map(writable=True)
    assert mapping.address % (2 * MIB) == 0, "no huge page can be where the state begins"
    mapping.view("u1", 0, 5 * MIB)[:] = 7
    told = smaps(mapping.address)
    assert memory.pages == pages
    assert memory.size == (5 if pages == SMALL else 6) * MIB
    assert told["KernelPageSize"] == (2048 if pages == HUGETLB else 4)
    if pages == TRANSPARENT:
        assert told["ShmemPmdMapped"] >= 2048
    mapping.close()


def test_seals_hold(pages: str, make: Callable[[int], LargeMemory]) -> None:
    memory = make(5 * MIB)
    writer = memory.map(writable=True)
    seal_writes(memory.fd)
    with pytest.raises(PermissionError):
        memory.map(writable=True)
    with pytest.raises(PermissionError):
        os.ftruncate(memory.fd, 4 * MIB)
    reader = memory.map(writable=False)
    writer.view("u1", 3 * MIB, 1)[:] = 9
    assert reader.view("u1", 3 * MIB, 1)[0] == 9
    for mapping in (writer, reader):
        mapping.close()


def test_only_shards_that_were_written_are_copied(pages: str) -> None:
    layout = bound(Counted).layout
    state = StateMemory([layout, layout])
    cells = state._mapping.view("u8", 0, state.size // 8)
    at = (layout.size + 5 * layout.shard_size + 4096) // 8
    for value in (3, 0, 4):
        cells[at] = value
        copied = state.copy(1, 5)
        assert copied is not None
        assert (copied.view("u8")[512], state.copied(1, 5) is None) == (value, False)
    untouched = state.copy(0, 77)
    assert untouched is None or (pages == TRANSPARENT and not untouched.any())
    state.close()


@pytest.mark.long
def test_results_are_the_same(pages: str, monkeypatch: pytest.MonkeyPatch) -> None:
    packets = [Frame(frame, ns) for frame, _, ns in frames(str(BUNDLED))][:3000]
    with run(PLUGINS, packets) as rig:
        found = [rig.report(name) for name in PLUGINS], rig.ledger()
    monkeypatch.setattr(large_module, "free_huge_pages", lambda: 0)
    monkeypatch.setattr(large_module, "shared_mode", lambda: "never")
    with run(PLUGINS, packets) as rig:
        assert ([rig.report(name) for name in PLUGINS], rig.ledger()) == found


def test_a_mapping_leaves_nothing_behind(pages: str, make: Callable[[int], LargeMemory]) -> None:
    memory = make(5 * MIB)
    before = address_space()
    for _ in range(64):
        mapping = memory.map(writable=True)
        view = mapping.view("u1", 5 * MIB - 1)
        mapping.close()
        assert view[0] == 0, "a view keeps the mapping alive"
    del mapping, view
    assert address_space() - before < 10 * memory.size


def test_what_is_told_and_not_there(monkeypatch: pytest.MonkeyPatch, make: Callable[[int], LargeMemory]) -> None:
    """Somebody else was faster, or a cgroup has its limit: small pages, without a word."""
    monkeypatch.setattr(large_module, "free_huge_pages", lambda: 1 << 40)
    memory = make(1 << 40)
    assert memory.pages != HUGETLB
    memory.map(writable=True).close()


def test_small_memory_stays_in_small_pages(make: Callable[[int], LargeMemory]) -> None:
    assert make(2 * MIB - 1)[1:] == (2 * MIB - 1, SMALL)


def test_what_the_machine_says(tmp_path: Path) -> None:
    assert (free_huge_pages(tmp_path), shared_mode(tmp_path)) == (0, "")
    for path, text in {
        "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages": "12\n",
        "sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages": "5\n",
        "sys/kernel/mm/transparent_hugepage/shmem_enabled": "always within_size [advise] never deny force\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert (free_huge_pages(tmp_path), shared_mode(tmp_path)) == (7, "advise")


def test_advice_that_the_kernel_does_not_take() -> None:
    fd = os.memfd_create("zc-test")
    os.ftruncate(fd, 4096)
    mapping = Mapping(fd, 4096, writable=True)
    mapping.advise(9999)
    mapping.advise(mmap.MADV_WILLNEED)
    mapping.close()
    os.close(fd)
