"""A FIFO by its parts: the name that passes to another pipe, pipes sent to the writer, the trail of records."""

from __future__ import annotations

import mmap
import os
import stat
import struct
from pathlib import Path

import pytest

from zcframe.framework.outputs.pipes.door import Door, bytes_in, has_reader
from zcframe.framework.outputs.pipes.own import OwnPipes, Pipe, Post
from zcframe.framework.outputs.pipes.trail import CAPACITY, TRAIL_BYTES, Trail
from zcframe.framework.outputs.sink import Pieces


def reader_of(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK)


def test_the_name_passes_to_another_pipe(tmp_path: Path) -> None:
    """With the owner and the mode that somebody gave it; nothing of the first reader's is left for the second."""
    path = tmp_path / "x"
    door = Door(str(path))
    os.chmod(path, 0o640)
    os.chown(path, os.getuid(), 1 if os.geteuid() == 0 else os.getgid())
    before, first = os.stat(path), reader_of(path)
    pipe = door.admit()
    second = reader_of(path)
    os.write(pipe, b"of the first")
    assert os.read(first, 6) == b"of the" and bytes_in(pipe) == 6
    with pytest.raises(BlockingIOError):
        os.read(second, 1)
    after = os.stat(path)
    assert stat.S_ISFIFO(after.st_mode) and after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert os.listdir(tmp_path) == ["x"]
    os.close(first)
    assert not has_reader(pipe) and has_reader(door.fd)
    for fd in (pipe, second):
        os.close(fd)
    door.remove()
    door.close()
    assert not path.exists()


def test_a_name_that_cannot_pass_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    door = Door(str(path))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="No space"):
        door.admit()
    reader = reader_of(path)
    assert os.listdir(tmp_path) == ["x"] and has_reader(door.fd)
    os.close(reader)
    door.close()


def test_pipes_reach_the_writer_once() -> None:
    """The newest of each stream; none that a writer knew when it was forked."""
    post, (reader, writer) = Post(), os.pipe()
    for stream, number in ((0, 1), (1, 1), (0, 2)):
        assert post.send(stream, Pipe(number, writer))
    entrance = OwnPipes(0, None, 0, post)
    found = entrance.admit()
    assert found is not None and found.number == 2
    os.write(found.fd, b"x")
    assert os.read(reader, 2) == b"x" and entrance.admit() is None
    assert OwnPipes(1, Pipe(1, writer), 1, post).admit() is None
    os.close(found.fd)
    post.close()
    os.close(reader)
    os.close(writer)


def records(*sizes: int) -> Pieces:
    return Pieces.of(b"".join(struct.pack("=IIII", 1, 2, size, size) + bytes(size) for size in sizes))


def test_what_lies_behind_a_position() -> None:
    memory = mmap.mmap(-1, TRAIL_BYTES)
    trail, pieces = Trail(memory), records(4, 14, 84)  # they end at 44, 74, 174
    trail.note(pieces.words, pieces.count, 24)
    assert [trail.behind(position) for position in (0, 43, 44, 100, 174)] == [3, 3, 2, 1, 0]
    # A writer was killed in the write of the last two; its successor has the same memory.
    after = Trail(memory)
    after.resume(44)
    assert after.behind(0) == 1
    after.clear()
    assert after.behind(0) == 0


def test_the_trail_of_more_records_than_a_pipe_holds() -> None:
    trail, pieces = Trail(mmap.mmap(-1, TRAIL_BYTES)), records(*[0] * (CAPACITY + 100))
    trail.note(pieces.words, pieces.count, 0)
    assert trail.behind(0) == CAPACITY
    assert trail.behind(16 * CAPACITY) == 100
