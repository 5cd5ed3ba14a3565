"""Outputs on taps and other interfaces: what programs that capture live read there, and what is left of them."""

from __future__ import annotations

import contextlib
import itertools
import random
import signal
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_outputs import check_ledger, frames_of
from tests.kit.command import Background, until
from tests.kit.places import BUNDLED

from .space import Space, program_of

pytestmark = pytest.mark.needs("root", "namespaces", "tcpdump")

FRAMES = 60_000
# Of a batch of a writer: as docs/outputs.md says.
BATCH = 256
WRITERS_KILLED = 12


def words(source: Path, *more: object) -> tuple[object, ...]:
    return "run", "--json", "--queues", 2, "--read", source, "--plugin", "sizes", *more


def tcpdump(name: str, file: Path) -> Sequence[object]:
    return "tcpdump", "-Z", "root", "-B", 16384, "-i", name, "-w", file


def share(run: Background) -> dict[str, Any]:
    """The row of the only share at the last look."""
    found: dict[str, Any] = list(run.ticks())[-1]["outputs"][0]["shares"][0]
    return found


def is_up(space: Space, name: str) -> bool:
    done = space.attempt("ip", "-o", "link", "show", name)
    return done.returncode == 0 and ",UP" in done.stdout


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of 50 pairs of hosts, each with its number in its last four bytes."""
    path, rng = tmp_path_factory.mktemp("trace") / "numbered.pcap", random.Random(14)
    with path.open("wb") as file:
        file.write(struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
        for number in range(FRAMES):
            size = rng.choice((60, 60, 90, 1514))
            ip = struct.pack(">BBHHHBBHII", 0x45, 0, size - 14, 0, 0, 64, 17, 0, 0x0A000000 | rng.randrange(50), 11)
            head = b"\2" * 12 + b"\x08\0" + ip + struct.pack(">HHHH", 1000, 53, size - 34, 0)
            frame = (head + bytes(size - len(head)))[: size - 4] + number.to_bytes(4, "big")
            file.write(struct.pack("=IIII", 1_700_000_000, number * 1000, size, size) + frame)
    return path


@pytest.mark.needs("tshark")
def test_a_tap_a_share(space: Space, tmp_path: Path) -> None:
    """Nothing flows before the last reader is there, the kernel adds nothing, and the taps are gone afterwards."""
    space.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0")
    files = [tmp_path / "zc0.pcap", tmp_path / "zc1.pcap"]
    run = Background(
        tmp_path, *words(BUNDLED, "--pps", "20k", "--out", "tap:zc{}", "--shares", 2), launcher=space.enter
    )
    with run, contextlib.ExitStack() as readers:
        run.wait_until(lambda: is_up(space, "zc1"), "the taps")
        programs = [readers.enter_context(space.start(*tcpdump("zc0", files[0])))]
        link = space.link("zc0")
        assert link["mtu"] == 9000 and "NOARP" in link["flags"] and "UP" in link["flags"]
        assert "inet6" not in space.run("ip", "addr", "show", "dev", "zc0")
        run.wait_to_hear("waiting for readers of zc1")
        assert space.link("zc0")["stats64"]["rx"]["packets"] == 0
        programs.append(readers.enter_context(space.start("tshark", "-q", "-B", 16, "-i", "zc1", "-w", files[1])))
        done = run.finish()
        assert all(program.wait(20) is not None for program in programs)
    assert done.code == 0, done
    rows = check_ledger(done.document)
    found = [frames_of(file) for file in files]
    assert [row["written"] for row in rows] == [row["offered"] for row in rows] == [len(frames) for frames in found]
    assert [row["bytes"] for row in rows] == [sum(map(len, frames)) for frames in found]
    assert all(found) and sorted(found[0] + found[1]) == sorted(frames_of(BUNDLED))
    assert not is_up(space, "zc0") and not is_up(space, "zc1")


def test_a_writer_that_is_killed(space: Space, tmp_path: Path, numbered: Path) -> None:
    """No frame comes twice or out of order; what is missing was in a batch that is counted as uncertain."""
    file = tmp_path / "zc0.pcap"
    pace = ("--loop", 0, "--pps", "20k")
    run = Background(tmp_path, *words(numbered, *pace, "--out", "tap:zc0"), launcher=space.enter)
    with run:
        run.wait_until(lambda: is_up(space, "zc0"), "the tap")
        with space.start(*tcpdump("zc0", file)) as program:
            killed = run.kill(WRITERS_KILLED, "zc-out-", rate=5)
            done = run.stop(signal.SIGINT)
            program.wait(20)
    assert done.code == 0, done
    (row,) = check_ledger(done.document)
    numbers = [int.from_bytes(frame[-4:], "big") for frame in frames_of(file)]
    # The trace begins again behind its end.
    assert all(
        0 < (later - earlier) % FRAMES <= WRITERS_KILLED * BATCH + 1 for earlier, later in itertools.pairwise(numbers)
    )
    uncertain = row["dropped"].pop("uncertain", 0)
    assert row["offered"] == done.ledger["accepted"] and not row["dropped"]
    assert row["written"] <= len(numbers) <= row["written"] + uncertain
    assert uncertain <= BATCH * len(killed)


def test_a_tap_that_was_there(space: Space, tmp_path: Path, numbered: Path) -> None:
    """It stays as it is. Frames that come while nobody reads are counted; so are those while it is down."""
    space.ip("tuntap add dev old mode tap")
    space.ip("link set old up mtu 1800")
    pace = ("--loop", 0, "--pps", "20k", "--out-wait", 0, "--stats-interval", 0.05)
    run = Background(tmp_path, *words(numbered, *pace, "--out", "tap:old"), launcher=space.enter)

    with run:
        run.looking().wait_until(lambda: share(run)["dropped"].get("no_reader", 0) > 100, "frames that nobody reads")
        assert share(run)["written"] == 0
        with space.start(*tcpdump("old", tmp_path / "old.pcap")):
            run.wait_until(lambda: share(run)["written"] > 100, "a reader")
            space.ip("link set old down")
            run.wait_until(lambda: share(run)["dropped"].get("down", 0) > 100, "frames for a tap that is down")
            space.ip("link set old up")
        done = run.stop()
    assert done.code == 0, done
    (last,) = check_ledger(done.document)
    assert set(last["dropped"]) - {"unwritten"} == {"no_reader", "down"}
    link = space.link("old")
    assert link["mtu"] == 1800 and link["stats64"]["rx"]["packets"] == last["written"]


def test_into_another_namespace(space: Space, tmp_path: Path) -> None:
    """What is sent on a veth comes out of its other end; what is too long for it, or comes without a link, has a row."""
    with Space() as other:
        space.ip("link add out mtu 1400 type veth peer name in mtu 1400")
        space.ip(f"link set in netns {other.pid}")
        space.ip("link set out up")
        run = Background(
            tmp_path,
            *words(BUNDLED, "--pps", "10k", "--loop", 0, "--stats-interval", 0.05, "--out", "iface:out"),
            launcher=space.enter,
        )
        with run:
            run.wait_to_hear("waiting for readers of out")
            with other.start(*tcpdump("in", tmp_path / "in.pcap")) as program:
                other.ip("link set in up")
                run.looking().wait_until(lambda: share(run)["written"] > 3 * 8379, "some rounds")
                other.ip("link set in down")
                run.wait_until(lambda: share(run)["dropped"].get("down", 0) > 100, "frames without a link")
                run.wait_to_hear("iface:out: out lost its link")
                other.ip("link set in up")
                run.wait_to_hear("iface:out: out has its link again")
                done = run.stop()
                program.send_signal(signal.SIGINT)
                program.wait(20)
        taken = other.link("in")["stats64"]["rx"]
        sent = space.link("out")["stats64"]["tx"]
    assert done.code == 0, done
    (row,) = check_ledger(done.document)
    assert set(row["dropped"]) - {"unwritten"} == {"refused", "down"}
    # What the driver refused for want of a link, and was asked for again, it counts as dropped each time.
    assert taken["packets"] == sent["packets"] == row["written"]
    assert taken["bytes"] == sent["bytes"] == row["bytes"]
    found, source = frames_of(tmp_path / "in.pcap"), frames_of(BUNDLED)
    short = [frame for frame in source if len(frame) <= 1414 + 4 * (frame[12:14] == b"\x81\0")]
    assert 0 < len(short) < len(source)
    # tcpdump listens only once the interface is up, when the first frames have come.
    twice, first = short * 2, found[: len(short)]
    assert any(twice[at : at + len(short)] == first for at in range(len(short)) if twice[at] == first[0])


def test_what_cannot_be_a_tap(space: Space) -> None:
    """One line each, and nothing is left."""
    space.veth()
    space.ip("tuntap add dev down mode tap")
    space.ip("tuntap add dev one mode tap")
    space.ip("link set one up")
    before = space.run("ip", "-o", "link", "show")
    said = dict(line.split("\t") for line in space.run(*program_of("refused")).splitlines())
    assert "tap:" + "a" * 16 in said and "no name of an interface" in said["tap:" + "a" * 16]
    assert "is no name of an interface" in said["tap:a%d"]
    assert "near is there and is no tap: name another, or send on it by iface:near" in said["tap:near"]
    assert "down is down: ip link set down up" in said["tap:down"]
    assert "it is there and is no tap of several queues" in said["tap:one,queues=2"]
    assert "the capture reads one: what is written to one would come in again" in said["tap:one"]
    assert "65521 are possible" in said["tap:x,mtu=70000"]
    assert "3 shares for what takes 2" in said["tap:x,queues=2,shares=3"]
    assert "--iface any reads x, too" in said["any tap:x"]
    assert "did you mean near?" in said["iface:nea"]
    assert "down is down: ip link set down up" in said["iface:down"]
    assert "the capture reads near, the other end of far" in said["iface:far"]
    assert "the capture reads near: what is written to near" in said["iface:near"]
    assert "CAP_NET_RAW is missing: run as root" in said["unprivileged iface:near"]
    # By the mode of /dev/net/tun, or by what is missing for what it does.
    assert "run as root" in said["unprivileged tap:x"]
    assert space.run("ip", "-o", "link", "show") == before


def test_a_tap_without_its_device(space: Space) -> None:
    space.run("mount", "-t", "tmpfs", "none", "/dev/net")
    done = space.zcframe(*words(BUNDLED, "--out", "tap:zc0"))
    assert (done.code, done.stdout) == (1, "")
    (line,) = done.complaints
    assert (
        line
        == "zcframe: --out tap:zc0: zc0: /dev/net/tun is missing: modprobe tun, or --device /dev/net/tun for a container"
    )
    assert until(lambda: not is_up(space, "zc0"))
