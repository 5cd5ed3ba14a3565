"""tcpdump, tshark and p0f read FIFOs as they read the file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.ids.test_shares import write
from tests.ids.trace import attack_trace
from tests.kit.command import Background, until

READERS = {
    "tcpdump": ("tcpdump", "-n", "-r", "{}"),
    "tshark": (
        "tshark",
        "-n",
        "-r",
        "{}",
        "-T",
        "fields",
        "-e",
        "frame.time_epoch",
        "-e",
        "ip.id",
        "-e",
        "_ws.col.info",
    ),
    "p0f": ("p0f", "-r", "{}"),
}


class Reader:
    """One of them, which reads a file or FIFO; what it says goes to a file."""

    def __init__(self, name: str, capture: Path, said: Path) -> None:
        self._said = said
        words = [str(capture) if word == "{}" else word for word in READERS[name]]
        with said.open("w") as file:
            self.process = subprocess.Popen(words, stdout=file, stderr=subprocess.DEVNULL)

    def finish(self) -> str:
        assert self.process.wait(60) == 0
        return self._said.read_text()


@pytest.mark.needs("tcpdump", "tshark", "p0f")
def test_each_reads_what_it_reads_in_the_file(tmp_path: Path) -> None:
    capture = write(attack_trace(), tmp_path / "all.pcap")
    wanted = {name: Reader(name, capture, tmp_path / f"{name}.wanted") for name in READERS}
    fifos = {name: tmp_path / name for name in READERS}
    source = ("run", "--json", "--read", capture, "--queues", 2, "--plugin", "sizes", "--out")
    with Background(tmp_path, *source, *(f"fifo:{fifo}" for fifo in fifos.values())) as run:
        until(lambda: all(fifo.exists() for fifo in fifos.values()))
        readers = {name: Reader(name, fifo, tmp_path / f"{name}.said") for name, fifo in fifos.items()}
        said = {name: reader.finish() for name, reader in readers.items()}
        done = run.finish()
    assert done.code == 0, done
    for name, reader in wanted.items():
        assert _without_name(said[name], fifos[name]) == _without_name(reader.finish(), capture) != ""
    rows = [output["shares"][0] for output in done.document["outputs"]]
    assert [row["written"] for row in rows] == [done.ledger["accepted"]] * len(READERS)


def _without_name(text: str, capture: Path) -> str:
    """What a program says, with no word of what it reads."""
    return text.replace(str(capture), "")
