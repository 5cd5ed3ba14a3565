"""The log funnel: the records of workers go through one socket to the supervisor, which writes them.

multiprocessing-logging brings the handler. Its transport is replaced, for two reasons. A worker that is killed while
it logs keeps the write lock of the shared queue, and then no other worker can log. Its receiving thread makes every
later fork a fork of a process with threads, which Python 3.12 warns of. Here a record is one datagram of a non-blocking
AF_UNIX socket pair: it arrives whole or not at all, no lock is shared, and the supervisor's own loop reads it. A
datagram is JSON, never a pickle: a worker that was taken over must not run code in the supervisor.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import multiprocessing
import os
import queue
import select
import socket
import sys
from typing import Any, TextIO

from multiprocessing_logging import MultiProcessingHandler

from . import streams
from .child import PR_SET_NAME, prctl
from .clock import event_line
from .terminal import clean

BUFFER_SIZE = 1 << 20
DATAGRAM_LIMIT = 1 << 17
DRAIN_LIMIT = 1000

# Characters of each text that are kept: with every one of them escaped, a record fits into DATAGRAM_LIMIT.
TEXTS = {"msg": 4096, "exc_text": 4096, "name": 200, "processName": 200, "funcName": 200, "pathname": 200}
NUMBERS = ("levelno", "process", "lineno")

PACKAGE = "zcframe"

# A traceback has several lines.
KEPT = "\t\n"


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters of a worker's text, safe for the terminal that it goes to."""
    return clean(text if len(text) <= limit else text[:limit] + "...", KEPT)


def _encode(record: logging.LogRecord) -> bytes:
    fields: dict[str, Any] = {n: _cut(str(getattr(record, n, None) or ""), limit) for n, limit in TEXTS.items()}
    fields |= {name: getattr(record, name) for name in NUMBERS}
    return json.dumps(fields | {"created": record.created}).encode()


def _decode(datagram: bytes) -> logging.LogRecord | None:
    """The record; None where the sender broke the format."""
    try:
        fields = json.loads(datagram)
        texts = {name: _cut(fields[name], limit) for name, limit in TEXTS.items()}
        numbers = {name: int(fields[name]) for name in NUMBERS}
        created = float(fields["created"])
        if not 0 <= created < 1 << 33:
            return None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    rest = {
        "created": created,
        "msecs": math.floor(created % 1 * 1000),
        "levelname": logging.getLevelName(numbers["levelno"]),
        "exc_text": texts.pop("exc_text") or None,
    }
    return logging.makeLogRecord(texts | numbers | rest)


class DatagramQueue:
    """The part of multiprocessing.Queue that MultiProcessingHandler needs, over a socket pair that survives SIGKILL.

    `put_nowait` never blocks: a record that finds the socket full is dropped, and counted in an eventfd, which keeps
    the count of a writer that ends or is killed. malformed: datagrams that the receiving side could not read.
    """

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_SIZE)
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._dropped = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lost = 0
        self.malformed = 0

    def fileno(self) -> int:
        """The descriptor that is readable when `receive` has a datagram."""
        return self._receiver.fileno()

    @property
    def sending(self) -> tuple[int, int]:
        """The descriptors that `put_nowait` needs."""
        return self._sender.fileno(), self._dropped

    def put_nowait(self, record: logging.LogRecord) -> None:
        try:
            self._sender.send(_encode(record))
        except OSError:  # the socket is full, or the supervisor is gone: the worker goes on in both cases
            with contextlib.suppress(OSError, ValueError):  # the latter once it is closed
                os.eventfd_write(self._dropped, 1)

    @property
    def lost(self) -> int:
        """Records that found the socket full, of all writers, up to now."""
        with contextlib.suppress(BlockingIOError):  # none since the last look
            self._lost += os.eventfd_read(self._dropped)
        return self._lost

    def receive(self) -> logging.LogRecord | None:
        """Take one datagram: its record, or None where it holds no record. Raises queue.Empty where none has come."""
        try:
            found = _decode(self._receiver.recv(DATAGRAM_LIMIT))
        except BlockingIOError:
            raise queue.Empty from None
        if found is None:
            self.malformed += 1
            return None
        return found

    def _wait(self, timeout: float | None) -> bool:
        readable = select.poll()
        readable.register(self._receiver, select.POLLIN)
        return bool(readable.poll(None if timeout is None else timeout * 1000))

    def get(self, timeout: float | None = None) -> logging.LogRecord:
        """Wait for a record. Raises queue.Empty after `timeout` seconds without any datagram."""
        while self._wait(timeout):
            if record := self.receive():
                return record
        raise queue.Empty

    def qsize(self) -> int:
        """1 where at least one datagram waits, else 0."""
        return int(self._wait(0))

    def close(self) -> None:
        self._receiver.close()
        self._sender.close()
        # A record that comes later must not count in another descriptor of the same number.
        if self._dropped >= 0:
            os.close(self._dropped)
            self._dropped = -1

    def join_thread(self) -> None:
        """There is no thread to wait for."""


