"""Standard streams that are full, closed, slow, hung up, or unable to encode what is said."""

from __future__ import annotations

import codecs
import errno
import fcntl
import os
import pty
import resource
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kit.command import zcframe
from zcframe.framework.streams import BACKLOG, Outlet, Voice
from zcframe.framework.terminal import PLAIN

LINE = "x" * 99


@pytest.fixture(autouse=True)
def guard() -> Iterator[None]:
    """A write that waits for ever ends the test."""
    signal.alarm(120)
    yield
    signal.alarm(0)


def say(voice: Voice, lines: int) -> None:
    for number in range(lines):
        print(f"{number:06} {LINE}", file=voice, flush=True)


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def reader_gone() -> int:
    read, write = os.pipe()
    os.close(read)
    return write


def hung_up() -> int:
    master, slave = pty.openpty()
    os.close(master)
    return slave


def not_open() -> int:
    return os.open(os.devnull, os.O_RDONLY)


@pytest.mark.parametrize("make", [full, reader_gone, hung_up, not_open])
def test_a_voice_that_nobody_hears_loses_its_lines_and_nothing_else(make: Callable[[], int]) -> None:
    fd = make()
    with pytest.raises(OSError):
        os.write(fd, b"x")
    voice = Voice(fd, "utf-8")
    say(voice, 3)
    voice.drain()
    assert voice.lost == 3
    assert not voice.behind
    voice.release()
    os.close(fd)


@pytest.mark.parametrize("make", [full, reader_gone, hung_up, not_open])
def test_an_outlet_says_that_it_could_not(make: Callable[[], int]) -> None:
    fd = make()
    with pytest.raises(OSError) as refused:
        print("x", file=Outlet(fd, "utf-8"))
    assert refused.value.errno in (errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF)
    os.close(fd)


def whole_lines(data: bytes) -> list[int]:
    """Numbers of the lines of `say`, each of which must be whole."""
    lines = data.decode().splitlines()
    said = [line for line in lines if not line.startswith("zcframe: ")]
    assert all(line[7:] == LINE for line in said)
    return [int(line[:6]) for line in said]


def test_a_reader_that_sleeps_holds_nothing_up_and_finds_whole_lines_when_it_wakes() -> None:
    """More than the pipe and the backlog hold: what is missing is counted where it is missing."""
    read, write = os.pipe()
    voice, spoken = Voice(write, "utf-8"), 2 * BACKLOG // 107
    say(voice, spoken)
    assert voice.behind and voice.lost
    reader = subprocess.Popen(["cat"], stdin=read, stdout=subprocess.PIPE)
    os.close(read)
    heard, lost = b"", voice.lost
    while voice.behind:
        assert reader.stdout is not None
        heard += os.read(reader.stdout.fileno(), 1 << 16)
        voice.flush()
    print(f"{spoken:06} {LINE}", file=voice)
    os.close(write)
    heard += reader.communicate()[0]
    numbers = whole_lines(heard)
    assert numbers == [*range(spoken - lost), spoken]
    assert heard.decode().splitlines()[-2] == f"zcframe: {lost} lines were lost here, nobody took them"


def test_a_fork_does_not_write_what_its_parent_is_about_to_write() -> None:
    """Neither when it writes, nor when it drops its copy of the stream."""
    read, write = os.pipe()
    voice = Voice(write, "utf-8")
    say(voice, 1000)
    voice.write("half")
    os.set_blocking(read, False)
    heard = b""
    while len(heard) < 4096:
        heard += os.read(read, 4096)
    if os.fork() == 0:
        print("child", file=voice)
        del voice
        os._exit(0)
    os.wait()
    print(" a line", file=voice)
    while voice.behind:
        heard += os.read(read, 1 << 16)
        voice.flush()
    with pytest.raises(BlockingIOError):
        while True:
            heard += os.read(read, 1 << 16)
    lines = heard.decode().splitlines()
    assert "child" in lines and lines[-1] == "half a line"
    # The child's line may stand within a line of the parent: the pipe was full, and both write to it.
    assert sorted(set(lines)) == sorted(lines)
    os.close(read)
    os.close(write)


