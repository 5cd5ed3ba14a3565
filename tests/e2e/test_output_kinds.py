"""Outputs of other packages, found by their entry point: one that works, and those that raise, wherever they do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dpkt
import pytest

from tests.kit.command import Finished, leave_nothing, zcframe
from tests.kit.places import BUNDLED

FRAMES = 8379

# Writes capture files of its own to a plain file; where FAULT is the name of a method, that raises.
KIND = """
from zcframe.framework.outputs.output import Output
from zcframe.framework.outputs.kinds.pcap import pcap_head
from zcframe.framework.outputs.sink import Sink

FAULT = "{fault}"

def may_raise(method):
    if method == FAULT:
        raise RuntimeError("no ink in " + method)

class Plain(Sink):
    def __init__(self, path, head):
        self._file, self._head = open(path, "wb", buffering=0), head
    def opening(self, place):
        return self._head if place.length == 0 else b""
    def write(self, pieces):
        may_raise("write")
        pieces.write(self._file.fileno())
        return not pieces.left

class Mine(Output):
    def open(self):
        may_raise("open")
    def sink(self, stream):
        may_raise("sink")
        return Plain(self.target_of(stream), pcap_head(self.snaplen))
    def close(self):
        may_raise("close")
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH in which a package offers the kind `mine`."""
    folder = tmp_path / "site"
    info = folder / "mine-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[zcframe.outputs]\nmine = mine_output:Mine\n")
    return folder


def run(installed: Path, fault: str, *more: object) -> Finished:
    (installed / "mine_output.py").write_text(KIND.format(fault=fault))
    out = ("--out", f"mine:{installed}/x", *more)
    words = ("run", "--json", "--read", BUNDLED, "--queues", 2, "--plugin", "sizes", *out)
    return zcframe(*words, env={"PYTHONPATH": str(installed)})


def times(path: Path) -> Sequence[float]:
    with path.open("rb") as file:
        return [float(time) for time, _ in dpkt.pcap.Reader(file)]


def test_a_kind_of_another_package(installed: Path) -> None:
    done = run(installed, "")
    assert done.code == 0, done
    (output,) = done.document["outputs"]
    assert output["shares"][0]["written"] == FRAMES
    found = times(installed / "x")
    assert len(found) == FRAMES
    assert found == sorted(found)
    leave_nothing()


@pytest.mark.parametrize("fault", ["open", "sink", "write", "close"])
def test_one_that_raises_is_told_and_harms_no_other(installed: Path, fault: str) -> None:
    done = run(installed, fault, f"pcap:{installed}/good.pcap")
    assert done.code == 1, done
    assert any(f"mine:{installed}/x" in line and f"no ink in {fault}" in line for line in done.complaints), done
    if fault != "open":
        assert len(times(installed / "good.pcap")) == FRAMES
    leave_nothing()


def test_one_that_cannot_be_loaded(installed: Path) -> None:
    (installed / "mine_output.py").write_text("import nothing_of_this_name\n")
    done = zcframe("run", "--read", BUNDLED, "--out", "mine:x", env={"PYTHONPATH": str(installed)})
    assert (done.code, done.stdout) == (2, "")
    (line,) = done.complaints
    assert "--out mine:x: mine_output:Mine cannot be loaded: ModuleNotFoundError" in line