class LogFunnel(MultiProcessingHandler):  # type: ignore[misc]  # the package has no types
    """Handler of the root logger, made by the supervisor before it forks.

    In the process that made it, records go straight to `sub_handler`; in a fork of it they go through the socket. The
    supervisor's loop calls `drain` when `fileno()` is readable.
    """

    def __init__(self, sub_handler: logging.Handler) -> None:
        logging.Handler.__init__(self)  # not the parent's: that one starts a queue and a thread
        self.sub_handler = sub_handler
        self.setLevel(sub_handler.level)
        self.setFormatter(sub_handler.formatter)
        self.filters = sub_handler.filters
        self.queue = DatagramQueue()
        self._owner = os.getpid()
        self._reported = 0
        self._is_closed = False

    def fileno(self) -> int:
        return self.queue.fileno()

    def emit(self, record: logging.LogRecord) -> None:
        if os.getpid() == self._owner:
            self.sub_handler.handle(record)
        else:
            super().emit(record)

    def drain(self, limit: int = DRAIN_LIMIT) -> int:
        """Write the records that have come, at most `limit`: a flood cannot hold the caller up. Returns the number."""
        written = 0
        with contextlib.suppress(queue.Empty):
            for _ in range(limit):
                if record := self.queue.receive():
                    self.sub_handler.handle(record)
                    written += 1
        self._report_missing()
        return written

    def _report_missing(self) -> None:
        missing = self.queue.lost + self.queue.malformed
        if missing > self._reported:
            logging.getLogger(__name__).warning("%d log records of workers were lost", missing - self._reported)
            self._reported = missing

    def close(self) -> None:
        """Write the records that are left and close the socket; a worker only closes it."""
        if self._is_closed:
            return
        self._is_closed = True
        if os.getpid() == self._owner:
            self.drain()
            self.sub_handler.close()
        self.queue.close()
        logging.Handler.close(self)


class EventFormatter(logging.Formatter):
    """The one form of lines about a run, which notices have too. origin: name the logger as well."""

    def __init__(self, *, origin: bool = False) -> None:
        super().__init__()
        self._origin = origin

    def formatMessage(self, record: logging.LogRecord) -> str:
        process = "" if record.processName in (None, "MainProcess") else str(record.processName)
        place = " ".join(filter(None, (process, record.name if self._origin else "")))
        text = f"{record.levelname.lower()}: {place + ': ' if place else ''}{record.message}"
        return event_line(text, record.created)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to the sys.stderr of the moment: the live view puts itself there while it is on the screen."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        raise AttributeError("the stream is always sys.stderr")


def install(*, verbose: bool = False, sub_handler: logging.Handler | None = None) -> LogFunnel:
    """Put a funnel on the root logger. It passes all warnings, and with `verbose` zcframe's debug messages.

    Call it before the first fork; `uninstall` takes it off again.
    """
    handler = sub_handler or _StderrHandler()
    if handler.formatter is None:
        handler.setFormatter(EventFormatter(origin=verbose))
    funnel = LogFunnel(handler)
    logging.getLogger().addHandler(funnel)
    logging.getLogger(PACKAGE).setLevel(logging.DEBUG if verbose else logging.WARNING)
    return funnel


def uninstall(funnel: LogFunnel) -> None:
    """Write the records that are left in the funnel, and take it off the root logger."""
    funnel.drain()
    logging.getLogger().removeHandler(funnel)
    logging.getLogger(PACKAGE).setLevel(logging.NOTSET)
    funnel.close()


def descriptors() -> tuple[int, ...]:
    """File descriptors that records of a fork need: the socket, the count of lost ones; () without a funnel."""
    funnels = [handler for handler in logging.getLogger().handlers if isinstance(handler, LogFunnel)]
    return funnels[-1].queue.sending if funnels else ()


def name_process(name: str) -> None:
    """Name this process, such as zc-rx-3, in its records and in the process list. A fork calls this first.

    It also lets go of the fork's copy of the live view, which would draw on the supervisor's terminal.
    """
    multiprocessing.current_process().name = name
    streams.renew()
    # /proc/self/comm cannot be written where the interpreter has file capabilities.
    prctl(PR_SET_NAME, name.encode())
