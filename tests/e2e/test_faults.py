"""Plugins that misbehave, and a machine that refuses: the run names the cause, gives up what it must, and no more."""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kit import reference
from tests.kit.checks import check_books, check_lossless, check_sizes, check_tally, lengths_of, octets_of
from tests.kit.command import Background, Finished, zcframe
from tests.kit.places import ANALYZERS, BUNDLED

from . import sandbox

TALLY, VILLAINS = ANALYZERS / "tally.py", ANALYZERS / "villains.py"
SANDBOX = Path(sandbox.__file__)
NOBODY = 65534


@pytest.fixture(scope="module")
def lengths() -> Counter[int]:
    """Packets of each wire length."""
    return lengths_of(reference.read(BUNDLED).packets)


def run(*plugins: str, options: tuple[object, ...] = (), launcher: tuple[object, ...] = ()) -> Finished:
    return zcframe("run", "--json", *options, "--plugin", *plugins, "--read", BUNDLED, launcher=launcher)


# --- plugins that raise, store outside of their state, change too much, or drop


LOW, SIZE = 70, 930


@pytest.fixture(scope="module")
def chosen(lengths: Counter[int]) -> tuple[int, int, int]:
    """Common lengths: what is raised on, what is changed too much for, what is dropped."""
    raised, greedy, dropped = [length for length, _ in lengths.most_common(20) if LOW <= length < LOW + SIZE][:3]
    return raised, greedy, dropped


@pytest.fixture(scope="module")
def harmed(chosen: tuple[int, int, int]) -> dict[str, Any]:
    """The document of one chain with every villain that does not kill."""
    raised, greedy, dropped = chosen
    done = run(
        "sizes",
        f"{VILLAINS}:Raises?wire={raised}",
        f"{VILLAINS}:Greedy?wire={greedy}",
        f"{VILLAINS}:Drops?wire={dropped}",
        f"{VILLAINS}:Outside?low={LOW}&size={SIZE}",
        f"{TALLY}:Tally",
    )
    assert done.code == 0, done
    return done.document


def inside(lengths: Mapping[int, int], *gone: int) -> dict[int, int]:
    """Lengths that Outside has a place for."""
    return {length: n for length, n in lengths.items() if LOW <= length < LOW + SIZE and length not in gone}


def test_faults_are_counted_by_name(
    harmed: dict[str, Any], chosen: tuple[int, int, int], lengths: Counter[int]
) -> None:
    raised, greedy, dropped = chosen
    totals = check_books(harmed)
    under = sum(n for length, n in lengths.items() if length < LOW)
    above = sum(n for length, n in lengths.items() if length >= LOW + SIZE)
    faulted = {"raises": lengths[raised], "greedy": lengths[greedy], "outside": under + above}
    assert under and above and all(faulted.values())
    assert totals["ledger"]["dropped_by"] == {"drops": lengths[dropped]}
    assert totals["ledger"]["faulted_by"] == faulted
    assert totals["ledger"]["faulted"] == sum(faulted.values())
    assert totals["restarts"] == 0


PICKY = """
from zcframe import PASS, Array, plugin, u64

@plugin
class Picky:
    seen = Array(u64, 17)

    def filter(pkt, state, params):
        if pkt.proto == 17 and pkt.dport == 53:
            raise ValueError("a question")
        state.seen[pkt.proto] += 1  # line 11: UDP and ICMPv6 are outside
        state.seen[0] += 100 % pkt.proto
        return PASS
"""


def _is_question(frame: bytes) -> bool:
    head = reference.headers(frame)
    return head is not None and head.proto == 17 and head.dport == 53


def test_a_fault_has_a_reason_a_line_and_a_first_packet(tmp_path: Path) -> None:
    mine = tmp_path / "picky.py"
    mine.write_text(PICKY)
    done = run(str(mine))
    packets = reference.read(BUNDLED).packets
    found = [(packet, reference.headers(packet.frame)) for packet in packets]
    asked = [p for p in packets if _is_question(p.frame)]
    outside = [p for p, head in found if head and head.proto >= 17 and not (head.proto == 17 and head.dport == 53)]
    expected = {
        "ValueError: a question, picky.py:10": asked,
        "ZeroDivisionError: integer modulo by zero, picky.py:12": [p for p, head in found if not head],
        "IndexError: index out of range of state.seen, which has 17, picky.py:11": outside,
    }
    faults = {fault["reason"]: fault for fault in done.document["faults"]}
    assert {reason: fault["packets"] for reason, fault in faults.items()} == {r: len(p) for r, p in expected.items()}
    for reason, some in expected.items():
        first = faults[reason]["first"]
        earliest = min(some, key=lambda packet: packet.ts)
        assert (first["length"], first["frame"]) == (earliest.wire, earliest.frame[:256].hex())
    assert done.document["totals"]["ledger"]["faulted_by"] == {"picky": sum(map(len, expected.values()))}


