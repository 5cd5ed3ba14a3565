"""Interfaces whose frames have no Ethernet header, and all interfaces at once: as tcpdump sees them."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dpkt
import pytest

from tests.kit import reference
from tests.kit.capture_build import Record, pcap
from tests.kit.command import Finished, until
from tests.kit.places import BUNDLED

from .programs.tun import LAST
from .space import Space, program_of

pytestmark = pytest.mark.needs("root", "namespaces", "tcpdump")

FLOWS = ("--plugin", "flows?top=100000")
# How tuns are made, and by what header tcpdump puts in front of what it records from them.
RAW = ((), ("info=1", "queues=2", "hardware=768"), ("vnet=1", "hardware=776"))
COOKED = (("hardware=512",), ("hardware=519", "info=1"), ("hardware=778",))
SLL_HEADER = 16


@contextlib.contextmanager
def tcpdump(space: Space, ifname: str, file: Path, link_type: str, last: bytes = LAST) -> Iterator[None]:
    """Records while the block lasts, up to the frame that holds `last`."""
    command = f"exec tcpdump --time-stamp-precision=nano -B 65536 -U -Z root -i {ifname} -w {file} 2>&1"
    with space.start("sh", "-c", command) as dump:
        assert dump.stdout is not None
        listening = next(line for line in dump.stdout if "listening on" in line)
        assert f"link-type {link_type} " in listening
        yield
        until(lambda: last in file.read_bytes(), 20, f"the last frame of {ifname}")
        dump.terminate()
        assert "\n0 packets dropped by kernel" in dump.stdout.read()


def order(owner: subprocess.Popen[str], word: str, answer: str) -> None:
    """Tell a tun's owner something, and wait for its answer."""
    assert owner.stdin is not None and owner.stdout is not None
    if word:
        owner.stdin.write(f"{word}\n")
    assert owner.stdout.readline() == f"{answer}\n"


@contextlib.contextmanager
def tuns(space: Space, *kinds: tuple[str, ...]) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """tun0, tun1, ..., up, and their owners."""
    with contextlib.ExitStack() as stack:
        owners = {}
        for i, options in enumerate(kinds):
            owner = stack.enter_context(space.start(*program_of("tun"), f"tun{i}", BUNDLED, *options))
            owners[f"tun{i}"] = owner
            order(owner, "", "ready")
        yield owners


def recorded(file: Path, header: int) -> list[int]:
    """Lengths of the packets in a capture, without their link headers, as dpkt reads them."""
    with file.open("rb") as opened:
        return [len(data) - header for _, data in dpkt.pcap.UniversalReader(opened)]


def without_headers(flows: dict[str, Any], header: int) -> list[dict[str, Any]]:
    """Flows of a capture whose packets bear so long a header that is not on the wire; their order is by bytes."""
    rows = [flow | {"bytes": flow["bytes"] - header * flow["packets"]} for flow in flows["top"]]
    return sorted(rows, key=json.dumps)


@pytest.mark.parametrize(("kinds", "link_type", "header"), [(RAW, "RAW", 0), (COOKED, "LINUX_SLL", SLL_HEADER)])
def test_as_tcpdump_records_it(
    space: Space, tmp_path: Path, kinds: tuple[tuple[str, ...], ...], link_type: str, header: int
) -> None:
    """Both directions, packets above the MTU and a long one for the card to cut: live, and from tcpdump's files."""
    files = {f"tun{i}": tmp_path / f"tun{i}.pcap" for i in range(len(kinds))}
    with tuns(space, *kinds) as owners, contextlib.ExitStack() as stack:
        for name, file in files.items():
            stack.enter_context(tcpdump(space, name, file, link_type))
        with space.capture(tmp_path, *FLOWS, "--queues", 2, "--iface", *owners) as run:
            for owner in owners.values():
                order(owner, "go", "sent")
            stack.close()
            lengths = {name: recorded(file, header) for name, file in files.items()}
            done = run.wait_for(sum(map(len, lengths.values()))).stop()
    read = space.zcframe("run", "--json", *FLOWS, "--read", *files.values())
    assert (done.code, read.code) == (0, 0), done.stderr
    found: dict[str, list[int]] = {name: [0, 0] for name in files}
    for row in done.document["queues"]:
        assert row["packets"] > 0
        found[row["iface"]][0] += row["packets"]
        found[row["iface"]][1] += row["bytes"]
    assert found == {name: [len(sizes), sum(sizes)] for name, sizes in lengths.items()}
    assert done.document["source"]["link_types"] == read.document["source"]["link_types"] == [link_type]
    assert done.ledger["truncated"] == 0
    live, file_ = done.document["plugins"]["flows"], read.document["plugins"]["flows"]
    assert live["count"] == file_["count"] > 1000
    assert without_headers(live, 0) == without_headers(file_, header)


