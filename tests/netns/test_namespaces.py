"""Network namespaces and the /sys of others: what `nsenter --net` leaves, user namespaces, and names of interfaces.

Two namespaces have interfaces of the same names here: the index of near in one is that of another interface in the other.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.capture_build import Record, ethernet, pcap
from tests.kit.command import Finished, leave_nothing

from .space import Space

pytestmark = pytest.mark.needs("root", "namespaces", "ethtool")

QUEUES = 3
SHARED_INDEX, INDEX = 50, 70
UNKNOWN_TYPE = 0x88B5
WITHOUT_MOUNTS = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
# What we know of each interface, to be compared with ip.
FACTS = """
import json
from dataclasses import asdict
from zcframe.framework.nic import Interface
from zcframe.framework.nic.link.counters import read_drop_counters
from zcframe.framework.nic.link.namespace import sysfs
from zcframe.framework.nic.link.netlink import links
from zcframe.framework.nic.report.queues import receive_queues
rows = {link.name: asdict(link) | asdict(read_drop_counters(link.index)) | {
    "linked": Interface(link.name).linked, "up": Interface(link.name).up, "identity": Interface(link.name).identity,
    "interrupts": len(Interface(link.name).interrupts or ()), "queues": receive_queues(link.name),
} for link in links()}
print(json.dumps({"sysfs": sysfs().found, "links": rows}))
"""
# The interface that the drivers of a machine's own card would have named so, in /proc/interrupts of the whole machine.
INTERRUPTS = """
import pathlib, sys
from zcframe.framework.nic import Interface, interrupts_of, irqs_of
proc = pathlib.Path(sys.argv[1])
print(irqs_of("near", proc), interrupts_of(Interface("near"), proc))
"""


class Entered(Space):
    """The network namespace of one space with the /sys and /run of another, as `nsenter --net` leaves them."""

    def __init__(self, outer: Space, inner: Space) -> None:
        self._outer, self._inner = outer, inner

    @property
    def enter(self) -> list[str]:
        return [*self._outer.enter, "nsenter", f"--net=/proc/{self._inner.pid}/ns/net", "--"]


@pytest.fixture
def outer(space: Space) -> Space:
    """Its near has the index that other has in the inner one."""
    space.ip(f"link add name near index {SHARED_INDEX} type veth peer name far index {SHARED_INDEX + 1}")
    return space


@pytest.fixture
def inner(outer: Space) -> Iterator[Space]:
    with Space() as made:
        shape = f"numrxqueues {QUEUES} numtxqueues {QUEUES}"
        made.ip(f"link add name other index {SHARED_INDEX} type veth peer name otherp index {SHARED_INDEX + 1}")
        made.ip(f"link add name near index {INDEX} {shape} type veth peer name far index {INDEX + 1} {shape}")
        for name in ("other", "otherp", "near", "far"):
            made.ip(f"link set {name} up")
        made.ip("link property add dev near altname uplink0 altname an-alternative-name-of-many-letters")
        yield made
        leave_nothing()


@pytest.fixture
def entered(outer: Space, inner: Space) -> Entered:
    return Entered(outer, inner)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Twenty frames of a protocol that nobody takes: each interface counts them as dropped."""
    file = tmp_path / "frames.pcap"
    file.write_bytes(pcap([Record(ethernet(bytes(50), UNKNOWN_TYPE))] * 20))
    return file


def has_program(space: Space, name: str) -> bool:
    return "xdp" in space.link(name)


def facts(space: Space) -> Any:
    return json.loads(space.run(sys.executable, "-c", FACTS))


def told_by_ip(space: Space) -> dict[str, dict[str, Any]]:
    """What `ip` tells, in the words of FACTS."""
    found = json.loads(space.run("ip", "-s", "-s", "-d", "-j", "link"))
    indices = {link["ifname"]: link["ifindex"] for link in found}
    return {
        link["ifname"]: {
            "index": link["ifindex"],
            "altnames": link.get("altnames", []),
            "mac": link["address"],
            "mtu": link["mtu"],
            "lower": link.get("link_index") or indices.get(link.get("link"), 0),
            "elsewhere": "link_netnsid" in link,
            "master": indices.get(link.get("master"), 0),
            "kind": link.get("linkinfo", {}).get("info_kind", ""),
            "rx_queues": link["num_rx_queues"],
            "up": "UP" in link["flags"],
            "linked": {"UP", "LOWER_UP"} <= set(link["flags"]),
            "dropped": link["stats64"]["rx"]["dropped"],
            "missed": link["stats64"]["rx"]["missed_errors"],
            "overrun": link["stats64"]["rx"]["fifo_errors"],
        }
        for link in found
    }


