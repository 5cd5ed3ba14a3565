"""What becomes of an interface: told as the kernel's own tools make it happen, in a network namespace of its own."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from zcframe.framework.nic.link.watch import LinkState, LinkWatch, compare, link_state

UP = LinkState("v0", True, True, 1500)

# Run below `unshare --net`: a command, then the kinds of change that it made.
SCRIPT = """
import json, select, socket, subprocess, sys
from zcframe.framework.nic.link.watch import LinkWatch

def run(*words):
    subprocess.run(["ip", *words], check=True)

run("link", "add", "v0", "type", "veth", "peer", "name", "v1")
run("link", "set", "v1", "up")
watch = LinkWatch(socket.if_nametoindex("v0"))
poller = select.poll()
poller.register(watch, select.POLLIN)
told = []
for words in json.loads(sys.argv[1]):
    run(*words)
    made = []
    # A link's state follows some time after what changed it.
    while poller.poll(1000 if made else 10000):
        made += [[change.kind, change.text] for change in watch.changes()]
    told.append(made)
print(json.dumps(told))
"""


@pytest.mark.long
@pytest.mark.needs("root", "namespaces")
def test_each_change_is_told_once() -> None:
    commands = [
        "link set v0 up",
        "link set v1 down",
        "link set v1 up",
        "link set v0 mtu 1400",
        "link set v0 down",
        "link set v0 name lan0",
        "link del lan0",
    ]
    words = json.dumps([command.split() for command in commands])
    script = [sys.executable, "-c", SCRIPT, words]
    done = subprocess.run(["unshare", "--net", *script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    kinds = [[kind for kind, _ in changes] for changes in told]
    assert kinds == [["up"], ["unlinked"], ["linked"], ["mtu"], ["down"], ["renamed"], ["gone"]]
    texts = [text for changes in told for _, text in changes]
    assert texts[0] == "v0 is up again"
    assert texts[3] == "the MTU of v0 is 1400 now, was 1500"
    assert texts[5] == "v0 is called lan0 now; the capture goes on"


def test_nothing_happened() -> None:
    assert compare(UP, UP) == []


def test_several_things_at_once() -> None:
    found = compare(UP, LinkState("lan0", False, False, 9000))
    assert [change.kind for change in found] == ["renamed", "mtu", "down"]


def test_after_the_end_nothing_is_told() -> None:
    watch = LinkWatch(1)
    watch._state = None
    assert watch.changes() == []
    watch.close()


def test_an_index_that_is_not_there() -> None:
    with pytest.raises(OSError, match="no interface with index 2147483"):
        LinkWatch(2147483)


def test_the_state_is_the_kernels_own() -> None:
    net = Path("/sys/class/net/lo")
    flags = int((net / "flags").read_text(), 16)
    mtu = int((net / "mtu").read_text())
    found = link_state(socket.if_nametoindex("lo"))
    assert found == LinkState("lo", bool(flags & 1), bool(flags & 1), mtu)
    assert link_state(2147483) is None


# Run below `unshare --net`: the state is read as fast as it can be while the interface is renamed again and again.
RENAMED = """
import socket, subprocess
from zcframe.framework.nic.link.watch import link_state

subprocess.run(["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"], check=True)
index = socket.if_nametoindex("v0")
lines = "".join(f"link set v{n} name v{n + 1}\\n" for n in (0, *range(2, 60)))
lines = lines.replace("name v1\\n", "name v2\\n")
renamer = subprocess.Popen(["ip", "-batch", "-"], stdin=subprocess.PIPE, text=True)
renamer.stdin.write(lines)
renamer.stdin.close()
names = set()
while renamer.poll() is None:
    names.add(getattr(link_state(index), "name", None))
names.add(link_state(index).name)
assert renamer.returncode == 0
print(None in names, "v60" in names, len(names) > 1)
"""


@pytest.mark.needs("root", "namespaces")
def test_an_interface_that_is_being_renamed_is_there() -> None:
    script = ["unshare", "--net", sys.executable, "-c", RENAMED]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.stdout == "False True True\n", done.stderr


def test_nobody_is_woken_for_nothing() -> None:
    watch = LinkWatch(1)
    poller = select.poll()
    poller.register(watch, select.POLLIN)
    assert poller.poll(0) == []
    watch.close()


def test_backends_are_chosen_by_driver(tmp_path: Path) -> None:
    from zcframe.framework.errors import NicError
    from zcframe.framework.sources.backends import choose_backend

    for name, driver in (("zc0", "zc82576"), ("eth0", "igb")):
        (tmp_path / "drivers" / driver).mkdir(parents=True)
        (tmp_path / "net" / name / "device").mkdir(parents=True)
        (tmp_path / "net" / name / "device" / "driver").symlink_to(tmp_path / "drivers" / driver)
    (tmp_path / "net" / "lo").mkdir()
    root = tmp_path / "net"
    assert [choose_backend(name, "auto", root).name for name in ("zc0", "eth0", "lo")] == [
        "zerocopy",
        "packet",
        "packet",
    ]
    assert choose_backend("zc0", "packet", root).name == "packet"
    with pytest.raises(NicError, match="no interface 'eth9'"):
        choose_backend("eth9", "xdp", root)
