"""Topologies read from made-up sysfs trees, and from this machine against lscpu and the kernel."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from zcframe.affinity import format_cpu_list, nic_node, parse_cpu_list, read_topology
from zcframe.framework.errors import UsageError


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text + "\n")


def make_machine(root: Path, *, offline: Iterable[int] = (), isolated: str = "", numa: bool = True) -> Path:
    """2 sockets x 4 cores x 2 threads, numbered as Linux does: 0-3 and 4-7 are first threads, 8-15 their siblings."""
    online = [cpu for cpu in range(16) if cpu not in offline]
    system = "sys/devices/system/cpu"
    write(root, f"{system}/online", ",".join(map(str, online)))
    write(root, f"{system}/present", "0-15")
    write(root, f"{system}/isolated", isolated)
    for cpu in online:
        siblings = [n for n in (cpu % 8, cpu % 8 + 8) if n in online]
        write(root, f"{system}/cpu{cpu}/topology/core_id", str(cpu % 4))
        write(root, f"{system}/cpu{cpu}/topology/physical_package_id", str(cpu % 8 // 4))
        write(root, f"{system}/cpu{cpu}/topology/core_cpus_list", ",".join(map(str, siblings)))
    if numa:
        write(root, "sys/devices/system/node/node0/cpulist", "0-3,8-11")
        write(root, "sys/devices/system/node/node1/cpulist", "4-7,12-15")
    return root


def test_two_sockets(tmp_path: Path) -> None:
    topology = read_topology(make_machine(tmp_path), range(16))
    assert (topology.packages, topology.nodes, topology.offline, topology.isolated) == ((0, 1), (0, 1), (), ())
    assert topology.cores == tuple((n, n + 8) for n in range(8))
    cpu = topology.find(13)
    assert cpu and (cpu.core, cpu.package, cpu.node, cpu.siblings, cpu.allowed) == (1, 1, 1, (5, 13), True)
    assert topology.find(16) is None


def test_offline_cpus(tmp_path: Path) -> None:
    topology = read_topology(make_machine(tmp_path, offline=(1, 12)), set(range(16)) - {1, 12})
    assert topology.offline == (1, 12) and topology.find(1) is None
    ninth, fourth = topology.find(9), topology.find(4)
    assert ninth and ninth.siblings == (9,)
    assert fourth and fourth.siblings == (4,)


def test_older_kernels_call_the_siblings_otherwise(tmp_path: Path) -> None:
    for folder in (make_machine(tmp_path) / "sys/devices/system/cpu").glob("cpu*/topology"):
        (folder / "core_cpus_list").rename(folder / "thread_siblings_list")
    assert read_topology(tmp_path, range(16)).cores == tuple((n, n + 8) for n in range(8))


def test_no_numa(tmp_path: Path) -> None:
    assert read_topology(make_machine(tmp_path, numa=False), range(16)).nodes == (0,)


def test_no_sysfs(tmp_path: Path) -> None:
    topology = read_topology(tmp_path, [2, 5])
    assert [cpu.number for cpu in topology.cpus] == [2, 5]
    assert topology.cores == ((2,), (5,)) and topology.allowed == (2, 5)


def test_a_mask_is_obeyed(tmp_path: Path) -> None:
    assert read_topology(make_machine(tmp_path), [1, 3, 9]).allowed == (1, 3, 9)


def test_isolated_cpus_are_open_where_only_isolation_hides_them(tmp_path: Path) -> None:
    """The kernel takes isolated CPUs out of every process's mask; it lets one move there all the same."""
    make_machine(tmp_path, isolated="6-7,14-15")
    hidden = set(range(16)) - {6, 7, 14, 15}
    assert read_topology(tmp_path, hidden).allowed == tuple(range(16))
    assert read_topology(tmp_path, hidden - {0}).allowed == tuple(sorted(hidden - {0}))
    assert read_topology(tmp_path, [6, 7]).allowed == (6, 7)


