"""The command on compressed captures: the same document as of what is in them, whatever way they come in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.kit.checks import check_books
from tests.kit.command import Finished, together, zcframe
from tests.kit.places import BUNDLED

pytestmark = [pytest.mark.needs("zstd"), pytest.mark.needs("lz4")]

SUFFIXES = {"gzip": "gz", "zstd": "zst", "lz4": "lz4"}
RUN = ("run", "--json", "--queues", 2, "--read")


@pytest.fixture
def packed(tmp_path: Path) -> list[Path]:
    """The bundled trace, compressed by each tool."""
    paths = []
    for tool, suffix in SUFFIXES.items():
        paths.append(tmp_path / f"trace.pcapng.{suffix}")
        with BUNDLED.open("rb") as whole, paths[-1].open("wb") as file:
            subprocess.run([tool, "-c"], stdin=whole, stdout=file, check=True)
    return paths


def found(done: Finished) -> Any:
    """What was found in the packets: all of the document that does not tell of times, processes and files."""
    assert done.code == 0, done
    return check_books(done.document)["packets"], check_books(done.document)["bytes"], done.document["plugins"]


def test_the_same_as_uncompressed(packed: Sequence[Path]) -> None:
    plain, *squeezed = together([*RUN, BUNDLED], *([*RUN, path] for path in packed))
    assert [found(done) for done in squeezed] == [found(plain)] * len(packed)


@pytest.mark.needs("tshark")
def test_tshark_reads_as_much_of_them(packed: Sequence[Path]) -> None:
    done = zcframe(*RUN, *packed)
    counts = [
        subprocess.run(["tshark", "-r", path], capture_output=True, check=True).stdout.count(b"\n") for path in packed
    ]
    assert found(done)[0] == sum(counts)


def test_among_others_and_again(packed: Sequence[Path]) -> None:
    """Each round opens them anew; progress ends with the bytes of the files as they lie there."""
    once = found(zcframe(*RUN, BUNDLED))[0]
    done = zcframe("run", "--json", "--loop", 3, "--read", packed[1], BUNDLED, packed[0], BUNDLED, packed[2])
    assert found(done)[0] == 3 * 5 * once


def test_from_standard_input_and_a_pipe(packed: Sequence[Path], tmp_path: Path) -> None:
    plain, fifo = found(zcframe(*RUN, BUNDLED)), tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in packed:
        script = 'cat "$1" >"$2" & cat "$1" | "${@:3}" "$2" -'
        done = zcframe(*RUN, launcher=["bash", "-c", script, "sh", path, fifo])
        assert found(done)[0] == 2 * plain[0]


def test_a_prediction_of_rss(packed: Sequence[Path]) -> None:
    plain, *squeezed = together(*(["rss", "--json", "--read", path] for path in (BUNDLED, *packed)))
    names = [name for name in plain.document if name not in ("files", "file")]
    for done in squeezed:
        assert {name: done.document[name] for name in names} == {name: plain.document[name] for name in names}
