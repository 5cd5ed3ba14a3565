"""What AF_XDP refuses, in one clear line, and what becomes of a run whose interface changes under it."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit import reference
from tests.kit.checks import check_books
from tests.kit.command import until
from tests.kit.places import BUNDLED

from .space import Space, program_of

pytestmark = pytest.mark.needs("root", "namespaces")

CHECK = ("run", "--backend", "xdp", "--check", "--iface")
NEAR = ("--backend", "xdp", "--iface", "near", "--queues", 1)
AF_XDP = 44
# With nothing in it, no driver is asked anything.
BTF = "/sys/kernel/btf/vmlinux"


def default_route(space: Space) -> str:
    space.veth(1)
    space.ip("address add 192.0.2.1/24 dev near")
    space.ip("route add default via 192.0.2.2")
    return "near"


def default_route_6(space: Space) -> str:
    space.veth(1)
    space.run("sysctl", "-qw", "net.ipv6.conf.near.disable_ipv6=0")
    space.ip("-6 route add default dev near")
    return "near"


def multipath_route(space: Space) -> str:
    space.veth(1)
    space.ip("address add 192.0.2.1/24 dev far")
    space.ip("address add 198.51.100.1/24 dev near")
    space.ip("route add default nexthop via 192.0.2.2 dev far nexthop via 198.51.100.2 dev near")
    return "near"


def bridge_member(space: Space) -> str:
    space.veth(1)
    for words in ("link add br0 type bridge", "link set br0 up", "link set near master br0"):
        space.ip(words)
    space.ip("address add 192.0.2.1/24 dev br0")
    space.ip("route add default via 192.0.2.2")
    return "near"


@pytest.mark.parametrize("make", [default_route, default_route_6, multipath_route, bridge_member])
def test_the_way_out_of_this_machine_is_not_taken(space: Space, make: Callable[[Space], str]) -> None:
    name = make(space)
    done = space.zcframe(*CHECK, name, "--queues", 1)
    assert done.code == 1
    assert done.complaints == [
        f"zcframe: {name} carries this machine's default route, and AF_XDP would take all of its traffic: use"
        " --backend packet, or --force"
    ]
    assert space.zcframe(*CHECK, name, "--queues", 1, "--force").code == 0


def test_an_interface_beside_the_way_out_is_taken(space: Space) -> None:
    default_route(space)
    assert space.zcframe(*CHECK, "far", "--queues", 1).code == 0


WITHOUT = "setpriv --bounding-set {caps} --inh-caps {caps} --"


@pytest.mark.parametrize(
    ("caps", "named"),
    [
        ("-net_raw", "CAP_NET_RAW (to open AF_XDP sockets)"),
        ("-net_admin", "CAP_NET_ADMIN (to attach a program)"),
        ("-bpf,-sys_admin,-net_raw", "CAP_BPF (to load it), CAP_NET_RAW (to open AF_XDP sockets)"),
        ("-all", "CAP_NET_ADMIN (to attach a program), CAP_BPF (to load it), CAP_NET_RAW (to open AF_XDP sockets)"),
    ],
)
def test_a_missing_capability_is_named(space: Space, caps: str, named: str) -> None:
    space.veth(1)
    done = space.zcframe(*CHECK, "near", "--queues", 1, launcher=WITHOUT.format(caps=caps).split())
    assert done.code == 1
    # Root lacks what the container does not give it.
    (complaint,) = done.complaints
    assert complaint.startswith(f"zcframe: AF_XDP needs {named}: --cap-add NET_")
    assert "for a container, CapabilityBoundingSet=CAP_" in complaint


@pytest.mark.parametrize(
    ("launcher", "more", "said"),
    [
        (f"{' '.join(map(str, program_of('without')))} {AF_XDP}", "", "no AF_XDP (CONFIG_XDP_SOCKETS)"),
        (
            f"prlimit --memlock=1048576 {WITHOUT.format(caps='-ipc_lock')}",
            "",
            "no permission to pin 32 MiB a queue: raise RLIMIT_MEMLOCK",
        ),
        (
            "",
            "--queues 2",
            "near has 3 receive queues, and --queues 2 would leave some without a worker: use --queues 3",
        ),
    ],
    ids=["kernel", "memlock", "queues"],
)
def test_what_cannot_be_is_said_in_one_line(space: Space, launcher: str, more: str, said: str) -> None:
    space.veth(3)
    done = space.zcframe(*CHECK, "near", "--queues", 3, *more.split(), launcher=shlex.split(launcher))
    assert done.code == 1
    assert len(done.complaints) == 1
    assert said in done.complaints[0]


def test_a_card_that_does_not_tell_its_settings_is_not_verified(space: Space) -> None:
    space.veth(2)
    done = space.zcframe(*CHECK, "near", "--queues", 2, "--verify-rss")
    assert (done.code, done.complaints) == (1, ["zcframe: --verify-rss: the driver of near cannot tell its RSS table"])


def test_an_mtu_beyond_a_page_is_refused(space: Space) -> None:
    space.veth(1, mtu=9000)
    done = space.zcframe(*CHECK, "near", "--queues", 1)
    assert (done.code, len(done.complaints)) == (1, 1)
    limit = re.search(r"ip link set near mtu (\d+)", done.complaints[0])
    assert limit
    space.ip(f"link set near mtu {limit[1]}")
    assert space.zcframe(*CHECK, "near", "--queues", 1).code == 0


def test_an_mtu_beyond_what_the_driver_takes_is_no_number(space: Space) -> None:
    space.veth(1, mtu=3700)
    done = space.zcframe("run", "--json", *NEAR, "--duration", 0.1)
    assert done.code == 0
    assert "in generic mode, since the MTU of 3700 is too large for its driver to run a program\n" in done.stderr


@pytest.mark.parametrize(("backend", "limit"), [("xdp", 16), ("xdp", 24), ("packet", 26)])
def test_too_few_descriptors_are_a_limit_to_raise(space: Space, backend: str, limit: int) -> None:
    space.veth(1)
    words = ("run", "--json", "--iface", "near", "--backend", backend, "--queues", 2, "--duration", 0.1)
    done = space.zcframe(*words, launcher=["prlimit", f"--nofile={limit}"])
    assert done.code == 1
    (line,) = done.complaints
    assert "ulimit -n" in line and "--queues" in line and "[Errno" not in line


# Puts a program on near that lets all pass, in the way that is named; it stays when this ends, but for "held".
FOREIGN = """
import ctypes, os, socket, struct, sys
from pyroute2 import IPRoute
from zcframe.framework.sources.ebpf import bpf
from zcframe.framework.sources.ebpf.assembler import Assembler
how, index = sys.argv[1], socket.if_nametoindex("near")
code = Assembler()
code.alu("mov", 0, 2)
code.leave()
fd = bpf.load_program(code.assemble())
if how == "by netlink":
    with IPRoute() as route:
        route.link("set", index=index, xdp_fd=fd)
