"""Messages between a host program and the process of its run: pickles, and arrays in shared memory beside them.

A message is one packet of a SOCK_SEQPACKET pair. A larger one lies in a memfd, which has no name and goes with its last
holder, and the packet carries the descriptor. Arrays lie there as they are: the receiver maps them instead of copying.
"""

from __future__ import annotations

import array
import fcntl
import mmap
import os
import pickle
import socket
import struct
import termios
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

# A message up to this size travels in the packet itself; the kernel keeps some 200 KiB for a receiver that is busy.
INLINE: Final = 16 << 10
# Where a piece of a larger message begins: arrays are aligned for any dtype, and for a cache line.
ALIGNED: Final = 64
_DESCRIPTORS: Final = socket.CMSG_SPACE(array.array("i", [0]).itemsize)
_SIZE: Final = struct.Struct("=Q")
_UNREAD: Final = struct.Struct("=i")

Raw = tuple[bytes, list[tuple[int, int, bytes]], int, Any]


def _padded(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED


def _pickled(message: Any) -> list[memoryview]:
    """The pickle, and behind it the memory of each array that it refers to."""
    beside: list[pickle.PickleBuffer] = []
    text = pickle.dumps(message, protocol=5, buffer_callback=beside.append)
    return [memoryview(text), *(buffer.raw() for buffer in beside)]


def _written(pieces: Sequence[memoryview]) -> int:
    """A memfd that holds the pieces: their number and sizes first, then each at a multiple of ALIGNED."""
    fd = os.memfd_create("zcframe-message", os.MFD_CLOEXEC)
    try:
        table = b"".join(_SIZE.pack(number) for number in (len(pieces), *(piece.nbytes for piece in pieces)))
        with open(fd, "wb", closefd=False) as file:
            for piece in (memoryview(table), *pieces):
                file.write(piece)
                file.write(bytes(_padded(piece.nbytes) - piece.nbytes))
    except BaseException:
        os.close(fd)
        raise
    return fd


def _mapped(fd: int) -> Any:
    """The message in a memfd. Its arrays are views of the mapping, and what writes to them changes a copy."""
    memory = memoryview(mmap.mmap(fd, 0, access=mmap.ACCESS_COPY))
    (count,) = _SIZE.unpack_from(memory)
    sizes = [_SIZE.unpack_from(memory, _SIZE.size * (1 + k))[0] for k in range(count)]
    at, pieces = _padded(_SIZE.size * (1 + count)), []
    for size in sizes:
        pieces.append(memory[at : at + size])
        at += _padded(size)
    return pickle.loads(pieces[0], buffers=pieces[1:])


class Channel:
    """One end. fileno(): readable when a message waits, or the other end is gone."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._inbox: deque[Raw] = deque()

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def taken(self) -> bool:
        """Whether the other end has taken all that was sent."""
        (left,) = _UNREAD.unpack(fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(_UNREAD.size)))
        return left == 0  # type: ignore[no-any-return]

    def send(self, message: Any, *, wait: bool = True) -> bool:
        """Send; False where there is no room and nobody is to wait. Raises OSError where the other end is gone."""
        flags = socket.MSG_NOSIGNAL | (0 if wait else socket.MSG_DONTWAIT)
        pieces = _pickled(message)
        try:
            if len(pieces) == 1 and pieces[0].nbytes <= INLINE:
                self._socket.sendmsg([pieces[0]], [], flags)
                return True
            fd = _written(pieces)
            try:
                self._socket.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))], flags)
            finally:
                os.close(fd)
        except BlockingIOError:
            return False
        return True

    def receive(self) -> Any:
        """The next message; waits for it. Raises EOFError where the other end is gone.

        A KeyboardInterrupt loses none: from the kernel into the inbox, a message passes no bytecode of Python's.
        """
        if not self._inbox:
            receive = self._socket.recvmsg
            self._inbox.extend(map(receive, (INLINE + 1,), (_DESCRIPTORS,), (socket.MSG_CMSG_CLOEXEC,)))
        data, beside, _, _ = self._inbox.popleft()
        for _, _, words in beside:
            (fd,) = array.array("i", words)
            try:
                return _mapped(fd)
            finally:
                os.close(fd)
        if not data:
            raise EOFError
        return pickle.loads(data)

    def close(self) -> None:
        self._socket.close()
