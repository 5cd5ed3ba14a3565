"""A copy: the records of a capture, in their order, written to an output's files."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np

from zcframe.framework.errors import CaptureFileError, LinkTypeError, OutputError, ZcframeError, refusal
from zcframe.framework.filters.program import Program
from zcframe.framework.outputs.output import Output
from zcframe.framework.outputs.sink import FOREVER, Pieces, Place, ReaderLeft
from zcframe.framework.sources.capture import CaptureReader
from zcframe.framework.sources.capture.linktype import ETHERNET
from zcframe.framework.sources.capture.records import OFFSET, TIMESTAMP

from .repack import LONGEST, repack
from .requests import Requests
from .selection import selection

# Bytes of records for one write.
ROOM: Final = 1 << 20
# Of a record of pcap.
HEAD: Final = 16
# Milliseconds between two looks for requests while a pipe brings nothing.
LOOK_MS: Final = 200


class Ended(Exception):
    """The end was asked for while a pipe brought nothing, or between two batches."""


class Copy:
    """A copy of what `reader` brings to `output`, which is open, until its end or until `most` records are written.

    program: of the records to be written; None: all. arrived, written: frames so far.
    """

    def __init__(self, reader: CaptureReader, output: Output, program: Program | None, most: int | None) -> None:
        self._reader, self._output, self._sink = reader, output, output.sink(0)
        self._left = sys.maxsize if most is None else most
        self.arrived = self.written = 0
        self._place = Place()
        self._ng, self._snaplen = int(output.record == "pcapng"), output.snaplen
        self._buffer = None if self._stays() else np.empty(ROOM + LONGEST, np.uint8)
        self._select = selection(program) if program is not None else None
        self._compile()

    def _compile(self) -> None:
        """Have everything compiled, or loaded: whoever has given up privileges may find no module of Python's."""
        base, records = self._reader.window.address, self._reader.records
        self._reader.compile()
        repack(base, records, 0, 0, base, self._ng, ROOM, FOREVER, self._snaplen)
        if self._select is not None:
            self._select(base, records, 0, 0)

    def _stays(self) -> bool:
        """Whether records can be made where they lie, since none grows."""
        form = self._reader.form
        return not self._ng and form is not None and form.pcap[-1:] == (ETHERNET,)

    def run(self, requests: Requests, look: Callable[[], None]) -> None:
        """Copy; whatever ends it, a file ends with a whole record. look: called between two batches.

        Raises CaptureFileError and LinkTypeError where the input is damaged, once all in front of that place is
        written, and OutputError.
        """
        self._requests, self._look = requests, look
        self._reader.window.before_read = self._await_input
        with self._failing():
            self._sink.begin(self._place, interrupted=False)
        damage: ZcframeError | None = None
        try:
            self._copy_all()
        except Ended:
            pass  # as somebody asked: what was copied so far is closed as a whole file
        except (CaptureFileError, LinkTypeError) as error:
            damage = error
        with self._failing():
            self._write(self._sink.opening(self._place))
            self._end_file()
            self._sink.close()
        if damage is not None:
            raise damage

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """What goes wrong with the output is told with its name."""
        try:
            yield
        except OutputError as error:
            raise OutputError(f"{self._output.prefix}{str(error).removeprefix(self._output.prefix)}") from error
        except OSError as error:
            raise OutputError(f"{self._output.prefix}{refusal(error)}") from error

    def _await_input(self, fd: int) -> None:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        while not poller.poll(LOOK_MS):
            self._attend()

    def _attend(self) -> None:
        """See what was asked for. Raises Ended."""
        self._look()
        if self._requests.ended:
            raise Ended

    # --- a batch

    def _copy_all(self) -> None:
        self._attend()
        while self._left and (rows := self._reader.read()):
            chosen = self._chosen(rows)
            with self._failing():
                self._copy(chosen)
            self._attend()

    def _chosen(self, rows: int) -> int:
        """How many of the table's records are to be written; they are the first ones then."""
        seen = chosen = min(rows, self._left)
        if self._select is not None:
            chosen, seen = self._select(self._reader.window.address, self._reader.records, rows, self._left)
        self.arrived += seen
        self._left -= chosen
        return chosen

    def _copy(self, rows: int) -> None:
        """Write the first `rows` records, to as many files as it takes. Raises OSError, OutputError."""
        row, records = 0, self._reader.records
        while row < rows:
            self._open_next(0)
            self._write(self._sink.opening(self._place))
            taken, pieces = self._made(row, rows)
            if taken:
                self._push(self._sink.pack(pieces))
                self.written += taken
                row += taken
            else:
                self._open_next(max(1, int(records[row, TIMESTAMP])))

    def _made(self, first: int, last: int) -> tuple[int, Pieces]:
        """Records of rows from `first` on, as many as the file may take now: how many, and their bytes."""
        room, until = self._sink.bounds(self._place)
        base, records = self._reader.window.address, self._reader.records
        target = base + int(records[first, OFFSET]) - HEAD if self._buffer is None else self._buffer.ctypes.data
        how = self._ng, min(room, ROOM), until, self._snaplen
        taken, octets = repack(base, records, first, last, target, *how)
        return taken, Pieces(np.array((target, octets), np.int64), 1, octets)

    # --- files

    def _open_next(self, stamp: int) -> None:
        """Go on to the next file where one is due. stamp: time of the record that begins it, or 0."""
        place = self._sink.turn(self._place, stamp)
        if place != self._place:
            if self._place.length:
                self._end_file()
            self._place = place

    def _end_file(self) -> None:
        self._write(self._sink.closing(self._place, [(self.arrived, 0)]))

    def _write(self, data: bytes) -> None:
        """Write bytes that are no records."""
        if data:
            self._push(Pieces.of(data))

    def _push(self, pieces: Pieces) -> None:
        """Write all of it; a file is cut to what was there before, where that fails. Raises OSError, OutputError."""
        try:
            self._push_on(pieces)
        except ReaderLeft:
            self._sink.left()
        except OSError:
            self._sink.cut(self._place)
            raise
        self._place = self._place._replace(length=self._place.length + pieces.octets)

    def _push_on(self, pieces: Pieces) -> None:
        while True:
            try:
                self._sink.write(pieces)
                return
            except InterruptedError:
                # A reader may take what is left of the batch; who asks twice does not wait for it.
                self._look()
                if self._requests.hurried:
                    raise OutputError("its reader had not taken all when the end was asked for again") from None