elif how == "by netlink, generic":
    with IPRoute() as route:
        route.link("set", index=index, xdp_fd=fd, xdp_flags=2)
else:
    link = bpf.attach(fd, index, bpf.MODE_NATIVE)
    if how == "pinned":
        os.makedirs("/run/bpf")
        ctypes.CDLL(None).mount(b"bpf", b"/run/bpf", b"bpf", 0, None)
        path = ctypes.create_string_buffer(b"/run/bpf/link")
        bpf._bpf(6, struct.pack("=QII", ctypes.addressof(path), link, 0))
print("ready", flush=True)
if how == "held":
    sys.stdin.read()
"""
# What `bpftool link detach id N` does.
DETACH = """
import struct, sys
from zcframe.framework.sources.ebpf import bpf
fd = bpf._bpf(bpf.LINK_BY_ID, struct.pack("=III", int(sys.argv[1]), 0, 0))
bpf._bpf(34, struct.pack("=I", fd))
"""


@pytest.mark.parametrize("how", ["by netlink", "by netlink, generic", "held", "pinned"])
def test_a_program_of_somebody_else_stays_until_it_is_taken_away_as_advised(space: Space, how: str) -> None:
    space.veth(1)
    with space.start(sys.executable, "-c", FOREIGN, how) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        before = space.link("near")["xdp"]
        done = space.zcframe("run", *NEAR)
        assert (done.code, len(done.complaints)) == (1, 1)
        number = before["prog"]["id"] if "prog" in before else before["attached"][0]["prog"]["id"]
        assert f"near has an XDP program already, number {number}" in done.complaints[0]
        assert space.link("near")["xdp"] == before
        advised = re.search(r"take it away by (.*), or use --backend packet", done.complaints[0])
        assert advised
        check_what_others_say(space, advised[1])
        words = advised[1].split()
        if words[0] == "bpftool":
            assert words[:-1] == ["bpftool", "link", "detach", "id"] and how == "pinned"
            words = [sys.executable, "-c", DETACH, words[-1]]
        assert (words == ["kill", str(owner.pid)]) == (how == "held")
        space.run(*words)
        until(lambda: "xdp" not in space.link("near"), what="the program is still there")


def check_what_others_say(space: Space, remedy: str) -> None:
    """The doctor, and a capture by packet sockets, to which only comes what the program lets pass."""
    checks = {check["name"]: check for check in space.zcframe("doctor", "--json", "--iface", "near").document["checks"]}
    assert {checks[name]["state"] for name in ("program", "capture")} == {"warn"}
    assert checks["program"]["remedy"] == checks["capture"]["remedy"] == remedy
    done = space.zcframe("run", "--json", "--iface", "near", "--queues", 1, "--duration", 0.1)
    assert done.code == 0
    assert f"only what it lets pass is seen; {remedy} takes it off" in done.stderr


# Holds queue 0 of near, without a program, until stdin is closed.
HOLDER = """
import ctypes, mmap, socket, struct, sys
memory = mmap.mmap(-1, 64 * 4096)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
xsk = socket.socket(44, socket.SOCK_RAW, 0)
xsk.setsockopt(283, 4, struct.pack("=QQIIII", address, 64 * 4096, 4096, 0, 0, 0))
for ring in (5, 6, 2):
    xsk.setsockopt(283, ring, struct.pack("=I", 64))