def test_a_stopped_terminal_holds_nothing_up() -> None:
    """Ctrl-S: nothing leaves, and the shell's own descriptor stays as it was."""
    master, slave = pty.openpty()
    termios.tcflow(slave, termios.TCOOFF)
    voice = Voice(slave, "utf-8")
    say(voice, 10)
    assert voice.behind
    termios.tcflow(slave, termios.TCOON)
    voice.drain()
    assert not voice.behind
    heard = b""
    while heard.count(b"\n") < 10:  # the kernel moves a terminal's bytes in its own time
        heard += os.read(master, 1 << 16)
    assert len(whole_lines(heard.replace(b"\r", b""))) == 10
    assert not fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK
    voice.release()
    os.close(slave)
    os.close(master)


def test_a_disk_that_has_room_again_gets_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    voice, before = Voice(fd, "utf-8"), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (250, before[1]))
    try:
        say(voice, 5)
        assert path.stat().st_size == 250
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    print(f"{5:06} {LINE}", file=voice)
    assert whole_lines(path.read_bytes()) == [0, 1, 2, 5]
    assert "zcframe: 2 lines were lost here" in path.read_text()
    os.close(fd)


def test_a_line_leaves_when_it_is_whole() -> None:
    """print() writes a line and its end apart: where the line is lost, its end is not left behind."""
    read, write = os.pipe()
    voice = Voice(write, "utf-8")
    voice.write("half")
    os.set_blocking(read, False)
    with pytest.raises(BlockingIOError):
        os.read(read, 10)
    voice.write(" a line\nand")
    assert os.read(read, 100) == b"half a line\n"
    voice.flush()
    assert os.read(read, 100) == b"and"
    os.close(read)
    os.close(write)


def test_an_outlet_waits_for_a_reader_on_a_stream_that_does_not_block() -> None:
    """As a terminal or pipe is after some programs had it: a document is longer than a pipe."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    reader = subprocess.Popen(["wc", "-c"], stdin=read, stdout=subprocess.PIPE)
    os.close(read)
    Outlet(write, "utf-8").write("x" * 1_000_000)
    os.close(write)
    assert int(reader.communicate()[0]) == 1_000_000


TEXT = "bar ██▌ of ▁▄█ é 漢 a\u0301 \ud800 …\n"


@pytest.mark.parametrize(
    ("encoding", "seen"),
    [
        ("ascii", "bar ##- of _=# ? ?? a ? ~\n"),
        ("latin-1", "bar ##- of _=# é ?? a ? ~\n"),
        ("cp437", "bar ██▌ of _▄█ é ?? a ? ~\n"),
        ("euc-jp", "bar ##- of _=# é 漢 a ? …\n"),
        ("utf-8", TEXT.replace("\ud800", "?")),
        ("utf-16", TEXT.replace("\ud800", "?")),
        ("iso2022_jp", "bar ##- of _=# ? 漢 a ? …\n"),
    ],
)
def test_what_an_encoding_lacks_is_replaced(encoding: str, seen: str) -> None:
    read, write = os.pipe()
    for stream in (Outlet(write, encoding), Voice(write, encoding)):
        stream.write(TEXT)
        stream.write(TEXT)
        assert codecs.decode(os.read(read, 4096), encoding) == seen * 2
    os.close(read)
    os.close(write)


def test_what_stands_for_our_own_characters_is_ascii_and_as_wide() -> None:
    assert all(plain.isascii() and len(plain) == len(own) == 1 for own, plain in PLAIN.items())


@pytest.mark.parametrize("words", [["--help"], ["plugins"], ["run", "--check", "--queues", "2"], ["nic", "list"]])
def test_every_text_fits_an_ascii_terminal(words: list[str]) -> None:
    done = zcframe(*words, env={"PYTHONIOENCODING": "ascii"})
    assert (done.code, done.stdout.isascii()) == (0, True), done
    assert done.stdout


def test_stderr_that_is_full_costs_no_more_than_its_lines() -> None:
    """Not even the exit code of a usage error, and no second error at the interpreter's exit."""
    for redirection in ("2>/dev/full", "2>&-"):
        done = zcframe("nonsense", launcher=("sh", "-c", f'exec "$@" {redirection}', "sh"))
        assert (done.code, done.stderr) == (2, "")
    assert sys.stderr is not None
