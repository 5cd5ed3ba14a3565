"""`fifo:PATTERN`: pcap through named pipes, a stream for each share, for Suricata, tcpdump, tshark and others.

The supervisor holds every pipe open for writing to the end, so that a reader never sees the end of a stream because a
writer died. It lets readers in (pipes/door.py); the writer gives each a stream with a header of its own.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
from collections.abc import Sequence

from zcframe.framework.errors import OutputError
from zcframe.framework.outputs.output import Input, Output, OutputSpec, Streams
from zcframe.framework.outputs.pipes.door import Door, has_reader
from zcframe.framework.outputs.pipes.fifo_sink import FifoSink
from zcframe.framework.outputs.pipes.found import Departures, FoundPipe
from zcframe.framework.outputs.pipes.own import Entrance, OwnPipes, Pipe, Post
from zcframe.framework.outputs.pipes.trail import TRAIL_BYTES, Trail
from zcframe.framework.outputs.sink import Sink

from .pcap import pcap_head

log = logging.getLogger(__name__)


class Way:
    """The way to the readers of one stream. pipe: of the reader that was let in last, where it has one for itself.

    readers: how many were let in so far. Raises FileExistsError, OSError.
    """

    def __init__(self, path: str) -> None:
        self.door = Door(path)
        self.pipe: Pipe | None = None
        self.readers = 0
        self.sent = True
        self.trail = mmap.mmap(-1, TRAIL_BYTES)
        self.departures = None if self.door.made else Departures(path)

    @property
    def read(self) -> bool:
        """Whether it has a reader that was let in."""
        if not self.door.made:
            return has_reader(self.door.fd)
        return self.pipe is not None and has_reader(self.pipe.fd)

    def admit(self) -> None:
        """Let a reader in. Raises OSError."""
        fd = self.door.admit()
        self.shut()
        self.readers += 1
        self.pipe, self.sent = Pipe(self.readers, fd), False

    def shut(self) -> None:
        """End the stream of the reader that was let in last."""
        if self.pipe is not None:
            os.close(self.pipe.fd)
            self.pipe = None

    def close(self) -> None:
        self.shut()
        self.door.close()
        self.trail.close()
        if self.departures is not None:
            self.departures.close()


class Fifo(Output):
    """Named pipes: those that are there, or new ones, which are removed at the end."""

    def __init__(self, spec: OutputSpec, streams: Streams, inputs: Sequence[Input], number: int) -> None:
        super().__init__(spec, streams, inputs, number)
        self._ways: list[Way] = []
        self._post = Post()
        self._told = False

    def open(self) -> None:
        for path in self.targets():
            try:
                self._ways.append(Way(path))
            except FileExistsError:
                raise self.refuse(f"{path} is there and is no FIFO: remove it, or name another") from None
            except OSError as error:
                reason = "no permission" if error.errno in (errno.EACCES, errno.EPERM) else error.strerror
                raise OutputError(f"{self.prefix}{path} cannot be made: {reason}") from error

    def _entrance(self, stream: int) -> Entrance:
        way = self._ways[stream]
        if way.departures is not None:
            return FoundPipe(way.door.path, way.door.fd, way.departures)
        return OwnPipes(stream, way.pipe, way.readers, self._post)

    def _trail(self, stream: int) -> Trail:
        return Trail(self._ways[stream].trail, ng=self.record == "pcapng")

    def sink(self, stream: int) -> Sink:
        return FifoSink(self._entrance(stream), pcap_head(self.snaplen), self._trail(stream))

    def absent(self) -> Sequence[str]:
        self.tend()
        return [way.door.path for way in self._ways if not way.read]

    def tend(self) -> bool:
        for stream, way in enumerate(self._ways):
            if way.door.made and not way.read and has_reader(way.door.fd):
                self._admit(way)
            if way.pipe is not None and not way.sent:
                way.sent = self._post.send(stream, way.pipe)
        return not all(way.read and way.sent for way in self._ways)

    def _admit(self, way: Way) -> None:
        try:
            way.admit()
        except OSError as error:
            if not self._told:
                text = f"{way.door.path} cannot be made anew, so that its reader waits: {error.strerror}"
                log.warning("%s%s", self.prefix, text)
            self._told = True

    def renew(self, stream: int) -> None:
        """End the stream, which may stop in the middle of a record."""
        way = self._ways[stream]
        if not way.door.made:
            raise OutputError("the writer was killed in a write to a FIFO that it did not make: its stream ends there")
        way.shut()

    def finish(self) -> None:
        # The name goes first: a reader that comes again would open it, and wait for ever.
        for way in self._ways:
            way.door.remove()
        self.let_go()

    def let_go(self) -> None:
        for way in self._ways:
            way.close()
        self._post.close()

    def close(self) -> None:
        self.finish()
        self._ways = []