@pytest.mark.parametrize(
    ("cgroup", "file"),
    [
        ("0::/box/inner", "sys/fs/cgroup/box/inner/cpuset.cpus.effective"),
        ("0::/box/inner", "sys/fs/cgroup/box/cpuset.cpus.effective"),  # the controller ends above
        ("0::/elsewhere", "sys/fs/cgroup/cpuset.cpus.effective"),  # a container that sees only its own part
        ("4:cpuset,cpu:/box\n0::/", "sys/fs/cgroup/cpuset/box/cpuset.effective_cpus"),
    ],
)
def test_isolated_cpus_outside_the_cpuset_stay_closed(tmp_path: Path, cgroup: str, file: str) -> None:
    make_machine(tmp_path, isolated="2,6-7")
    write(tmp_path, "proc/self/cgroup", cgroup)
    write(tmp_path, file, "0-3,6")
    assert read_topology(tmp_path, [0, 1, 3]).allowed == (0, 1, 2, 3, 6)
    assert read_topology(tmp_path, [0, 1]).allowed == (0, 1)


@pytest.mark.parametrize(("text", "node"), [("1", 1), ("0", 0), ("-1", None), ("", None), ("?", None)])
def test_node_of_a_nic(tmp_path: Path, text: str, node: int | None) -> None:
    write(tmp_path, "sys/class/net/eth0/device/numa_node", text)
    assert nic_node("eth0", tmp_path) == node
    assert nic_node("lo", tmp_path) is None


def test_this_machine_against_the_kernel() -> None:
    topology = read_topology()
    assert set(os.sched_getaffinity(0)) <= set(topology.allowed)
    assert len(topology.cpus) == os.sysconf("SC_NPROCESSORS_ONLN")


def test_this_machine_against_lscpu() -> None:
    if shutil.which("lscpu") is None:
        pytest.skip("no lscpu")
    text = subprocess.run(["lscpu", "-p=CPU,CORE,SOCKET,NODE"], capture_output=True, text=True, check=True).stdout
    rows = [[int(word or 0) for word in line.split(",")] for line in text.splitlines() if not line.startswith("#")]
    topology = read_topology()
    assert [cpu.number for cpu in topology.cpus] == [row[0] for row in rows]
    assert [cpu.node for cpu in topology.cpus] == [row[3] for row in rows]
    # lscpu numbers cores and sockets itself: what it puts together must be together here, and nothing else.
    cores = {row[1]: tuple(r[0] for r in rows if r[1] == row[1]) for row in rows}
    assert set(topology.cores) == set(cores.values())
    assert len(topology.packages) == len({row[2] for row in rows})


@pytest.mark.parametrize(
    ("text", "cpus"), [("0-3,8", (0, 1, 2, 3, 8)), ("5", (5,)), ("", ()), (" 4 , 2-3\n", (4, 2, 3)), ("7-7", (7,))]
)
def test_cpu_lists(text: str, cpus: tuple[int, ...]) -> None:
    assert parse_cpu_list(text) == cpus


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a", "'a' is not a CPU number"),
        ("0,,1", "'' is not a CPU number"),
        ("0-", "'' is not a CPU number"),
        ("-1", "'' is not a CPU number"),
        ("0-1-2", "'1-2' is not a CPU number"),
        ("1.5", "'1.5' is not a CPU number"),
        ("+1", r"'\+1' is not a CPU number"),
        ("0x1", "'0x1' is not a CPU number"),
        ("٣", "'٣' is not a CPU number"),
        ("3-1", "the range 3-1 runs backwards; write 1-3"),
        ("0-2,1", "CPU 1 is named twice"),
        ("0-99999999999999", "CPU 99999999999999 cannot exist"),
        ("8192", "the highest number is 8191"),
    ],
)
def test_wrong_cpu_lists(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=rf"^--cpus .*{complaint}"):
        parse_cpu_list(text)


@pytest.mark.parametrize(
    ("cpus", "text"), [((8, 0, 1, 2), "0-2,8"), ((), "none"), ((5,), "5"), ((1, 1, 2), "1-2"), ((0, 2, 4), "0,2,4")]
)
def test_cpu_lists_written(cpus: tuple[int, ...], text: str) -> None:
    assert format_cpu_list(cpus) == text
    assert text == "none" or parse_cpu_list(text) == tuple(sorted(set(cpus)))