def test_xdp_takes_the_interface_that_was_named(entered: Entered, inner: Space, tmp_path: Path, frames: Path) -> None:
    with entered.capture(tmp_path, "--iface", "uplink0", "--backend", "xdp", "--queues", QUEUES) as run:
        assert [has_program(inner, name) for name in ("near", "other")] == [True, False]
        inner.send(frames)
        inner.send(frames, ifname="otherp")
        document = run.flowing(20).stop().document
    assert document["totals"]["packets"] == 20
    assert (document["source"]["names"], {row["iface"] for row in document["queues"]}) == (["near"], {"near"})
    assert not has_program(inner, "near")


def test_tuning_goes_to_this_namespace(
    entered: Entered, outer: Space, inner: Space, tmp_path: Path, frames: Path
) -> None:
    settings = "grep . /sys/class/net/near/threaded /sys/class/net/near/napi_* /sys/class/net/near/queues/*/?ps_cpus"
    for space in (outer, inner):
        space.run("ethtool", "-K", "near", "gro", "on")
    before = [space.run("sh", "-c", settings) for space in (outer, inner)]
    words = ("--iface", "near@far", "--backend", "packet", "--queues", QUEUES, "--tune")
    with entered.capture(tmp_path, *words) as run:
        assert inner.run("cat", "/sys/class/net/near/threaded") == "1"
        assert outer.run("sh", "-c", settings) == before[0]
        inner.send(frames)
        done = run.flowing(20).stop()
    assert done.document["totals"]["packets"] == 20
    assert [space.run("sh", "-c", settings) for space in (outer, inner)] == before
    assert inner.run("mount").count("sysfs") == outer.run("mount").count("sysfs")


def test_every_fact_is_that_of_ip(entered: Entered, outer: Space, inner: Space, frames: Path) -> None:
    inner.ip("link add link near name m0 type macvlan")
    inner.ip("link add br0 type bridge")
    inner.ip("link set otherp master br0")
    inner.ip(f"link add x0 type veth peer name x1 netns {outer.pid}")
    inner.send(frames)
    ours, theirs = facts(entered), told_by_ip(inner)
    assert ours["sysfs"] == "mounted"
    rows = {name: {key: row[key] for key in theirs["near"]} for name, row in ours["links"].items()}
    assert rows == theirs
    assert theirs["near"]["dropped"] == 20
    assert ours["links"]["near"]["identity"] == [INDEX, theirs["near"]["mac"], ""]
    assert (ours["links"]["near"]["queues"], ours["links"]["other"]["queues"]) == (QUEUES, 1)
    # Where /sys is this namespace's, it is read as it is; the facts are the same.
    assert facts(inner) == ours | {"sysfs": "there"}
    # As ip prints it: the peer is in another namespace.
    (printed,) = re.findall(r"x0@if\d+", inner.run("ip", "link", "show", "x0"))
    assert entered.zcframe("rss", "show", printed).stdout.startswith("interface x0,")


def said(space: Space, *words: object) -> str:
    """The one line that refuses it."""
    done = space.zcframe(*words)
    (line,) = done.stderr.splitlines()
    assert (done.code, done.stdout) in ((1, ""), (2, "")), done
    return line.removeprefix("zcframe: ")


def test_names_are_understood_wherever_one_is_taken(entered: Entered, inner: Space) -> None:
    assert "near@far:" in inner.run("ip", "link", "show", "near")
    named = {
        "uplink0": ("rss", "show", "uplink0", "--json"),
        "near@far": ("rss", "show", "near@far", "--json"),
        "an-alternative-name-of-many-letters": ("rss", "show", "an-alternative-name-of-many-letters", "--json"),
    }
    assert {entered.zcframe(*words).document["interface"] for words in named.values()} == {"near"}
    assert entered.zcframe("nic", "status", "uplink0", "--json").document["interfaces"][0]["interface"] == "near"
    assert "tuning of near," in entered.zcframe("affinity", "--iface", "uplink0", "--queues", 1).stdout
    assert "near: nothing to put back" in entered.zcframe("rss", "restore", "near@far").stdout
    found = entered.zcframe("nic", "list", "--json").document["virtual"]
    assert [port["name"] for port in found] == ["far", "lo", "near", "other", "otherp"]


