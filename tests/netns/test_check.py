"""`zcframe run --check` on interfaces: how many queues a run would have unasked, and the memory that it would take."""

from __future__ import annotations

import json
import sys

import pytest

from tests.kit.command import zcframe

from .space import Space

pytestmark = pytest.mark.needs("root", "namespaces", "ethtool")

SLOTS = 256
# Opens the source of a run, maps all that its workers do, and prints what was told, and what the kernel shows: the sizes
# of all memory that has a name of ours, and of the mappings of sockets.
SHOWN = """
import json, os, sys
from zcframe.framework.config import load
from zcframe.framework.sources.opening import open_source
from zcframe.framework.supervisor.prepare import prepare, run_plan
prepared = prepare(load(json.loads(sys.argv[1])))
source = open_source(prepared.source_plan)
told = run_plan(prepared, source).memory
ends = [ring.consumer() for ring in source.rings]
files = {}
for fd in os.listdir("/proc/self/fd"):
    try:
        name = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        continue
    if name.startswith("/memfd:zc-") and "progress" not in name:
        found = os.stat(f"/proc/self/fd/{fd}")
        files[found.st_ino] = found.st_blocks * 512
sockets = 0
for line in open("/proc/self/maps"):
    if "socket:[" in line:
        first, last = line.split()[0].split("-")
        sockets += int(last, 16) - int(first, 16)
print(json.dumps([told, sum(files.values()) + sockets]))
"""


@pytest.mark.parametrize(
    "options",
    [
        {"backend": "packet", "queues": "2"},
        {"backend": "xdp", "queues": "2"},
        {"backend": "xdp", "queues": "5"},
        {"backend": "xdp", "queues": "2", "iface": ["near", "far"]},
        {"iface": None, "queues": "3", "loop": "1"},
    ],
    ids=str,
)
def test_the_memory_that_is_told_is_taken(space: Space, options: dict[str, object]) -> None:
    space.veth(2)
    given = {"iface": ["near"], "ring_slots": str(SLOTS)} | options
    text = json.dumps({name: value for name, value in given.items() if value is not None})
    told, shown = json.loads(space.run(sys.executable, "-c", SHOWN, text))
    assert told == shown


def test_xdp_pins_four_chunks_a_slot(space: Space) -> None:
    """As docs/xdp.md has it: 32 MiB a worker by default; all else is small beside it."""
    space.veth(2)
    plan = space.zcframe("run", "--iface", "near", "--backend", "xdp", "--check", "--json").document
    assert len(plan["queues"]) == 2
    assert 64 << 20 < plan["memory"] < 68 << 20


@pytest.mark.parametrize(
    ("words", "cpus", "queues"),
    [
        ("--backend packet", "0,1", 2),
        ("--backend packet", "0", 1),
        ("--fanout qm", "0,1", 2),
        ("--backend xdp", "0,1", 3),
        ("--backend xdp --queues 4", "0,1", 4),
        ("--queues 8", "0,1", 8),
        ("", "0,1", 2),
    ],
)
def test_queues_that_nobody_asked_for_suit_source_and_cpus(space: Space, words: str, cpus: str, queues: int) -> None:
    """By packet one a CPU; by xdp one a receive queue, of which there are three."""
    space.veth(3)
    done = space.zcframe("run", "--iface", "near", "--check", "--json", "--cpus", cpus, *words.split())
    assert [row["queue"] for row in done.document["queues"]] == [
        worker % 3 if "xdp" in words else worker for worker in range(queues)
    ]


def test_workers_by_queue_are_no_more_than_queues(space: Space) -> None:
    space.veth(1)
    done = space.zcframe("run", "--iface", "near", "--check", "--json", "--cpus", "0,1", "--fanout", "qm")
    assert len(done.document["queues"]) == 1


def test_two_interfaces_share_the_cpus(space: Space) -> None:
    space.veth(1)
    done = space.zcframe("run", "--iface", "near", "far", "--check", "--json", "--cpus", "0,1")
    assert [(row["iface"], row["queue"]) for row in done.document["queues"]] == [("near", 0), ("far", 0)]


def test_files_keep_eight_queues() -> None:
    assert len(zcframe("run", "--check", "--json").document["queues"]) == 8


def test_the_advice_to_have_fewer_queues_works(space: Space) -> None:
    """A veth has receive queues, and no combined ones."""
    space.veth(4)
    words = ("run", "--iface", "near", "--backend", "xdp", "--queues", 1, "--check")
    refused = space.zcframe(*words)
    (line,) = refused.complaints
    advice = line.rpartition(", or ")[2]
    assert (refused.code, advice) == (1, "ethtool -L near rx 1")
    space.run(*advice.split())
    assert space.zcframe(*words).code == 0
