"""Settings of real kernel interfaces, in a namespace of their own: as ethtool and sysfs tell them, changed, put back."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from netspace import NetSpace

pytestmark = pytest.mark.needs("root", "namespaces")

QUEUES = 4
# Makes the plan of --tune and another change, says so, and waits to be ended: by its stdin, or by a signal.
HOLDER = """
import sys
from zcframe.affinity import plan_tuning
from zcframe.framework.nic import hold, read_channels
from dataclasses import asdict
holding = hold("v0")
print(holding.told, flush=True)
changes = {change.name: change.after for change in plan_tuning("v0", (0, 1), everything=True).changes}
print(holding.change_all(changes | {"channels": asdict(read_channels("v0").with_queues(3)), "link": "down"}), flush=True)
sys.stdin.read()
holding.undo()
"""
SHOW = (
    "ethtool -l v0; cd /sys/class/net/v0; grep . threaded napi_defer_hard_irqs gro_flush_timeout queues/*/?ps_cpus;"
    " ip link show v0"
)


@pytest.fixture
def space() -> Iterator[NetSpace]:
    with NetSpace() as found:
        found.veth("v0", QUEUES)
        yield found


def shown(space: NetSpace) -> str:
    return space.run("sh", "-c", SHOW)


def receive_queues(space: NetSpace) -> int:
    return int(re.findall(r"^RX:\s+(\d+)$", space.run("ethtool", "-l", "v0"), re.MULTILINE)[-1])


def start_holder(space: NetSpace) -> tuple[subprocess.Popen[str], str]:
    """The process, and what it told of a former one."""
    process = space.start(sys.executable, "-c", HOLDER)
    assert process.stdout is not None
    told, refused = process.stdout.readline().strip(), process.stdout.readline().strip()
    assert refused == "{}"
    return process, told


def check_held(space: NetSpace) -> None:
    """What the holder's plan came to, read where the kernel tells it."""
    assert receive_queues(space) == 3
    assert "state DOWN" in space.run("ip", "link", "show", "v0")
    facts = {name: space.read(f"/sys/class/net/v0/{name}") for name in ("threaded", "napi_defer_hard_irqs")}
    assert facts == {"threaded": "1", "napi_defer_hard_irqs": "100"}
    assert space.read("/sys/class/net/v0/gro_flush_timeout") == "50000"
    masks = [int(space.read(f"/sys/class/net/v0/queues/{path}").replace(",", ""), 16) for path in (
        "rx-0/rps_cpus", "rx-1/rps_cpus", "rx-2/rps_cpus", "tx-1/xps_cpus")]  # fmt: skip
    assert masks == [1, 2, 0, 2]


def test_a_holder_that_ends_puts_everything_back(space: NetSpace) -> None:
    before = shown(space)
    holder, told = start_holder(space)
    check_held(space)
    assert told == ""
    holder.communicate()
    assert shown(space) == before
    assert space.run("find", "/run/zcframe", "-type", "f") == ""


def test_a_holder_that_is_killed_is_undone_by_rss_restore(space: NetSpace) -> None:
    before = shown(space)
    holder, _ = start_holder(space)
    busy = space.zcframe("rss", "restore", "v0")
    assert (busy.returncode, busy.stdout) == (1, "")
    assert busy.stderr == f"zcframe: v0 is held by another run, pid {holder.pid}: end that first\n"
    holder.kill()
    holder.communicate()
    check_held(space)
    done = space.zcframe("rss", "restore")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"v0: put back what was changed by a run that was killed (pid {holder.pid}): ")
    assert shown(space) == before
    assert space.zcframe("rss", "restore", "v0").stdout == "v0: nothing to put back\n"


def test_the_next_holder_puts_back_first(space: NetSpace) -> None:
    before = shown(space)
    killed, _ = start_holder(space)
    killed.kill()
    killed.communicate()
    holder, told = start_holder(space)
    assert told.startswith(f"v0: put back what was changed by a run that was killed (pid {killed.pid}): ")
    check_held(space)
    holder.communicate()
    assert shown(space) == before