def test_the_doctor_examines_the_interface_of_this_namespace(entered: Entered, outer: Space, inner: Space) -> None:
    steering = "/sys/class/net/near/queues/rx-0/rps_cpus"
    for space in (outer, inner):
        space.run("sh", "-c", f"echo 1 > {steering}")
    checks = {c["name"]: c for c in entered.zcframe("doctor", "--iface", "uplink0", "--json").document["checks"]}
    assert checks["capture"]["text"] == "zcframe run --iface near uses packet"
    assert checks["link"]["text"].startswith("near is up and has its link")
    assert "mounted for this command alone" in checks["sysfs"]["text"]
    # What it says mends it does, and nothing else.
    assert checks["rps"]["state"] == "warn"
    entered.run("sh", "-c", checks["rps"]["remedy"])
    assert [int(space.run("cat", steering), 16) for space in (outer, inner)] == [1, 0]


def test_other_names_are_refused_in_one_line(entered: Entered) -> None:
    known = "far, lo, near, other, otherp"
    assert said(entered, "run", "--iface", "uplink1") == (
        f"there is no interface 'uplink1': {known}; did you mean uplink0?"
    )
    assert said(entered, "rss", "show", "zzz") == f"there is no interface 'zzz': {known}"
    # Its peer is another one.
    assert said(entered, "doctor", "--iface", "near@if9").startswith("there is no interface 'near@if9'")
    assert said(entered, "affinity", "--iface", "near@other").startswith("there is no interface 'near@other'")
    assert said(entered, "run", "--iface", "near", "uplink0") == "--iface near uplink0: both are near, named twice"


def changes(done: Finished) -> list[str]:
    """Files of sysfs that `affinity` would write."""
    return re.findall(r"^  (/sys/\S+): ", done.stdout, re.MULTILINE)


def test_without_the_right_to_mount_another_sys_is_not_used(entered: Entered, inner: Space) -> None:
    words = ("affinity", "--iface", "near", "--queues", 1)
    done = entered.zcframe(*words, launcher=WITHOUT_MOUNTS)
    assert done.code == 0
    assert changes(done) == []
    (warning,) = re.findall(r"^warning: (.*)$", done.stdout, re.MULTILINE)
    assert "nothing proves that /sys shows this network namespace" in warning
    assert set(changes(entered.zcframe(*words))) == set(changes(inner.zcframe(*words))) != set()
    # What else there is to know does not need it.
    checks = {
        check["name"]: check["state"]
        for check in entered.zcframe("doctor", "--iface", "near", "--json", launcher=WITHOUT_MOUNTS).document["checks"]
    }
    assert (checks["sysfs"], checks["rps"], checks["link"], checks["capture"]) == ("none", "none", "ok", "ok")
    plan = entered.zcframe(
        "run", "--iface", "near", "--backend", "xdp", "--queues", QUEUES, "--check", "--json", launcher=WITHOUT_MOUNTS
    )
    assert (plan.code, len(plan.document["queues"])) == (0, QUEUES)


@pytest.mark.parametrize("options", [["--net"], ["--user", "--map-root-user", "--net"]], ids=["net", "user"])
def test_a_new_namespace_under_an_old_sys(outer: Space, options: list[str]) -> None:
    """A process that made its namespaces itself, also with no right outside of them."""
    new = ["unshare", *options, "sh", "-c", 'ip link add name near type veth peer name far && exec "$@"', "sh"]
    ours = json.loads(outer.run(*new, sys.executable, "-c", FACTS))
    assert (ours["sysfs"], set(ours["links"])) == ("mounted", {"lo", "near", "far"})
    assert ours["links"]["near"]["index"] != SHARED_INDEX
    done = outer.zcframe("affinity", "--iface", "near", "--queues", 1, launcher=new)
    assert "/sys/class/net/near/threaded" in changes(done)


def test_a_sys_that_is_read_only_stays_so(space: Space) -> None:
    """As containers have it: what is this namespace's is used as it is."""
    space.veth()
    space.run("mount", "-o", "remount,bind,ro", "/sys")
    assert facts(space)["sysfs"] == "there"
    done = space.zcframe("run", "--iface", "near", "--queues", 1, "--tune", "--duration", 0.3)
    assert done.code == 0
    assert "Read-only file system" in done.stderr
    assert space.run("cat", "/sys/class/net/near/threaded") == "0"


def test_interrupts_of_a_namesake_are_not_taken(space: Space, tmp_path: Path) -> None:
    """Those of the whole machine are in one table: a card in another namespace may be called the same."""
    space.veth()
    (tmp_path / "interrupts").write_text(" 24:  1  PCI-MSIX  0-edge  near-rxtx-0\n")
    assert space.run(sys.executable, "-c", INTERRUPTS, tmp_path) == "{0: 24} {}"