where = struct.pack("=HHIII", 44, 0, socket.if_nametoindex("near"), 0, 0)
print("ready" if ctypes.CDLL(None).bind(xsk.fileno(), where, len(where)) == 0 else "no", flush=True)
sys.stdin.read()
"""


def test_a_queue_that_another_socket_holds_is_named(space: Space) -> None:
    space.veth(1)
    with space.start(sys.executable, "-c", HOLDER) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        done = space.zcframe("run", *NEAR)
    assert done.complaints == ["zcframe: queue 0 of near is taken: another AF_XDP socket holds it"]
    assert done.code == 1
    assert "xdp" not in space.link("near")


def test_a_second_capture_is_refused_and_the_first_goes_on(space: Space, tmp_path: Path) -> None:
    space.veth(1)
    with space.capture(tmp_path, *NEAR) as run:
        done = space.zcframe("run", *NEAR)
        assert (done.code, len(done.complaints)) == (1, 1)
        assert "near has an XDP program already" in done.complaints[0]
        assert f"take it away by kill {run.pid}, or use" in done.complaints[0]
        space.send(BUNDLED)
        document = run.stop(signal.SIGINT).document
    assert document["totals"]["packets"] == len(reference.read(BUNDLED).packets)


def test_a_card_that_spreads_as_it_likes_is_no_reason_to_stop(space: Space, tmp_path: Path) -> None:
    space.veth(2)
    with space.capture(tmp_path, *NEAR, "--queues", 2, "--rss-key", "microsoft") as run:
        run.wait_to_hear("the driver of near cannot tell its RSS table; its queues are chosen as it likes")
        assert run.stop(signal.SIGINT).code == 0


@pytest.mark.skipif(not shutil.which("ethtool"), reason="ethtool is not installed")
def test_tags_that_an_interface_takes_off_are_spoken_of(space: Space, tmp_path: Path) -> None:
    space.veth(1)
    space.run("mount", "--bind", "/dev/null", BTF)
    with space.capture(tmp_path, *NEAR) as run:
        run.wait_to_hear("near may take VLAN tags off: ethtool -K near rxvlan off keeps them")
        run.stop(signal.SIGINT)
    space.run("ethtool", "-K", "near", "rxvlan", "off")
    with space.capture(tmp_path, *NEAR) as run:
        run.stop(signal.SIGINT)
        assert "VLAN" not in run.stderr


# --- changes during a run


def test_down_at_the_start_and_during_the_run(space: Space, tmp_path: Path) -> None:
    count = len(reference.read(BUNDLED).packets)
    space.veth(1)
    space.ip("link set near down")
    with space.capture(tmp_path, *NEAR) as run:
        run.wait_to_hear("near is down: nothing comes until somebody brings it up")
        space.ip("link set near up")
        run.wait_to_hear("near is up again")
        space.send(BUNDLED)
        run.flowing(count)
        space.ip("link set near down")
        run.wait_to_hear("near went down")
        space.ip("link set near up")
        until(lambda: space.link("far")["operstate"] == "UP", 10)
        space.send(BUNDLED)
        run.flowing(2 * count)
        done = run.stop(signal.SIGINT)
    assert done.code == 0
    assert check_books(done.document)["packets"] == 2 * count
    assert space.link("near")["operstate"] == "UP"


def test_renamed_during_the_run(space: Space, tmp_path: Path) -> None:
    count = len(reference.read(BUNDLED).packets)
    space.veth(1)
    with space.capture(tmp_path, *NEAR) as run:
        space.ip("link set near down")
        space.ip("link set near name lan0")
        space.ip("link set lan0 up")
        run.wait_to_hear("near is called lan0 now")
        until(lambda: space.link("far")["operstate"] == "UP", 10)
        space.send(BUNDLED)
        run.flowing(count)
        done = run.stop(signal.SIGINT)
    assert done.code == 0
    assert check_books(done.document)["packets"] == count
    assert "xdp" not in space.link("lan0")


@pytest.mark.parametrize("how", ["link del near", "link set near netns {other}"], ids=["removed", "moved"])
def test_gone_during_the_run(space: Space, tmp_path: Path, how: str) -> None:
    """What came before counts, the command says what happened and ends with 1."""
    count = len(reference.read(BUNDLED).packets)
    space.veth(1)
    with Space() as other, space.capture(tmp_path, *NEAR) as run:
        space.send(BUNDLED)
        run.flowing(count)
        space.ip(how.format(other=other.pid))
        done = run.finish(20)
    assert (done.code, len(done.complaints)) == (1, 1)
    assert "near is gone" in done.complaints[0]
    assert check_books(done.document)["packets"] == count
