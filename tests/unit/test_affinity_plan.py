"""Plans for made-up machines: a pure function, so each rule is one line."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import pytest

from zcframe.affinity import Cpu, Topology, make_plan
from zcframe.framework.errors import UsageError
from zcframe.framework.show.placement import placement_lines


def machine(
    *, offline: Iterable[int] = (), isolated: Iterable[int] = (), allowed: Iterable[int] = range(16)
) -> Topology:
    """2 sockets (a NUMA node each) x 4 cores x 2 threads: 0-3 and 4-7 are first threads, 8-15 their siblings."""
    online = [n for n in range(16) if n not in set(offline)]
    isolated, allowed = set(isolated), set(allowed)
    return Topology(
        tuple(
            Cpu(
                n, n % 4, n % 8 // 4, n % 8 // 4,
                tuple(s for s in (n % 8, n % 8 + 8) if s in online), n in isolated, n in allowed,
            )
            for n in online
        ),
        tuple(sorted(set(offline))),
    )  # fmt: skip


def test_physical_cores_first_then_their_siblings() -> None:
    plan = make_plan(machine(), 16)
    assert plan.cpus == (*range(8), *range(8, 16)) and plan.warnings == ()
    assert plan.assignments[3].reason == "physical core 3 of package 0, NUMA node 0"
    assert plan.assignments[11].reason == "SMT sibling of CPU 3, NUMA node 0"


def test_the_node_of_the_nic_first() -> None:
    plan = make_plan(machine(), 12, nic_node=1)
    assert plan.cpus == (4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15) and plan.warnings == ()
    assert plan.assignments[0].reason == "physical core 0 of package 1, NUMA node 1, the NIC's"
    assert plan.assignments[4].reason == "physical core 0 of package 0, NUMA node 0, the NIC is on 1"


def test_isolated_cpus_first() -> None:
    plan = make_plan(machine(isolated=(6, 7, 14)), 6)
    assert plan.cpus == (6, 7, 14, 0, 1, 2)
    assert plan.assignments[0].reason == "isolated, physical core 2 of package 1, NUMA node 1"
    assert plan.assignments[2].reason == "isolated, SMT sibling of CPU 6, NUMA node 1"


def test_isolated_cpus_before_the_node_of_the_nic() -> None:
    assert make_plan(machine(isolated=(6,)), 3, nic_node=0).cpus == (6, 0, 1)


def test_the_sibling_of_an_isolated_thread_is_a_second_thread() -> None:
    assert make_plan(machine(isolated=(14,)), 9).cpus == (14, 0, 1, 2, 3, 4, 5, 7, 8)


def test_isolated_cpus_that_are_closed() -> None:
    plan = make_plan(machine(isolated=(6, 7), allowed=range(6)), 2)
    assert plan.cpus == (0, 1)
    assert plan.warnings == ("isolated CPUs 6-7 are closed to this process (cpuset or taskset)",)


def test_offline_cpus_are_left_out() -> None:
    """The second thread of a core whose first one is offline is a core of its own."""
    assert make_plan(machine(offline=(0, 5)), 8).cpus == (1, 2, 3, 8, 4, 6, 7, 13)


def test_the_cpuset_is_kept() -> None:
    assert make_plan(machine(allowed=(1, 9, 3, 12)), 4).cpus == (1, 3, 12, 9)


def test_more_queues_than_cpus() -> None:
    plan = make_plan(machine(allowed=(0, 1, 2)), 8)
    assert plan.cpus == (0, 1, 2, 0, 1, 2, 0, 1)
    assert plan.warnings == ("8 workers share 3 CPUs (0-2) in turn, up to 3 on one",)
    assert plan.assignments[7].reason == "shared with worker 1"


def test_a_list_keeps_its_order() -> None:
    plan = make_plan(machine(), 3, " 9,1,4 ")
    assert plan.cpus == (9, 1, 4) and plan.warnings == ()
    assert plan.assignments[1].reason == "SMT sibling of CPU 9, NUMA node 0"
    assert make_plan(machine(), 2, "7-9").cpus == (7, 8)
    assert make_plan(machine(), 5, "3,2").cpus == (3, 2, 3, 2, 3)


def test_a_list_away_from_the_nic() -> None:
    warning = "no worker runs on NUMA node 1, where the NIC is: every packet crosses between nodes"
    assert make_plan(machine(), 2, "0-1", nic_node=1).warnings == (warning,)
    assert make_plan(machine(), 2, "0-7", nic_node=1).warnings == (warning,)
    assert make_plan(machine(allowed=(0, 1)), 2, nic_node=1).warnings == (warning,)


@pytest.mark.parametrize(
    ("cpus", "complaint"),
    [
        ("0,16", "--cpus 0,16: CPU 16 does not exist; usable here: 0-2,4"),
        ("3", "--cpus 3: CPU 3 is offline; usable here: 0-2,4"),
        ("5", r"--cpus 5: CPU 5 is closed to this process \(cpuset or taskset\); usable here: 0-2,4"),
        ("", '--cpus "": no CPU named; usable here: 0-2,4'),
        ("all", "--cpus all: 'all' is not a CPU number"),
        ("0,0", "--cpus 0,0: CPU 0 is named twice"),
    ],
)
def test_wrong_lists(cpus: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=f"^{complaint}"):
        make_plan(machine(offline=(3,), allowed=(0, 1, 2, 4)), 2, cpus)


@pytest.mark.parametrize("queues", [0, -3])
def test_no_workers(queues: int) -> None:
    with pytest.raises(UsageError, match=f"--queues {queues}: at least one worker"):
        make_plan(machine(), queues)


def test_nowhere_to_run() -> None:
    with pytest.raises(UsageError, match="this process may run on no CPU that is online"):
        make_plan(machine(allowed=()), 1)


def test_plans_are_values() -> None:
    plan = make_plan(machine(), 2)
    assert plan == make_plan(machine(), 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.assignments = ()  # type: ignore[misc]


def test_description() -> None:
    topology = machine(offline=(15,), isolated=(6,), allowed=range(8))
    lines = placement_lines(make_plan(topology, 9, nic_node=1), topology)
    assert lines[:2] == [
        "online: 15 CPUs, 8 physical cores, 2 packages, 2 NUMA nodes",
        "offline 15; isolated 6; open to this process 0-7",
    ]
    assert lines[2] == "  node 0  package 0  core   0  CPUs 0,8  closed 8"
    assert lines[8:10] == [
        "  node 1  package 1  core   2  CPUs 6,14  isolated 6  closed 14",
        "  node 1  package 1  core   3  CPUs 7",
    ]
    assert lines[10:12] == [
        "plan for 9 workers, --cpus auto",
        "  worker  0 -> CPU   6  isolated, physical core 2 of package 1, NUMA node 1, the NIC's",
    ]
    assert lines[-2:] == [
        "  worker  8 -> CPU   6  shared with worker 0",
        "warning: 9 workers share 8 CPUs (0-7) in turn, up to 2 on one",
    ]
