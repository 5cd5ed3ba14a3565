"""`zcframe extcap` behind tshark's own -i, on a veth that tcpdump watches too."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dpkt
import psutil
import pytest

from tests.kit import reference
from tests.kit.command import environment, own_processes, until
from tests.kit.places import BUNDLED

from .space import Space

pytestmark = pytest.mark.needs("root", "namespaces", "tshark", "tcpdump")

WANTED = 1000


def frames_of(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return [bytes(data) for _, data in dpkt.pcap.UniversalReader(file)]


@pytest.fixture
def config(space: Space, tmp_path: Path) -> Path:
    """The folder of configurations of a user whose tshark calls us."""
    space.veth(2)
    done = space.zcframe("extcap", "--install", tmp_path / "wireshark" / "extcap")
    assert done.code == 0, done
    return tmp_path


@contextmanager
def tshark(space: Space, config: Path, *words: object) -> Iterator[subprocess.Popen[str]]:
    """A tshark of this user, in the background."""
    command = [*space.enter, "tshark", "-n", *map(str, words)]
    env = environment(XDG_CONFIG_HOME=str(config))
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=env, start_new_session=True) as process:
        try:
            yield process
        finally:
            # Its dumpcap, too, which a FIFO that nobody writes to would keep.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def tcpdump(space: Space, file: Path) -> Iterator[None]:
    words = ("--immediate-mode", "-U", "-B", "65536", "-Z", "root", "-w", str(file))
    command = [*space.enter, "tcpdump", "-i", "near", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        until(lambda: "listening" in process.stderr.readline(), what="tcpdump")
        try:
            yield
        finally:
            process.terminate()


def children_of(process: subprocess.Popen[str], name: str) -> list[psutil.Process]:
    """Those below a tshark that have such a name."""
    return [child for child in psutil.Process(process.pid).children(recursive=True) if child.name().startswith(name)]


def test_the_same_as_tcpdump(space: Space, config: Path, tmp_path: Path) -> None:
    """Frames from the first that tshark shows to the last are those that tcpdump saw, with the names of the queues."""
    mine, theirs = tmp_path / "mine.pcapng", tmp_path / "theirs.pcap"
    with tcpdump(space, theirs), space.sending(BUNDLED, pps=4000):
        with tshark(space, config, "-i", "zc:near", "-c", WANTED, "-w", mine) as process:
            _, said = process.communicate()
        assert process.returncode == 0, said
        until(lambda: not own_processes(), 3.0, "processes are left")
    found, seen = frames_of(mine), frames_of(theirs)
    assert len(found) == WANTED
    starts = [at for at, frame in enumerate(seen) if frame == found[0]]
    assert any(seen[at : at + WANTED] == found for at in starts)
    fields = ("-T", "fields", "-e", "frame.interface_name")
    names = set(space.run("tshark", "-n", "-r", mine, *fields).splitlines())
    assert names and names <= {f"near/{queue}" for queue in range(8)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_tshark_is_ours(space: Space, config: Path, tmp_path: Path, number: int) -> None:
    """Also where nothing comes, and it has no time to say so."""
    file = tmp_path / "quiet.pcapng"
    with tshark(space, config, "-i", "zc:near", "-w", file) as process:
        # It opens the file when it has our header.
        until(file.exists, what="a capture")
        (writer,) = children_of(process, "zc-out-")
        process.send_signal(number)
        process.wait()
        until(lambda: not writer.is_running(), 3.0, "the writer is left")
    until(lambda: not own_processes(), 3.0, "processes are left")


def test_a_filter_that_libpcap_does_not_take(space: Space, config: Path) -> None:
    with tshark(space, config, "-i", "zc:near", "-f", "tcp prt 80") as process:
        said = process.communicate()[1]
    assert "can't parse filter expression: syntax error" in said
    assert "0 packets captured" in said


def test_one_queue(space: Space, config: Path, tmp_path: Path) -> None:
    """The frames that were written into this queue of a TAP, and no others."""
    file = tmp_path / "one.pcapng"
    wanted = [f for f in frames_of(BUNDLED) if reference.queue_of(f, reference.SYMMETRIC, "5-tuple", 2) == 1]
    with space.tap(2, BUNDLED) as send, tshark(space, config, "-i", "zc:t0:1", "-w", file) as process:
        until(file.exists, what="a capture")
        send()
        until(lambda: len(frames_of(file)) >= len(wanted), what="all frames")
        process.terminate()
        process.communicate()
    assert frames_of(file) == wanted
