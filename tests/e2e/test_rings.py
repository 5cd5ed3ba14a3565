"""`ring:NAME` read by programs of examples/readers: slow, stopped and killed ones, and writers that are killed."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dpkt
import numpy as np
import pytest

from tests.kit import reference
from tests.kit.command import Background, die_with_tests, zcframe
from tests.kit.places import BUNDLED, ROOT

READERS = ROOT / "examples" / "readers"
KILLS = 12

pytestmark = pytest.mark.needs("gcc")


def frames_of(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return [bytes(data) for _, data in dpkt.pcap.UniversalReader(file)]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C reader, compiled without a warning."""
    path = tmp_path_factory.mktemp("reader") / "shared_ring"
    flags = ("-O2", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "kernel" / "include" / "uapi")
    source = READERS / "shared_ring.c"
    subprocess.run(["gcc", *flags, "-o", path, source], check=True)
    assert len(source.read_text().splitlines()) <= 100
    return path


@contextlib.contextmanager
def run(folder: Path, *more: object, readers: int = 1, slots: int = 8192) -> Iterator[tuple[Background, Path]]:
    """A replay into a ring; it begins when so many readers are there."""
    path = folder / "r.sock"
    spec = f"ring:{path},readers={readers},slots={slots}"
    words = ("run", "--json", "--read", BUNDLED, "--queues", 2, "--plugin", "sizes", "--out", spec, *more)
    with Background(folder, *words) as running:
        running.wait_until(path.exists, "the ring")
        yield running, path


STARTED: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def end_readers() -> Iterator[None]:
    yield
    while STARTED:
        STARTED[-1].kill()
        STARTED.pop().wait()


def reader(*words: object, into: Path | None = None) -> subprocess.Popen[bytes]:
    with (into or Path(os.devnull)).open("wb") as out:
        STARTED.append(subprocess.Popen([str(word) for word in words], stdout=out, preexec_fn=die_with_tests))
    return STARTED[-1]


def consumers(done: Any) -> dict[int, dict[str, Any]]:
    """The rows of all readers by pid; each closes."""
    (share,) = done.document["outputs"][0]["shares"]
    rows = share["consumers"]
    assert all(row["offered"] == row["read"] + row["lost"] + row["unread"] for row in rows), rows
    return {row["pid"]: row for row in rows}


def test_frame_by_frame(tmp_path: Path, program: Path) -> None:
    """The C reader, and at the same time the Python one; both are told of by `zcframe rings` while they read."""
    out, told = tmp_path / "out.pcap", tmp_path / "told"
    with run(tmp_path, "--pps", "4000", readers=3) as (running, path):
        c = reader(program, path, into=out)
        python = reader(sys.executable, READERS / "shared_ring.py", path, into=told)
        running.wait_until(lambda: {row["pid"] for row in asked(path)} == {c.pid, python.pid}, "two readers")
        reader(program, path)
        assert (c.wait(60), python.wait(60)) == (0, 0)
        done = running.finish()
    assert done.code == 0, done
    source = frames_of(BUNDLED)
    assert frames_of(out) == source
    assert told.read_text() == f"{len(source)} frames, {sum(map(len, source))} bytes, 0 lost\n"
    assert all(row["read"] == row["offered"] == len(source) for row in consumers(done).values())
    assert not path.exists()


def test_descriptors_have_the_hash_of_the_card(tmp_path: Path) -> None:
    """That of the software 82576, for the symmetric key, as an implementation of our tests computes it."""
    spec = importlib.util.spec_from_file_location("shared_ring", READERS / "shared_ring.py")
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    found: list[tuple[int, int]] = []
    with run(tmp_path, "--pps", "8000", slots=16384) as (running, path):
        ring = example.Ring(str(path))
        while (descs := ring.wait()) is not None:
            found += zip(descs["rss_type"].tolist(), descs["rss_hash"].tolist(), strict=True)
            assert ring.release(len(descs))
        ring.socket.close()
        assert running.finish().code == 0
    assert found == [reference.rss(frame, reference.SYMMETRIC, "5-tuple") for frame in frames_of(BUNDLED)]


def asked(path: Path) -> list[dict[str, Any]]:
    """The readers by `zcframe rings --json`."""
    (ring,) = zcframe("rings", "--json", path).document["rings"]
    rows: list[dict[str, Any]] = ring["readers"]
    return rows


