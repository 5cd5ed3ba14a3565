"""`zcframe ctl PATH reload` and `filter`: each packet counts once, by the version that its worker had."""

from __future__ import annotations

import io
import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dpkt
import pytest

from tests.kit import reference
from tests.kit.checks import check_books, check_lossless
from tests.kit.command import Background, Finished, zcframe
from tests.kit.places import BUNDLED

PLUGIN = '''\
"""Counts packets in one cell; each version has its own."""

from zcframe import PASS, Array, plugin, u64


@plugin
class Mine:
    n = Array(u64, {cells})

    @staticmethod
    def filter(pkt, state, params):
        {body}
        return PASS

    @staticmethod
    def report(merged):
        return {{"n": [int(count) for count in merged.n], "version": {cell}}}
'''

# Some 20,000 packets a second.
PIECE = 32 * 1024
PAUSE_S = 0.01


def version(cell: int, *, cells: int = 4, body: str = "") -> str:
    return PLUGIN.format(cell=cell, cells=cells, body=body or f"state.n[{cell}] += 1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: what is compiled of a file has its path in its name."""
    return tmp_path_factory.mktemp("plugin")


@pytest.fixture
def mine(folder: Path) -> Path:
    path = folder / "mine.py"
    path.write_text(version(0))
    return path


class Feed:
    """The bundled trace on a pipe, over and over, until the end is asked for: `rounds` is then how often.

    A run without a pace waits for its workers, so that nothing is lost on a machine that is busy.
    """

    def __init__(self, pipe: Any) -> None:
        whole = io.BytesIO()
        with BUNDLED.open("rb") as source:
            writer = dpkt.pcap.Writer(whole, snaplen=262144, nano=True)
            for at, frame in dpkt.pcap.UniversalReader(source):
                writer.writepkt(frame, at)
        self.header, self.frames = whole.getvalue()[:24], whole.getvalue()[24:]
        self.rounds, self._over, self._pipe = 0, threading.Event(), pipe
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        with self._pipe, suppress(BrokenPipeError):
            self._pipe.write(self.header)
            while not self._over.is_set():
                for at in range(0, len(self.frames), PIECE):
                    self._pipe.write(self.frames[at : at + PIECE])
                    time.sleep(PAUSE_S)
                self.rounds += 1

    def end(self) -> int:
        self._over.set()
        self._thread.join()
        return self.rounds


class Run:
    def __init__(self, background: Background, path: Path) -> None:
        self.background, self.path = background, path
        assert background.process.stdin is not None
        self.feed = Feed(background.process.stdin)

    def ask(self, *words: object) -> dict[str, Any]:
        done = zcframe("ctl", self.path, *words)
        assert done.code == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def refused(self, *words: object) -> str:
        done = zcframe("ctl", self.path, *words)
        assert (done.code, done.stdout) == (1, "")
        return done.stderr.removeprefix(f"zcframe: {self.path}: ").removesuffix("\n")

    def packets(self) -> int:
        return int(self.ask("status")["packets"])

    def beyond(self, packets: int) -> None:
        """Until more packets came than these."""
        self.background.wait_until(lambda: self.packets() > packets, "packets")

    def finish(self) -> Finished:
        self.feed.end()
        return self.background.finish()


@contextmanager
def running(tmp_path: Path, *words: object) -> Iterator[Run]:
    path = tmp_path / "run.sock"
    more = ("--read", "-", "--queues", 2, "--ctl", path, "--stats-interval", 0.05)
    with Background(tmp_path, "run", "--json", *words, *more, stdin=subprocess.PIPE, bufsize=0) as background:
        run = Run(background, path)
        try:
            background.flowing()
            yield run
        finally:
            background.__exit__()
            run.feed.end()


def lengths() -> Counter[int]:
    return Counter(packet.wire for packet in reference.read(BUNDLED).packets)


def bars(counted: Counter[int], rounds: int) -> dict[str, int]:
    """The histogram of `sizes?bin=1` of so many rounds."""
    return {f"{size}-{size}": rounds * n for size, n in counted.items()}


def require_whole(done: Finished, rounds: int) -> Mapping[str, Any]:
    """All packets of so many rounds counted once by `mine` and by `sizes`; returns the reports."""
    assert done.code == 0, done.stderr
    once = lengths()
    packets, octets = (rounds * total for total in (once.total(), sum(size * n for size, n in once.items())))
    check_lossless(done.document, packets, octets)
    reports: Mapping[str, Any] = done.document["plugins"]
    assert sum(reports["mine"]["n"]) == reports["sizes"]["packets"] == packets
    assert reports["sizes"]["histogram"] == bars(once, rounds)
    return reports


def test_what_each_version_counts(tmp_path: Path, mine: Path) -> None:
    with running(tmp_path, "--plugin", mine, "sizes?bin=1") as run:
        mine.write_text(version(1))
        first = run.ask("reload")
        assert (first["changed"], first["workers"], first["dropped_state"]) == (["mine"], 2, [])
        run.beyond(first["packets"])
        # A comment, and a report: nothing is compiled, and the report is the new one.
        mine.write_text(version(1).replace('"version": 1}', '"version": "new"}  # told'))
        second = run.ask("reload")
        assert run.ask("snapshot")["plugins"]["mine"]["version"] == "new"
        assert run.ask("reload")["changed"] == []
        done = run.finish()
    found = require_whole(done, run.feed.rounds)["mine"]["n"]
    assert found[0] == first["packets"] < second["packets"] and found[1] > 0 and found[2:] == [0, 0]
    assert sum(queue["restarts"] for queue in done.document["queues"]) == 0
    assert f"behind packet {first['packets']:,}, changed: mine" in done.stderr


@pytest.mark.long
def test_many_reloads_and_kills_under_traffic(tmp_path: Path, mine: Path) -> None:
    """What is written of a run is what it read, whatever became of its workers."""
    out = tmp_path / "out.pcap"
    with running(tmp_path, "--plugin", mine, "sizes?bin=1", "--out", f"pcap:{out}") as run:
        for round in range(20):
            mine.write_text(version(round % 2))
            if round < 10:
                run.ask("reload")
                continue
            with ThreadPoolExecutor() as beside:
                reload = beside.submit(run.ask, "reload")
                while not reload.done():
                    run.background.kill(1, "zc-rx-", seed=round)
                reload.result()
        done = run.finish()
    require_whole(done, run.feed.rounds)
    with out.open("rb") as file:
        written = Counter(len(frame) for _, frame in dpkt.pcap.UniversalReader(file))
    assert written == Counter({size: run.feed.rounds * n for size, n in lengths().items()})


@pytest.mark.long
def test_a_version_that_fails_leaves_the_old_one(tmp_path: Path, mine: Path) -> None:
    broken = {
        version(1, body="state.n[1] +="): "SyntaxError: invalid syntax (mine.py, line 12)",
        version(1).replace("from zcframe", "raise KeyError('no')\nfrom zcframe", 1): "line 3: KeyError: 'no'",
        version(1, body="state.n[pkt.colour] += 1"): f"{mine}:12: pkt has no attribute colour",
        version(1, body="state.n[pkt.wirelen] += 1"): "packets of the bundled traffic faulted: IndexError",
        version(1, cells=8): "it declares other state than before: --drop-state has it begin anew",
        version(1).replace("@plugin", "@plugin(name='other')"): "its name was 'mine' and is 'other'",
        version(1).replace('"version": 1', '"version": 1 / 0'): "report() failed: ZeroDivisionError",
    }
    with running(tmp_path, "--plugin", mine, "sizes?bin=1") as run:
        for text, says in broken.items():
            mine.write_text(text)
            assert says in run.refused("reload")
        mine.write_text(version(2))
        assert run.ask("reload")["changed"] == ["mine"]
        done = run.finish()
    found = require_whole(done, run.feed.rounds)["mine"]
    assert found["n"][1] == 0 and found["n"][0] > 0 and found["version"] == 2


@pytest.mark.long
def test_state_of_another_layout_begins_anew(tmp_path: Path, mine: Path) -> None:
    with running(tmp_path, "--plugin", mine, "sizes?bin=1") as run:
        mine.write_text(version(5, cells=1 << 13))
        found = run.ask("reload", "--drop-state")
        assert found["dropped_state"] == ["mine"]
        run.beyond(found["packets"])
        check_books(run.ask("snapshot"))
        done = run.finish()
    packets = run.feed.rounds * lengths().total()
    check_lossless(done.document, packets, done.document["totals"]["bytes"])
    reports = done.document["plugins"]
    assert sum(reports["mine"]["n"]) == reports["mine"]["n"][5] == packets - found["packets"]
    assert reports["sizes"]["histogram"] == bars(lengths(), run.feed.rounds)
    assert "the state of mine began anew" in done.stderr


def test_one_change_at_a_time_and_the_end(tmp_path: Path, mine: Path) -> None:
    slow = "import time\nfrom pathlib import Path\nwhile not Path(__file__).with_name('go').exists():\n    time.sleep(0.01)\n"
    with running(tmp_path, "--plugin", mine, "sizes?bin=1") as run, ThreadPoolExecutor() as beside:
        mine.write_text(slow + version(1))
        waiting = beside.submit(zcframe, "ctl", run.path, "reload")
        run.background.wait_until(lambda: run.background.changing() != [], "the side process")
        for order in (["reload"], ["filter", "tcp"]):
            assert run.refused(*order) == "another change is under way: ask again when it is done"
        run.beyond(run.packets())
        check_books(run.ask("snapshot"))
        assert run.ask("stop") == {"exit_code": 0}
        assert waiting.result().stderr == f"zcframe: {run.path}: the run ended before it was done\n"
        run.feed.end()
        done = run.background.finish()
    assert done.code == 0 and done.document["plugins"]["mine"]["n"][1] == 0
    assert list(run.path.parent.glob("*.sock")) == []


@pytest.mark.long
def test_the_filter_is_changed(tmp_path: Path, mine: Path) -> None:
    out = tmp_path / "out.pcap"
    with running(tmp_path, "--plugin", mine, "--out", f"pcap:{out}") as run:
        assert run.refused("filter", "tcp prot") == (
            "filter: can't parse filter expression: syntax error\n  tcp prot\n      ^"
        )
        first = run.ask("filter", "not tcp")
        assert first["filter"] == "not tcp"
        run.beyond(first["packets"])
        assert run.ask("snapshot")["filter"] == "not tcp"
        second = run.ask("filter", "")
        for _ in range(4):
            run.beyond(run.packets())
            found = run.ask("snapshot")
            check_books(found)
        done = run.finish()
    assert done.code == 0
    ledger, packets = done.ledger, run.feed.rounds * lengths().total()
    assert ledger["arrived"] == packets
    filtered = ledger["dropped_by"]["filter"]
    assert 0 < filtered == found["totals"]["ledger"]["dropped_by"]["filter"] < second["packets"] - first["packets"]
    assert done.document["plugins"]["mine"]["n"][0] == ledger["accepted"] == packets - filtered
    count = subprocess.run(["tcpdump", "--count", "-r", str(out)], capture_output=True, check=True, text=True)
    assert int(count.stdout.split()[0]) == ledger["accepted"]
