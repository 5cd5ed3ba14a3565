"""Settings of real kernel interfaces, in a namespace of their own: as ethtool and sysfs tell them, changed, put back."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from .space import Space

pytestmark = pytest.mark.needs("root", "namespaces", "ethtool")

QUEUES = 4
# Makes the plan of --tune and another change, says so, and waits to be ended: by its stdin, or by a signal.
HOLDER = """
import sys
from zcframe.affinity import plan_tuning
from zcframe.framework.nic import hold, read_channels
from dataclasses import asdict
holding = hold("near")
print(holding.restored, flush=True)
changes = {change.name: change.after for change in plan_tuning("near", (0, 1), everything=True).changes}
print(holding.change_all(changes | {"channels": asdict(read_channels("near").with_queues(3)), "link": "down"}), flush=True)
sys.stdin.read()
holding.undo()
"""
SHOW = (
    "ethtool -l near; cd /sys/class/net/near; grep . threaded napi_defer_hard_irqs gro_flush_timeout queues/*/?ps_cpus;"
    " ip link show near"
)


@pytest.fixture
def space(space: Space) -> Space:
    """With a veth in it."""
    make_veth(space)
    return space


def make_veth(space: Space) -> None:
    """Its NAPI is on, which has settings of its own."""
    space.veth(QUEUES)
    space.run("ethtool", "-K", "near", "gro", "on")


def shown(space: Space) -> str:
    return space.run("sh", "-c", SHOW)


def receive_queues(space: Space) -> int:
    return int(re.findall(r"^RX:\s+(\d+)$", space.run("ethtool", "-l", "near"), re.MULTILINE)[-1])


@contextlib.contextmanager
def holding(space: Space) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and what it told of a former one."""
    with space.start(sys.executable, "-c", HOLDER) as holder:
        assert holder.stdout is not None
        told, refused = holder.stdout.readline().strip(), holder.stdout.readline().strip()
        assert refused == "{}"
        yield holder, told


def kill_holder(space: Space) -> int:
    """One that holds the settings is killed, and leaves them; returns what its pid was."""
    with holding(space) as (holder, _):
        holder.kill()
    return holder.pid


def check_held(space: Space) -> None:
    """What the holder's plan came to, read where the kernel tells it."""
    assert receive_queues(space) == 3
    assert "state DOWN" in space.run("ip", "link", "show", "near")
    facts = {name: space.run("cat", f"/sys/class/net/near/{name}") for name in ("threaded", "napi_defer_hard_irqs")}
    assert facts == {"threaded": "1", "napi_defer_hard_irqs": "100"}
    assert space.run("cat", "/sys/class/net/near/gro_flush_timeout") == "50000"
    masks = [int(space.run("cat", f"/sys/class/net/near/queues/{path}").replace(",", ""), 16) for path in (
        "rx-0/rps_cpus", "rx-1/rps_cpus", "rx-2/rps_cpus", "tx-1/xps_cpus")]  # fmt: skip
    assert masks == [1, 2, 0, 2]


def test_a_holder_that_ends_puts_everything_back(space: Space) -> None:
    before = shown(space)
    with holding(space) as (holder, told):
        check_held(space)
        assert told == ""
        holder.communicate()
    assert shown(space) == before
    assert space.run("find", "/run/zcframe", "-type", "f") == ""


def test_a_holder_that_is_killed_is_undone_by_rss_restore(space: Space) -> None:
    before = shown(space)
    with holding(space) as (holder, _):
        busy = space.zcframe("rss", "restore", "near")
        assert (busy.code, busy.stdout) == (1, "")
        assert busy.stderr == f"zcframe: near is held by another run, pid {holder.pid}: end that first\n"
        holder.kill()
    check_held(space)
    done = space.zcframe("rss", "restore")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"near: put back what was changed by a run that was killed (pid {holder.pid}): ")
    assert shown(space) == before
    assert space.zcframe("rss", "restore", "near").stdout == "near: nothing to put back\n"


def test_the_next_holder_puts_back_first(space: Space) -> None:
    before = shown(space)
    killed = kill_holder(space)
    with holding(space) as (holder, told):
        assert told.startswith(f"near: put back what was changed by a run that was killed (pid {killed}): ")
        check_held(space)
        holder.communicate()
    assert shown(space) == before


def test_channels_are_those_of_ethtool(space: Space) -> None:
    done = space.zcframe("rss", "set", "near", "--channels", "2")
    assert done.code == 0, done
    assert "channels  2 receive queues, of 4" in done.stdout
    assert receive_queues(space) == 2
    space.run("ethtool", "-L", "near", "rx", 1)
    assert "channels  1 receive queues, of 4" in space.zcframe("rss", "show", "near").stdout
    assert "rss set" in space.zcframe("rss", "restore", "near").stdout
    assert receive_queues(space) == QUEUES


def test_the_plan_is_printed_and_nothing_is_changed(space: Space) -> None:
    before = shown(space)
    done = space.zcframe("affinity", "--iface", "near", "--queues", "2", "--cpus", "0,1")
    assert done.code == 0, done
    assert "/sys/class/net/near/threaded: 0 -> 1" in done.stdout
    assert shown(space) == before


def test_an_interface_that_was_made_again_is_left_alone(space: Space) -> None:
    kill_holder(space)
    space.run("ip", "link", "del", "near")
    make_veth(space)
    before = shown(space)
    assert space.zcframe("rss", "restore").stdout == "near that was changed is gone: nothing to put back\n"
    assert shown(space) == before


def test_a_renamed_interface_has_to_get_its_name_back(space: Space) -> None:
    before = shown(space)
    kill_holder(space)
    space.run("ip", "link", "set", "near", "name", "cap0")
    done = space.zcframe("rss", "restore")
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr == "zcframe: near was changed, and is called cap0 now: ip link set cap0 name near\n"
    space.run("ip", "link", "set", "cap0", "name", "near")
    assert space.zcframe("rss", "restore").code == 0
    assert shown(space) == before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("set near", 2, "nothing to set on near: give --key"),
        ("set near --channels 5", 1, "5 channels: the driver allows 1 to 4"),
        ("set near --channels 0", 2, "argument --channels: '0' is not a number above 0"),
        ("set near --queues 2", 1, "the driver of near cannot tell its RSS table"),
        ("set near --queues 2 --reta 0,1", 2, "--queues and --reta both set the table"),
        ("set near --reta 0;1", 2, "'0;1' is not a list of queues"),
        ("set near --rings 100", 1, "the driver of near cannot tell its ring sizes"),
        ("set near --fields ports", 2, "invalid choice: 'ports'"),
        ("set nothere0 --channels 2", 1, "no interface 'nothere0'"),
        ("symmetric near", 1, "the driver of near cannot tell its RSS table"),
        ("restore nothere0", 1, "no interface 'nothere0'"),
        ("show", 2, "required: IFACE"),
        ("shwo near", 2, "no verb 'shwo': did you mean show?"),
    ],
)
def test_wrong_usage_is_one_line_and_leaves_nothing(space: Space, words: str, code: int, said: str) -> None:
    before = shown(space)
    done = space.zcframe("rss", *words.split())
    assert (done.code, done.stdout) == (code, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("zcframe: ")
    assert said in line
    assert shown(space) == before
    assert space.attempt("find", "/run/zcframe", "-type", "f").stdout == ""


def test_without_root_nothing_is_changed(space: Space) -> None:
    before = shown(space)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = space.zcframe("rss", "set", "near", "--channels", "2", launcher=nobody)
    assert (done.code, done.stdout) == (1, "")
    assert "run as root" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert shown(space) == before
