"""Settings of real kernel interfaces, in a namespace of their own: as ethtool and sysfs tell them, changed, put back."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.kit.command import PROGRAM, until

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
    "ethtool -l {0}; cd /sys/class/net/{0}; grep . threaded napi_defer_hard_irqs gro_flush_timeout queues/*/?ps_cpus;"
    " ip link show {0}"
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


def shown(space: Space, ifname: str = "near") -> str:
    return space.run("sh", "-c", SHOW.format(ifname))


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


# Tries to change what a veth without NAPI refuses, and is killed when the file has the former value, before the write.
KILLED_BETWEEN = """
import os, signal, sys
from zcframe.framework.nic import hold
module = sys.modules["zcframe.framework.nic.settings.hold"]
module.write_setting = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
hold("near").change("/sys/class/net/near/threaded", "1")
"""
THREADED = "/sys/class/net/near/threaded"
# What a program says on stderr comes on its stdout as well.
WITH_STDERR = ("sh", "-c", 'exec "$@" 2>&1', "sh")
TUNE_NEAR = ("--json", "--tune", "--queues", 1, "--plugin", "sizes", "--iface", "near")
TUNE = ("run", "--duration", 0.3, *TUNE_NEAR)


def without_napi(space: Space) -> str:
    """GRO is off, as it is by default: the kernel then refuses each write to threaded, of the value it has as well."""
    space.run("ethtool", "-K", "near", "gro", "off")
    assert space.attempt("sh", "-c", f"echo 0 > {THREADED}").returncode != 0
    return shown(space)


def on_file(space: Space) -> str:
    return space.attempt("find", "/run/zcframe", "-type", "f").stdout.strip()


def test_what_the_kernel_refuses_does_not_stay_on_file(space: Space) -> None:
    before = without_napi(space)
    for _ in range(2):
        done = space.zcframe(*TUNE)
        assert done.code == 0, done
        assert f"zcframe: warning: --tune: {THREADED}: Operation not supported; it stays as it is\n" in done.stderr
        assert (shown(space), on_file(space)) == (before, "")
    assert space.zcframe("rss", "restore").stdout == "nothing to put back\n"


def test_a_kill_between_file_and_write_is_undone(space: Space) -> None:
    before = without_napi(space)
    assert space.attempt(sys.executable, "-c", KILLED_BETWEEN).returncode != 0
    assert on_file(space)
    done = space.zcframe("rss", "restore")
    assert (done.code, done.stderr) == (0, ""), done
    assert done.stdout.startswith("near: put back what was changed by a run that was killed")
    assert (shown(space), on_file(space)) == (before, "")


def test_what_cannot_be_put_back_is_told_and_stays_on_file(space: Space) -> None:
    """Its NAPI goes under the run, and comes back later."""
    with space.start(*WITH_STDERR, *PROGRAM, "run", *TUNE_NEAR) as run:
        until(lambda: space.run("cat", THREADED) == "1")
        space.run("ethtool", "-K", "near", "gro", "off")
        run.terminate()
        told, _ = run.communicate()
    assert run.returncode == 0, told
    line = (
        f"near cannot be put back: {THREADED}: Operation not supported; it stays on file, and zcframe rss restore near"
    )
    assert line in told
    assert space.run("cat", THREADED) == "1"
    again = space.zcframe("rss", "restore")
    assert (again.code, line in again.stderr) == (1, True), again
    run_again = space.zcframe(*TUNE)
    assert (run_again.code, run_again.stderr.count(line)) == (0, 2), run_again
    space.run("ethtool", "-K", "near", "gro", "on")
    assert space.zcframe("rss", "restore").code == 0
    assert (space.run("cat", THREADED), on_file(space)) == ("0", "")


def test_nothing_is_changed_where_sysfs_takes_nothing(space: Space) -> None:
    before = shown(space)
    space.run("mount", "-o", "remount,ro", "/sys")
    done = space.zcframe(*TUNE)
    assert done.code == 0, done
    assert f"--tune: {THREADED}: Read-only file system; it stays as it is" in done.stderr
    assert (shown(space), on_file(space)) == (before, "")


def test_xdp_puts_back_what_needs_its_program(space: Space) -> None:
    """A veth without GRO has NAPI only as long as a program is on it. Both ends are tuned."""
    before, far = without_napi(space), shown(space, "far")
    done = space.zcframe(*TUNE, "far", "--backend", "xdp", "--queues", QUEUES, "--ring-slots", 64)
    assert (done.code, f"tune: {THREADED}: 0 -> 1" in done.stderr) == (0, True), done
    assert "Operation not supported" not in done.stderr
    assert "cannot be put back" not in done.stderr
    assert (shown(space), shown(space, "far"), on_file(space)) == (before, far, "")


def test_network_namespaces_have_records_of_their_own(space: Space) -> None:
    """Three namespaces with a near each, and one /run; one of them is the machine's own as far as it can be told."""
    inner = ["ip", "netns", "exec", "other"]
    space.ip("netns add other")
    space.ip(f"-n other link add near index {index_of(space)} numrxqueues 4 numtxqueues 4 type veth peer name far")
    space.run(*inner, "ip", "link", "set", "near", "address", space.run("cat", "/sys/class/net/near/address"))
    assert space.zcframe("rss", "set", "near", "--channels", "3").code == 0
    assert space.zcframe("rss", "set", "near", "--channels", "2", launcher=inner).code == 0
    done = space.zcframe("rss", "restore", launcher=inner)
    assert (done.code, done.stdout.splitlines()[0]) == (
        0,
        "near: put back what was changed by zcframe rss set: channels",
    )
    inode = space.run("readlink", "/proc/self/ns/net").strip("net:[]")
    assert f"near in network namespace {inode}: left alone; zcframe rss restore in it puts it back" in done.stdout
    assert receive_queues(space) == 3
    assert re.findall(r"^RX:\s+(\d+)$", space.run(*inner, "ethtool", "-l", "near"), re.MULTILINE)[-1] == "4"
    with holding(space) as (holder, _):
        refused = space.zcframe("rss", "restore", "near")
        assert f"held by another run, pid {holder.pid}" in refused.stderr
        assert space.zcframe("rss", "set", "near", "--channels", "1", launcher=inner).code == 0
        assert space.zcframe("rss", "restore", "near", launcher=inner).code == 0
        holder.communicate()
    assert space.zcframe("rss", "restore").code == 0
    assert receive_queues(space) == QUEUES
    assert space.run("find", "/run/zcframe", "-mindepth", "1") == ""


def index_of(space: Space) -> int:
    return int(space.run("cat", "/sys/class/net/near/ifindex"))


def test_a_record_of_version_0_1_is_still_found(space: Space) -> None:
    """It lies by name alone, wherever it is from; one that is of another near is left alone."""
    assert space.zcframe("rss", "set", "near", "--channels", "2").code == 0
    (file,) = on_file(space).splitlines()
    record = json.loads(space.run("cat", file))
    assert record.pop("netns").startswith("netns-")
    old = "/run/zcframe/set/near.json"
    space.run(
        "sh", "-c", f"rm -r /run/zcframe/netns-*; mkdir -p -m 700 /run/zcframe/set; echo '{json.dumps(record)}' > {old}"
    )
    other = record | {"mac": "02:00:00:00:00:01"}
    space.run("sh", "-c", f"echo '{json.dumps(other)}' > /run/zcframe/near.json")
    assert "rss set" in space.zcframe("rss", "restore").stdout
    assert receive_queues(space) == QUEUES
    assert on_file(space) == "/run/zcframe/near.json"


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