def test_down_killed_and_gone(space: Space, tmp_path: Path) -> None:
    """As with Ethernet: it may be down at first, workers are replaced, and its end is the capture's."""
    count = ("--plugin", "sizes")
    with tuns(space, ("queues=2",)) as owners:
        space.ip("link set tun0 down")
        with space.capture(tmp_path, *count, "--iface", "tun0", "--queues", 2, "--fanout", "qm") as run:
            space.ip("link set tun0 up")
            run.wait_to_hear("tun0 is up again")
            for worker in run.workers():
                worker.kill()
            order(owners["tun0"], "go", "sent")
            sent = space.link("tun0")["stats64"]["rx"] | {"out": 8}
            run.replaced(2).wait_for(sent["packets"] + sent["out"])
            owners["tun0"].kill()
            done = run.finish()
    assert done.code == 1 and "tun0 is down" in done.stderr and "tun0 is gone" in done.stderr
    rows = done.document["queues"]
    assert done.document["plugins"]["sizes"]["packets"] == sent["packets"] + sent["out"]
    # Packets went in by both queues in turn.
    assert min(row["packets"] for row in rows) >= sent["packets"] // 2


def test_without_an_owner_it_has_no_queue(space: Space) -> None:
    space.ip("tuntap add idle mode tun")
    done = space.zcframe("run", "--iface", "idle", "--rss-key", "microsoft")
    (line,) = done.stderr.splitlines()
    assert done.code == 1 and "idle" in line and "RSS" in line


@pytest.mark.parametrize("hardware", [65534, 512])
def test_both_directions_come_to_one_worker(space: Space, hardware: int) -> None:
    found = json.loads(space.run(*program_of("answered"), hardware))
    saw = [{(address, out) for address, out in pairs} for pairs in found]
    addresses = [{address for address, _ in one} for one in saw]
    assert len(set.union(*addresses)) == 60 == sum(map(len, addresses))
    assert all(len(one) == 2 * len(known) > 10 for one, known in zip(saw, addresses, strict=True))


REFUSED = {280: "CAN frames", 32: "InfiniBand frames", 803: "monitor mode", 4711: "neither Ethernet frames nor"}


def test_what_holds_no_ip(space: Space) -> None:
    with tuns(space, *((f"hardware={number}",) for number in REFUSED)) as owners:
        for ifname, (number, say) in zip(owners, REFUSED.items(), strict=True):
            done = space.zcframe("run", "--check", "--iface", ifname)
            (line,) = done.stderr.splitlines()
            assert done.code == 1 and say in line
            assert f"{ifname} cannot be captured: hardware type {number}" in line


def test_xdp_wants_ethernet(space: Space) -> None:
    with tuns(space, ()):
        done = space.zcframe("run", "--iface", "tun0", "--backend", "xdp", "--force")
    assert done.code == 1
    (line,) = done.stderr.splitlines()
    assert "tun0 has no Ethernet frames" in line and "--backend packet" in line


# Is in the last of these packets.
END = b"nor anywhere else"
LOOP = f"""
import socket
receiver, sender = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
receiver.bind(("127.0.0.1", 4711))
for text in (*map(bytes, range(29)), {END}):
    sender.sendto(text, ("127.0.0.1", 4711))
"""


def untagged(folder: Path, packets: list[reference.Packet]) -> Path:
    """The bundled trace without VLAN tags: of outgoing ones the kernel tells tcpdump too little to read on behind them."""
    file = folder / "untagged.pcap"
    plain = [packet.frame for packet in packets if packet.frame[12:14] not in (b"\x81\x00", b"\x88\xa8", b"\x91\x00")]
    file.write_bytes(pcap(map(Record, plain)))
    return file


def test_any(space: Space, tmp_path: Path, packets: list[reference.Packet]) -> None:
    """Each packet once for each interface that it passes, those that come later too; and some of no IP at all."""
    space.veth()
    file = tmp_path / "any.pcap"
    with tuns(space, ()) as owners, contextlib.ExitStack() as stack:
        stack.enter_context(tcpdump(space, "any", file, "LINUX_SLL2", END))
        with space.capture(tmp_path, *FLOWS, "--queues", 2, "--iface", "any", "--fanout", "ip-pair") as run:
            order(owners["tun0"], "go", "sent")
            space.ip("link add here type veth peer name there")
            for words in ("link set here up", "link set there up", "link set far down", "link del near"):
                space.ip(words)
            space.send(untagged(tmp_path, packets), ifname="here")
            space.run("python3", "-c", LOOP)
            stack.close()
            wanted = by_interface(file)
            done = run.wait_for(sum(wanted.values())).stop()
    read = space.zcframe("run", "--json", *FLOWS, "--read", file)
    check_any(done, read, wanted)


def by_interface(file: Path) -> dict[int, int]:
    """Packets by the interface that tcpdump saw them on, by dpkt."""
    found: dict[int, int] = {}
    with file.open("rb") as opened:
        for _, data in dpkt.pcap.UniversalReader(opened):
            index = int.from_bytes(data[4:8])
            found[index] = found.get(index, 0) + 1
    return found


def check_any(done: Finished, read: Finished, wanted: dict[int, int]) -> None:
    assert done.code == 0, done.stderr
    # lo, tun0, and both ends of the pair that came later.
    assert wanted[1] == 30 and len(wanted) >= 4
    assert done.document["totals"]["packets"] == sum(wanted.values())
    assert done.document["source"] == {
        "kind": "iface",
        "names": ["any"],
        "backend": "packet",
        "link_types": ["LINUX_SLL2"],
        "promiscuous": False,
    }
    live, file_ = done.document["plugins"]["flows"], read.document["plugins"]["flows"]
    assert (live["count"], live["packets"]) == (file_["count"], file_["packets"])
    for flow in (*live["top"], *file_["top"]):
        del flow["bytes"]
    assert sorted(live["top"], key=json.dumps) == sorted(file_["top"], key=json.dumps)