def test_one_killed_and_one_stopped(tmp_path: Path, program: Path) -> None:
    """Nobody else notices; what each has missed is counted to the frame, and the dead one is named."""
    files = [tmp_path / f"{number}.pcap" for number in range(3)]
    with run(tmp_path, "--pps", "4000", "--loop", 0, readers=3, slots=2048) as (running, path):
        whole, stopped, killed = (reader(program, path, into=file) for file in files)
        running.wait_until(lambda: all(file.stat().st_size > 100_000 for file in files), "frames")
        stopped.send_signal(signal.SIGSTOP)
        killed.kill()
        size, behind = (file.stat().st_size for file in files[:2])
        running.wait_until(lambda: files[0].stat().st_size > size + 2_000_000, "more than the ring holds")
        stopped.send_signal(signal.SIGCONT)
        running.wait_until(lambda: files[1].stat().st_size > behind + 100_000, "frames behind the lost ones")
        running.signal(signal.SIGTERM)
        assert (whole.wait(60), stopped.wait(60), killed.wait()) == (0, 0, -signal.SIGKILL)
        done = running.finish()
    rows, late = consumers(done), frames_of(files[1])
    loops = itertools.cycle(frames_of(BUNDLED))
    source = list(itertools.islice(loops, rows[whole.pid]["read"]))
    assert frames_of(files[0]) == source
    assert rows[stopped.pid]["read"] == len(late) and rows[stopped.pid]["lost"] == len(source) - len(late) > 2048
    lost = rows[stopped.pid]["lost"]
    first = next(at for at, frame in enumerate(late) if frame != source[at])
    assert any(late == source[:at] + source[at + lost :] for at in range(first + 1)), "torn, or out of order"
    assert rows[killed.pid]["state"] == "died"
    assert f"reader shared_ring (pid {killed.pid}) died" in done.stderr


def test_writers_are_killed(tmp_path: Path, program: Path) -> None:
    """By the dozen: the reader gets each frame once, whole, in order."""
    out = tmp_path / "out.pcap"
    with run(tmp_path, "--pps", "8000", "--loop", 0, slots=65536) as (running, path):
        c = reader(program, path, into=out)
        running.wait_until(lambda: out.stat().st_size > 100_000, "frames")
        killed = running.kill(KILLS, "zc-out-")
        done = running.signal(signal.SIGINT).finish()
        assert c.wait(120) == 0
    assert done.code == 0, done
    assert done.document["outputs"][0]["restarts"] == len(killed) == KILLS
    (row,) = consumers(done).values()
    assert (row["read"], row["lost"]) == (done.ledger["accepted"], 0)
    source, found = frames_of(BUNDLED), frames_of(out)
    assert len(found) == row["read"]
    assert all(frame == source[at % len(source)] for at, frame in enumerate(found))


def test_a_hostile_reader(tmp_path: Path, program: Path) -> None:
    """It cannot write to what it reads; what it writes into its own page, and says, spoils its own row alone."""
    out = tmp_path / "out.pcap"
    with run(tmp_path, "--pps", "4000", readers=2) as (running, path):
        good = reader(program, path, into=out)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as bad:
            bad.connect(str(path))
            bad.send(b"read b\x1b[2Jad " + b"x" * 3000)
            _, fds, _, _ = socket.recv_fds(bad, 128, 3)
            for fd in fds[:2]:
                with pytest.raises(PermissionError):
                    os.pwrite(fd, b"x", 0)
                with pytest.raises(OSError, match="Operation not permitted"):
                    np.memmap(f"/proc/self/fd/{fd}", "u1", "r+")
            for _ in range(50):
                os.pwrite(fds[2], os.urandom(4096), 0)
                with contextlib.suppress(BrokenPipeError):
                    bad.send(os.urandom(100))
            assert good.wait(60) == 0
            done = running.finish()
            for fd in fds:
                os.close(fd)
    assert done.code == 0, done
    assert consumers(done)[good.pid]["read"] == len(frames_of(out)) == 8379


def test_names(tmp_path: Path, program: Path) -> None:
    """One that is taken, one that a dead run left, one that is no socket, and one that nobody has."""
    with run(tmp_path, "--pps", "1000") as (running, path):
        taken = zcframe("run", "--read", BUNDLED, "--plugin", "sizes", "--queues", 2, "--out", f"ring:{path}")
        assert (taken.code, len(taken.stderr.splitlines())) == (1, 1), taken
        assert f"{path} is the ring of a running capture (pid {running.pid}): name another" in taken.stderr
        running.signal(signal.SIGKILL).process.wait()
    assert path.exists() and json.loads(zcframe("rings", "--json", path).stdout) == {"rings": []}
    with run(tmp_path, "--pps", "100k") as (running, again):
        running.wait_until(lambda: reader(program, again).wait(60) == 0, "a reader")
        assert running.finish().code == 0
    path.write_text("")
    done = zcframe("run", "--read", BUNDLED, "--plugin", "sizes", "--queues", 2, "--out", f"ring:{path}")
    assert (done.code, "is there and is no socket" in done.stderr) == (1, True), done
    gone = zcframe("rings", tmp_path / "nobody")
    assert (gone.code, "No such file or directory" in gone.stderr) == (1, True), gone
