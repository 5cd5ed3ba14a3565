"""One thread of Suricata behind `zcframe run`, and by its own AF_PACKET: packets a second on one core."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.mix import ROOT
from tests.kit import suricata

from .contenders import END_S, READY_S
from .measure import Paces
from .space import NEAR, RECEIVER, LiveError, Space

RULES: Final = ROOT / "tests" / "ids" / "own.rules"
PACES: Final = (200_000, 400_000, 800_000)
OFFER_S: Final = 2.0
# What belongs to a start is over, and what lies in the rings is read.
START_S, SETTLE_S = 0.5, 1.0
# 8 MiB of blocks for both, as for all contenders: so many of the longest frames in Suricata's own ring.
FRAMES: Final = 4600

ENGINE = "Suricata by AF_PACKET"
ENGINE_PACKET, ENGINE_XDP = "Suricata behind zcframe packet", "Suricata behind zcframe xdp"
BACKENDS: Final = {ENGINE: "", ENGINE_PACKET: "packet", ENGINE_XDP: "xdp"}


def engines() -> tuple[list[str], dict[str, str]]:
    """Names of all that can run here, and why the others cannot, by name."""
    reason = suricata.reason_against()
    return ([], dict.fromkeys(BACKENDS, reason)) if reason else (list(BACKENDS), {})


def _wait(process: subprocess.Popen[Any], said: Path, text: str) -> None:
    """Until it has said so. Raises LiveError where it ends before, or is silent."""
    deadline = time.monotonic() + READY_S
    while text not in said.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            lines = said.read_text().strip().splitlines()
            raise LiveError(f"{process.args!r} did not start: {lines[-1] if lines else 'it says nothing'}")
        time.sleep(0.02)


@contextmanager
def _started(space: Space, words: list[str], said: Path, **popen: Any) -> Iterator[subprocess.Popen[Any]]:
    """A program on the receiver's CPU, which is killed at the end of the block if it still runs.

    What it says goes to the file `said`, unless popen, more of subprocess.Popen's arguments, has its standard output.
    """
    with said.open("w") as file:
        process = space.start(words, RECEIVER, **{"stdout": file, "stderr": file, "text": True, **popen})
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _suricata(space: Space, words: list[str], folder: Path) -> Any:
    return _started(space, words, folder / "said", env=os.environ | suricata.environment())


def _ended(process: subprocess.Popen[Any]) -> str:
    """Its output. Raises LiveError where it fails."""
    out, _ = process.communicate(timeout=END_S)
    if process.returncode:
        raise LiveError(f"{process.args!r} ended with {process.returncode}")
    return str(out)


def _offer(space: Space, pps: int) -> float:
    """Have frames come in on the core that all share, and wait until they are read; seconds in which they came."""
    # Suricata has switched it off, and without it no thread receives.
    space.run("ethtool", "-K", NEAR, "gro", "on")
    time.sleep(START_S)
    space.share_core()
    seconds = float(space.offer(OFFER_S, pps)["seconds"])
    time.sleep(SETTLE_S)
    return seconds


def _by_itself(space: Space, folder: Path, offer: Callable[[], float]) -> float:
    words = suricata.live_command(NEAR, 1, RULES, folder, frames=FRAMES)
    with _suricata(space, words, folder) as engine:
        _wait(engine, folder / "said", "Engine started")
        seconds = offer()
        engine.send_signal(signal.SIGINT)
        _ended(engine)
    return suricata.report(folder).decoded / seconds


def _behind(space: Space, folder: Path, offer: Callable[[], float], backend: str) -> float:
    """Raises LiveError where the engine has not decoded what was written for it, to the frame."""
    fifo, said = folder / "fifo", folder / "zcframe"
    os.mkfifo(fifo)
    run = [sys.executable, "-m", "zcframe", "run", "--json", "--stats-interval", "1", "--iface", NEAR]
    run += ["--backend", backend, "--queues", "1", "--cpus", str(RECEIVER), "--plugin", "benchmarks.plugins:Packets"]
    with (
        _started(space, [*run, "--out", f"fifo:{fifo},buffer=1"], said, stdout=subprocess.PIPE) as front,
        _suricata(space, suricata.command(fifo, RULES, folder, folder), folder) as engine,
    ):
        # It opens the FIFO, where it waits for the first frame.
        _wait(engine, folder / "said", "signatures processed")
        _wait(front, said, '"ledger"')
        seconds = offer()
        front.send_signal(signal.SIGTERM)
        (row,) = json.loads(_ended(front))["outputs"][0]["shares"]
        _ended(engine)
    decoded = suricata.report(folder).decoded
    if decoded != row["written"]:
        raise LiveError(f"Suricata has decoded {decoded} of {row['written']} frames")
    return decoded / seconds


def _decoded_at(name: str, pps: int, scratch: Path) -> float:
    folder = scratch / "engine"
    folder.mkdir()
    try:
        with Space() as space:
            space.veth()
            if backend := BACKENDS[name]:
                return _behind(space, folder, lambda: _offer(space, pps), backend)
            return _by_itself(space, folder, lambda: _offer(space, pps))
    finally:
        shutil.rmtree(folder)


def decoded(name: str, scratch: Path, paces: Paces) -> float:
    """Packets a second that the engine decodes, at the pace at which these are most."""
    return paces.most(name, lambda pps: _decoded_at(name, pps, scratch))