def test_channels_are_those_of_ethtool(space: NetSpace) -> None:
    done = space.zcframe("rss", "set", "v0", "--channels", "2")
    assert done.returncode == 0, done
    assert "channels  2 receive queues, of 4" in done.stdout
    assert receive_queues(space) == 2
    space.run("ethtool", "-L", "v0", "rx", 1)
    assert "channels  1 receive queues, of 4" in space.zcframe("rss", "show", "v0").stdout
    assert "rss set" in space.zcframe("rss", "restore", "v0").stdout
    assert receive_queues(space) == QUEUES


def test_the_plan_is_printed_and_nothing_is_changed(space: NetSpace) -> None:
    before = shown(space)
    done = space.zcframe("affinity", "--iface", "v0", "--queues", "2", "--cpus", "0,1")
    assert done.returncode == 0, done
    assert "/sys/class/net/v0/threaded: 0 -> 1" in done.stdout
    assert shown(space) == before


def test_an_interface_that_was_made_again_is_left_alone(space: NetSpace) -> None:
    holder, _ = start_holder(space)
    holder.kill()
    holder.communicate()
    space.run("ip", "link", "del", "v0")
    space.veth("v0", QUEUES)
    before = shown(space)
    assert space.zcframe("rss", "restore").stdout == "v0 that was changed is gone: nothing to put back\n"
    assert shown(space) == before


def test_a_renamed_interface_has_to_get_its_name_back(space: NetSpace) -> None:
    before = shown(space)
    holder, _ = start_holder(space)
    holder.kill()
    holder.communicate()
    space.run("ip", "link", "set", "v0", "name", "cap0")
    done = space.zcframe("rss", "restore")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "zcframe: v0 was changed, and is called cap0 now: ip link set cap0 name v0\n"
    space.run("ip", "link", "set", "cap0", "name", "v0")
    assert space.zcframe("rss", "restore").returncode == 0
    assert shown(space) == before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("set v0", 2, "nothing to set on v0: give --key"),
        ("set v0 --channels 5", 1, "5 channels: the driver allows 1 to 4"),
        ("set v0 --channels 0", 2, "argument --channels: '0' is not a number above 0"),
        ("set v0 --queues 2", 1, "the driver of v0 cannot tell its RSS table"),
        ("set v0 --queues 2 --reta 0,1", 2, "--queues and --reta both set the table"),
        ("set v0 --reta 0;1", 2, "'0;1' is not a list of queues"),
        ("set v0 --rings 100", 1, "the driver of v0 cannot tell its ring sizes"),
        ("set v0 --fields ports", 2, "invalid choice: 'ports'"),
        ("set nothere0 --channels 2", 1, "no interface 'nothere0'"),
        ("symmetric v0", 1, "the driver of v0 cannot tell its RSS table"),
        ("restore nothere0", 1, "no interface 'nothere0'"),
        ("show", 2, "required: IFACE"),
        ("shwo v0", 2, "no verb 'shwo': did you mean show?"),
    ],
)
def test_wrong_usage_is_one_line_and_leaves_nothing(space: NetSpace, words: str, code: int, said: str) -> None:
    before = shown(space)
    done = space.zcframe("rss", *words.split())
    assert (done.returncode, done.stdout) == (code, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("zcframe: ")
    assert said in line
    assert shown(space) == before
    assert space.attempt("find", "/run/zcframe", "-type", "f").stdout == ""


def test_without_root_nothing_is_changed(space: NetSpace) -> None:
    before = shown(space)
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-m", "zcframe", "rss"]
    done = space.attempt(*words, "set", "v0", "--channels", "2")
    assert (done.returncode, done.stdout) == (1, "")
    assert "run as root" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert shown(space) == before
