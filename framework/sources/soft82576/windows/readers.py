"""The NIC's reader processes: each has a socket on which jobs come, with the file to read, and `IDLE` goes back.

They are children of the NIC, and end with it. They run no plugin.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import Callable
from typing import Final

from zcframe.framework.child import ending, fork_child
from zcframe.framework.errors import ProcessError, SourceDiedError, refusal
from zcframe.framework.sources.capture.scanner import Form
from zcframe.framework.sources.soft82576.channel import LARGEST, ChildEnd

from .reading import GOING, Job, WindowReader

PROCESS_NAME: Final = "zc-read"
IDLE: Final = b"idle"
# A reader that is told to end brings a part of a window into the rings at most; what reads a slow disk is killed.
GRACE_S: Final = 1.0
# More would wait for memory, and for the NIC, which brings all frames into the rings by itself.
MOST_READERS: Final = 8


Enclose = Callable[[int], None]


def readers_for(cpus: int) -> int:
    """Processes besides the NIC that read on a machine where it may use so many CPUs."""
    return min(cpus, MOST_READERS) - 1


def read_jobs(channel: socket.socket, reader: WindowReader) -> None:
    """Body of a reader process: read the windows of one job after the other, until the NIC ends."""
    while True:
        message, fds, _, _ = socket.recv_fds(channel, LARGEST, 1)
        if not message:
            return
        reader.begin(_job_from(message), fds[0])
        while reader.read_on() == GOING:
            pass
        os.close(fds[0])
        channel.send(IDLE)


def _job_from(message: bytes) -> Job:
    first, windows, offset, size, shift, timed, (swapped, pcap, interfaces) = json.loads(message)
    form = Form(swapped, tuple(pcap), tuple(map(tuple, interfaces)))
    return Job(first, windows, offset, size, shift, timed, form)


class ReaderProcess:
    """One reader, as the NIC sees it; `make` is called in it, then `enclose` with its end of the channel.

    Raises ProcessError where the system refuses it.
    """

    def __init__(self, make: Callable[[], WindowReader], nic: ChildEnd, enclose: Enclose) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.idle, self._running = True, True

        def body() -> None:
            # The supervisor is to see the end of the NIC, not that of the last of its readers.
            nic.close()
            self._channel.close()
            reader = make()
            enclose(theirs.fileno())
            read_jobs(theirs, reader)

        try:
            self.pid = fork_child(PROCESS_NAME, body)
        except (OSError, MemoryError) as error:
            self._channel.close()
            raise ProcessError(f"cannot start a reader of the software NIC: {refusal(error)}") from error
        finally:
            theirs.close()

    def begin(self, message: bytes, fd: int) -> None:
        """Send a job, and the file. Raises SourceDiedError."""
        self.idle = False
        try:
            socket.send_fds(self._channel, [message], [fd])
        except OSError:
            raise self._died() from None

    def look(self, flags: int = socket.MSG_DONTWAIT) -> None:
        """See whether the reader is done with its job; without flags, wait for that. Raises SourceDiedError."""
        if self.idle:
            return
        try:
            message = self._channel.recv(LARGEST, flags)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if message != IDLE:
            raise self._died()
        self.idle = True

    def _died(self) -> SourceDiedError:
        code = self._reap()
        return SourceDiedError(
            f"a reader of the software NIC (pid {self.pid}) {ending(code)}: what it had delivered counts, nothing more"
            " will come"
        )

    def _reap(self) -> int | None:
        pid, self._running = self.pid, False
        try:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:
            return None

    def close(self) -> None:
        """End the process. It gets a moment to finish what it does to the rings, and not what it reads."""
        if not self.idle and self._running:
            select.select([self._channel], [], [], GRACE_S)
        self._channel.close()
        if self._running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._reap()


class Readers:
    """The reader processes of one NIC. make, enclose: as for ReaderProcess; nic: its end of the other channel."""

    def __init__(self, count: int, make: Callable[[], WindowReader], nic: ChildEnd, enclose: Enclose) -> None:
        self._processes: list[ReaderProcess] = []
        try:
            for _ in range(count):
                self._processes.append(ReaderProcess(make, nic, enclose))
        except ProcessError:
            self.close()
            raise

    def begin(self, job: Job, fd: int) -> None:
        """Have all of them work on a job. Raises SourceDiedError where one of them has ended."""
        message = json.dumps(job).encode()
        for process in self._processes:
            process.begin(message, fd)

    def look(self) -> None:
        """Raises SourceDiedError where one of them has ended."""
        for process in self._processes:
            process.look()

    @property
    def idle(self) -> bool:
        """Whether none of them works on a job, as far as it was seen."""
        return all(process.idle for process in self._processes)

    def close(self) -> None:
        for process in self._processes:
            process.close()
