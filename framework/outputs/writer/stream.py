"""One stream of an output, in the writer's process: what several workers hand on, merged and written."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from zcframe.framework.errors import OutputError
from zcframe.framework.outputs.sink import FOREVER, UNBOUND, Pieces, Place, ReaderLeft, Sink

from .account import COUNT, WORDS, Account
from .gaps import Gaps
from .merge import ROW, Merge, Merged

# Frames that are past a ring.
TAKEN: Final = (COUNT.written, COUNT.absent, COUNT.uncertain, COUNT.unread, COUNT.refused, COUNT.down)
# Of a live capture so many writes are gathered, for as long as a worker of `packet` naps.
WRITES, GATHER_S = 4, 0.004
# Bytes of records that are discarded at once.
DISCARDED: Final = 1 << 30

Counts = Callable[[], Sequence[tuple[int, int]]]


class Stream:
    """Rings of these workers (their numbers) merged into a sink, by an account. counts: see `Sink.closing`.

    taken: whether somebody took frames at the last look. gaps: told in the sink, where it takes notes.
    """

    def __init__(
        self, merge: Merge, workers: Sequence[int], account: Account, sink: Sink, counts: Counts, gaps: Gaps
    ) -> None:
        self._merge, self._account, self._sink, self._counts = merge, account, sink, counts
        self._gaps = gaps if sink.note is not None else None
        self._workers = np.array(workers, np.int64)
        self._words = self._workers + WORDS
        self._added = np.zeros(account.words, np.int64)
        self._pending: Pieces | None = None
        self._frames = 0
        self._place = Place()
        self._due = 0.0
        self._returned = 0
        self._closed = self.finished = False
        self.taken = True

    def begin(self) -> None:
        """Take over where a predecessor was killed, if there was one. Raises OSError, OutputError."""
        interrupted = self._account.interrupted
        if interrupted and self._sink.holds(int(self._account.interrupted_draft()[COUNT.written])):
            self._account.commit()
            interrupted = False
        self._remember()
        self._sink.begin(self._place, interrupted=interrupted)
        if interrupted and not self._sink.cuts:
            self._doubt(int(self._account.interrupted_draft()[COUNT.written] - self._account.read()[COUNT.written]))
            self._account.commit()
        self._account.withdraw()
        self._account.publish()
        words = self._account.read()
        self._merge.begin(words[self._words], sum(int(words[at]) for at in TAKEN), int(words[COUNT.last]))
        self._closed, self._returned = bool(words[COUNT.closed]), int(words[COUNT.returned])
        if self._gaps is not None and words[COUNT.octets]:
            self._gaps.begin()

    def _remember(self) -> None:
        """Note where the sink is, as it is on record."""
        words = self._account.read()
        self._place = Place(*(int(words[at]) for at in (COUNT.number, COUNT.opened, COUNT.length)))

    @property
    def flowing(self) -> bool:
        """Whether frames have been handed on."""
        return self._merge.frames > 0

    @property
    def blocked(self) -> bool:
        """Whether a write is not done yet, since its reader takes no more."""
        return self._pending is not None

    def turn(self, *, ended: bool) -> bool:
        """Write a batch of what there is; whether that was done. ended: no worker will add to it.

        Raises OSError, OutputError.
        """
        if self._pending is not None:
            return self._push()
        self._merge.look(ended=ended)
        self._note_returned()
        self.taken = self._sink.taken
        self._note_missed()
        if not self.taken:
            return self._discard() or self._end(ended=ended)
        if self._merge.empty:
            return self._greet() or self._end(ended=ended)
        if not ended and self._waits_for_more():
            return False
        return self._open_next(0) or self._write_batch()

    def _greet(self) -> bool:
        """Write what is due before the first record, for a reader who waits for it."""
        return self._sink.greets and self._begin_file()

    def _end(self, *, ended: bool) -> bool:
        """Finish the file, where nothing is left that could come."""
        if not ended or not self._merge.empty:
            return False
        if self._sink.taken and (self._begin_file() or self._close_file()):
            return True
        if self._sink.under_way():
            return False
        # What came back did so before nothing was under way.
        self._note_returned()
        self.finished = True
        return True

    def _begin_file(self) -> bool:
        """Write the head of a file, or for a reader, that has none yet."""
        if self._sink.reads and self._open_next(0):
            return True
        return self._send(self._sink.opening(self._place), readers=self._sink.reads)

    def _close_file(self) -> bool:
        closed, self._closed = self._closed, True
        return not closed and self._send(self._sink.closing(self._place, self._counts()), closes=True)

    def cut_short(self) -> None:
        """End the file now. What a write in progress has not brought out counts as unwritten."""
        if self._pending is not None:
            self._abandon(self._pending)
        elif self._sink.taken and self._place.length:
            self._close_file()
        if under_way := self._sink.under_way():
            draft = self._account.draft()
            draft[COUNT.written] -= under_way
            draft[COUNT.uncertain] += under_way
            self._account.commit()

    def _abandon(self, pieces: Pieces) -> None:
        unsent = self._sink.unsent(self._frames)
        if unsent < self._frames:
            draft = self._account.interrupted_draft()
            draft[COUNT.written] -= unsent
            draft[COUNT.octets] -= pieces.left
            self._correct(pieces)
            self._account.commit()

    def _waits_for_more(self) -> bool:
        """Whether a write can wait, since small ones cost much."""
        patience = self._sink.patience_s or (GATHER_S if self._merge.live and self._sink.gathers else 0.0)
        if not patience:
            return False
        now = time.monotonic()
        self._due = self._due or now + patience
        waits = self._merge.octets < WRITES * self._sink.room and not self._merge.half_full and now < self._due
        self._due = self._due if waits else 0.0
        return waits

    def _open_next(self, stamp: int) -> bool:
        """Begin the next file where one is due; whether it was. stamp: time of the record that begins it, or 0."""
        place = self._sink.turn(self._place, stamp)
        if place == self._place:
            return False
        if self._place.length:
            self._close_file()
        draft = self._account.draft()
        draft[COUNT.number], draft[COUNT.opened], draft[COUNT.length] = place
        draft[COUNT.closed], self._closed = 0, False
        self._account.commit()
        self._remember()
        return True

    def _write_batch(self) -> bool:
        if self._begin_file():
            return True
        room, until = self._sink.bounds(self._place)
        if self._gaps is not None and (text := self._gap()):
            return self._write_noted(text, until)
        found = self._taken(room, until, self._sink.frames)
        if not found.frames:
            # 0 would say that no record is there.
            return found.next != FOREVER and self._open_next(max(1, found.next))
        pieces = Pieces(self._merge.pieces, found.pieces, found.octets, found.frames)
        return self._begin_write(self._sink.pack(pieces), found)

    def _gap(self) -> str:
        """What was lost in front of the next record."""
        assert self._gaps is not None
        self._gaps.check(self._merge.rows[:, ROW.end])
        return self._gaps.due(self._merge.positions)

    def _write_noted(self, text: str, until: int) -> bool:
        """Write one record, with this note."""
        assert self._gaps is not None and self._sink.note is not None
        before = self._merge.positions.copy()
        found = self._taken(1, until)
        if not found.frames:
            return found.next != FOREVER and self._open_next(max(1, found.next))
        self._gaps.told(before)
        record = Pieces(self._merge.pieces, found.pieces, found.octets).joined()
        return self._begin_write(self._sink.pack(Pieces.of(self._sink.note(record, text))), found)

    def _taken(self, room: int, until: int, most: int = UNBOUND) -> Merged:
        found = self._merge.take(room, until, most)
        if found.broken and not found.frames:
            raise OutputError(f"worker {found.broken - 1} left in its ring what is no record: nothing more is written")
        return found

    def _discard(self) -> bool:
        """Nobody takes the frames: count them, and let the workers go on."""
        found = self._taken(DISCARDED, FOREVER)
        if not found.frames:
            return False
        draft = self._account.draft()
        draft[COUNT.absent] += found.frames
        draft[self._words] = self._merge.positions
        self._account.commit()
        return True

    def _note_missed(self) -> None:
        """A reader has left: what it had not taken was not written."""
        if missed := self._sink.missed():
            draft = self._account.draft()
            draft[COUNT.written] -= missed
            draft[COUNT.unread] += missed
            self._account.commit()

    def _note_returned(self) -> None:
        """An interface has gone down: frames that it had taken were not sent."""
        if new := self._sink.returned - self._returned:
            draft = self._account.draft()
            draft[COUNT.written] -= new
            draft[COUNT.down] += new
            draft[COUNT.returned] = self._returned = self._returned + new
            self._account.commit()

    # --- a write

    def _send(self, data: bytes, *, readers: int = 0, closes: bool = False) -> bool:
        """Write bytes that are no records."""
        if not data:
            return False
        return self._begin_write(Pieces.of(data), Merged(last=self._merge.last), readers=readers, closes=closes)

    def _begin_write(self, pieces: Pieces, found: Merged, *, readers: int = 0, closes: bool = False) -> bool:
        """Note what holds when the write is done, then write."""
        added = self._added
        added[COUNT.length] = added[COUNT.octets] = pieces.octets
        added[COUNT.written], added[COUNT.late], added[COUNT.last] = found.frames, found.late, found.last
        added[COUNT.readers], added[COUNT.closed] = readers, closes
        added[self._account.kinds] = pieces.kinds or 0
        self._account.enter(self._merge.rows, self._workers, added)
        self._pending, self._frames = pieces, found.frames
        return self._push()

    def _push(self) -> bool:
        """Write what is left of a write, and commit it when nothing is; whether all is written."""
        pieces = self._pending
        assert pieces is not None
        left = False
        try:
            if not self._sink.write(pieces):
                return False
        except ReaderLeft:
            self._doubt(self._frames)
            left = True
        except OSError:
            self._sink.cut(self._place)
            raise
        self._pending = None
        self._correct(pieces)
        self._account.commit()
        self._place = self._place._replace(length=self._place.length + pieces.octets)
        if left:
            self._sink.left()
        return True

    def _correct(self, pieces: Pieces) -> None:
        """Some frames of a write could not be written."""
        if not pieces.unsent:
            return
        draft = self._account.interrupted_draft()
        draft[COUNT.written] -= pieces.refused + pieces.down
        draft[COUNT.octets] -= pieces.unsent
        draft[COUNT.refused] += pieces.refused
        draft[COUNT.down] += pieces.down

    def _doubt(self, frames: int) -> None:
        """Nobody knows which frames of a write its reader has taken."""
        draft = self._account.interrupted_draft()
        draft[COUNT.written] -= frames
        draft[COUNT.uncertain] += frames
        draft[self._account.kinds] = self._account.read()[self._account.kinds]

    def close(self) -> None:
        self._sink.close()