@pytest.mark.needs("tshark")
def test_the_first_packet_of_a_fault_can_be_read_back(tmp_path: Path) -> None:
    """With -v, its bytes are a text that Wireshark's own program makes a capture of."""
    mine, dump = tmp_path / "picky.py", tmp_path / "dump.pcap"
    mine.write_text(PICKY)
    done = zcframe("run", "-v", "--plugin", mine, "--read", BUNDLED)
    (written,) = done.stdout.split("# picky: ValueError: a question, picky.py:10: first packet, ")[1:]
    kept, *lines = written.partition("\n\n")[0].splitlines()
    subprocess.run(["text2pcap", "-", dump], input="\n".join(lines) + "\n", text=True, check=True, capture_output=True)
    (packet,) = reference.read(dump).packets
    earliest = min((p for p in reference.read(BUNDLED).packets if _is_question(p.frame)), key=lambda p: p.ts)
    assert packet.frame == earliest.frame[:256]
    assert kept == f"{len(packet.frame)} of {earliest.wire} bytes"


def test_plugins_before_a_fault_counted_the_packet_those_after_it_did_not(
    harmed: dict[str, Any], chosen: tuple[int, int, int], lengths: Counter[int]
) -> None:
    passed = inside(lengths, *chosen)
    check_sizes(harmed["plugins"]["sizes"], lengths)
    check_tally(harmed["plugins"]["tally"], passed)
    assert harmed["totals"]["ledger"]["accepted"] == sum(passed.values())


def test_what_a_plugin_wrote_before_it_faulted_is_undone(
    harmed: dict[str, Any], chosen: tuple[int, int, int], lengths: Counter[int]
) -> None:
    reports, passed = harmed["plugins"], inside(lengths, *chosen)
    assert reports["raises"]["touched"] == [sum(lengths.values()) - lengths[chosen[0]]]
    assert not any(reports["greedy"]["counts"])
    counts = [passed.get(LOW + place, 0) for place in range(SIZE)]
    counts[0] += sum(passed.values())
    assert reports["outside"]["counts"] == counts


# --- plugins that never return, or take the process with them


def test_a_packet_that_kills_is_given_up_and_the_rest_goes_on(lengths: Counter[int]) -> None:
    """One packet makes a plugin loop for ever, another one makes the next plugin crash."""
    loop, crash = [length for length, count in lengths.items() if count == 1][:2]
    villains = f"{VILLAINS}:Loops?wire={loop}", f"{VILLAINS}:Crashes?wire={crash}"
    done = run("sizes", *villains, f"{TALLY}:Tally", options=("--queues", "2"))
    assert done.code == 0, done
    document, whole = done.document, sum(lengths.values())
    totals = check_books(document)
    assert totals["ledger"]["faulted_by"] == {"loops": 1, "crashes": 1}
    assert (totals["packets"], totals["ledger"]["accepted"]) == (whole, whole - 2)
    # The first crash may have been an accident: the packet is tried once more.
    assert totals["restarts"] == 1 + 2
    reports = document["plugins"]
    check_sizes(reports["sizes"], lengths)
    check_tally(reports["tally"], {length: n for length, n in lengths.items() if length not in (loop, crash)})
    assert reports["loops"]["touched"] == [whole - 1]
    assert reports["crashes"]["touched"] == [whole - 2]
    warnings = done.stderr.splitlines()
    assert any("stuck in plugin loops" in line and "counted as faulted" in line for line in warnings)
    assert any("SIGSEGV in plugin crashes" in line and "counted as faulted" in line for line in warnings)


def test_a_packet_that_kills_among_others_that_fault(lengths: Counter[int]) -> None:
    """The burst is taken again from several places: each packet is found, and two crashes are enough for the one."""
    raising, count = lengths.most_common(1)[0]
    sizes = [packet.wire for packet in reference.read(BUNDLED).packets]
    # Behind as many of the others as a burst can hold of them.
    alone = [place for place, size in enumerate(sizes) if lengths[size] == 1]
    crash = sizes[max(alone, key=lambda place: sizes[max(place - 40, 0) : place].count(raising))]
    villains = f"{VILLAINS}:Raises?wire={raising}", f"{VILLAINS}:Crashes?wire={crash}"
    done = run("sizes", *villains, f"{TALLY}:Tally", options=("--queues", "1"))
    assert done.code == 0, done
    totals = check_books(done.document)
    assert totals["ledger"]["faulted_by"] == {"raises": count, "crashes": 1}
    assert totals["restarts"] == 2
    check_sizes(done.document["plugins"]["sizes"], lengths)
    check_tally(
        done.document["plugins"]["tally"],
        {length: n for length, n in lengths.items() if length not in (raising, crash)},
    )


FATAL = {
    "Loops": "stuck in plugin loops",
    "EarlyLoop": "stuck in the prefetch of plugin earlyloop",
    "Crashes": "SIGSEGV in plugin crashes",
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    """Runs whose one plugin kills its worker at every packet; side by side, since they take their time."""
    words = ["run", "--json", "--queues", "1", "--ring-slots", "64", "--read", BUNDLED]
    cpus = itertools.cycle(sorted(os.sched_getaffinity(0)))
    with contextlib.ExitStack() as stack:
        runs = {}
        for name in FATAL:
            more = ["--cpus", next(cpus), "--plugin", "sizes", f"{VILLAINS}:{name}"]
            runs[name] = stack.enter_context(Background(tmp_path_factory.mktemp(name), *words, *more))
        return {name: run.finish() for name, run in runs.items()}


@pytest.mark.parametrize("villain", FATAL)
def test_a_plugin_that_kills_every_time_ends_the_run(ended: dict[str, Finished], villain: str) -> None:
    """The crash loop is broken off, its cause named, the books closed, and no packet counted half."""
    done = ended[villain]
    assert done.code == 1, done
    assert any(FATAL[villain] in line and "does not get on" in line for line in done.complaints), done.stderr
    totals = check_books(done.document)
    assert totals["ledger"]["faulted"] == totals["packets"] < 10
    assert done.document["plugins"]["sizes"]["packets"] == totals["packets"]
    assert done.document["plugins"]["sizes"]["bytes"] == totals["bytes"]


def test_a_prefetch_that_raises_harms_nothing(lengths: Counter[int]) -> None:
    done = run(f"{VILLAINS}:EarlyRaise", options=("--queues", "1"))
    assert done.code == 0, done
    check_lossless(done.document, sum(lengths.values()), octets_of(lengths))
    assert done.document["plugins"]["earlyraise"]["touched"] == [sum(lengths.values())]


# --- a machine that refuses


def _small_shm(command: str) -> list[str]:
    """Words that run a command where /dev/shm is private, small and full."""
    script = (
        f"mount -t tmpfs -o size=64k none /dev/shm && dd if=/dev/zero of=/dev/shm/full bs=4k 2>/dev/null; {command}"
    )
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


@pytest.mark.needs("root", "namespaces")
def test_shared_memory_is_full(lengths: Counter[int]) -> None:
    """Rings and state have no name in /dev/shm, so that it may be as full as it likes."""
    probe = subprocess.run(_small_shm("echo > /dev/shm/more"), capture_output=True, check=False)
    assert probe.returncode != 0
    done = run("sizes", launcher=tuple(_small_shm('exec "$@"')))
    assert done.code == 0, done
    check_lossless(done.document, sum(lengths.values()), octets_of(lengths))


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        pytest.param("--fsize=1048576", ["EFBIG", "--ring-slots", "--queues"], id="no file as large as a ring"),
        pytest.param("--as=2200000000", ["ENOMEM", "--ring-slots", "--queues"], id="no address space"),
        pytest.param("--nofile=24", ["Too many open files", "--queues", "ulimit -n"], id="no descriptors"),
    ],
)
def test_the_rings_do_not_fit(limit: str, words: list[str]) -> None:
    """One clear line, and what to do about it. Each ring of a paced run has blocks of its own."""
    done = run(
        "sizes", options=("--queues", "16", "--ring-slots", "65536", "--pps", "1000000"), launcher=("prlimit", limit)
    )
    assert (done.code, done.stdout) == (1, ""), done
    (line,) = done.complaints
    for word in words:
        assert word in line, line


@pytest.mark.skipif(platform.machine() not in sandbox.SCHED_SETAFFINITY, reason="no number of the system call known")
def test_pinning_is_forbidden(lengths: Counter[int]) -> None:
    """A warning that names the CPU, and all goes on."""
    done = run("sizes", options=("--queues", "2"), launcher=(sys.executable, SANDBOX))
    assert done.code == 0, done
    assert "cannot pin" in done.stderr
    check_lossless(done.document, sum(lengths.values()), octets_of(lengths))


@pytest.mark.needs("root")
def test_as_a_user_without_any_privilege(lengths: Counter[int]) -> None:
    """No root: nobody runs it, with a cache of nobody's own."""
    launcher = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all")
    if subprocess.run([*launcher, sys.executable, "-c", ""], stderr=subprocess.DEVNULL).returncode:
        pytest.skip(f"another user may not run this interpreter: {Path(sys.executable).resolve()}")
    with tempfile.TemporaryDirectory() as home:
        os.chown(home, NOBODY, NOBODY)
        done = zcframe(
            *("run", "--json", "--plugin", "sizes", "--read", BUNDLED),
            launcher=launcher,
            env={"XDG_CACHE_HOME": home, "HOME": home},
        )
    assert done.code == 0, done
    check_lossless(done.document, sum(lengths.values()), octets_of(lengths))
