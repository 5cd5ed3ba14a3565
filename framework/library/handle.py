"""A run in the hands of a program: started, asked, stopped; in no thread of its own.

Nothing is read from the run's process but in a call of this object; what it says meanwhile waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final

from .errors import RunError
from .message import Counted, Ended, Progress, Started
from .options import Request
from .process import Process
from .records import Emitted, Fields
from .result import Result, Snapshot, snapshot

EVERY_S: Final = 1.0
# Who watches the end being waited for looks so often.
LOOK_S: Final = 0.25


class Run:
    """A run that goes on, as `zcframe.start` returns it; `with` ends it where the block ends."""

    def __init__(self, request: Request, every: float = EVERY_S) -> None:
        self.every = every
        self.progress: Progress | None = None
        self._fields: Mapping[str, Fields] | None = None
        self._recorded = 0
        self._counted: Counted | None = None
        self._final: Counted | None = None
        # Whether somebody was told that it failed, by RunError.
        self.told = False
        self._ended: Ended | None = None
        self._result: Result | None = None
        self._process = Process(request)

    # --- what is said

    def fileno(self) -> int:
        """Readable when `hear()` has something to do: for event loops."""
        return self._process.fileno()

    @property
    def pid(self) -> int:
        """The run's process."""
        return self._process.pid

    @property
    def started(self) -> bool:
        """Whether packets can have come."""
        return self._fields is not None

    @property
    def ended(self) -> bool:
        """Whether the run is over, as far as was heard."""
        return self._ended is not None

    def hear(self, seconds: float | None = 0.0) -> bool:
        """Take what the run said, waiting for it at most so long, None: without end; whether there was something."""
        if self._ended is not None or not self._process.waits(seconds):
            return False
        message = self._process.hear()
        if isinstance(message, Started):
            self._fields = message.records
        elif isinstance(message, Progress):
            self.progress, self._recorded = message, message.recorded
        elif isinstance(message, Counted):
            self._counted, self._recorded = message, message.recorded
            self._final = message if message.final else None
        elif isinstance(message, Ended):
            self._ended = message
            self._process.close()
        return True

    # --- snapshots

    def snapshot(self) -> Snapshot:
        """The run at this moment: reports and merged states are made for it, for which its workers pause.

        Waits until packets can come. Of a run that is over: its result. Raises RunError where it failed.
        """
        self.await_start()
        self.ask()
        while not self.answered and self.hear(None):
            pass
        return self.answer()

    def ask(self) -> None:
        """Ask for a snapshot, once packets can have come; `answer()` has it when `answered`, or behind the end."""
        if self._ended is None and self._final is None:
            self._counted = None
            self._process.ask()

    @property
    def answered(self) -> bool:
        """Whether what was asked for has come."""
        return self._counted is not None

    def answer(self) -> Snapshot:
        """The snapshot that has come; behind the end the result. Raises RunError where the run failed."""
        if self._counted is None or self._final is not None:
            return self.result()
        return snapshot(self._counted, self.emitted)

    def snapshots(self, every: float | None = None) -> Iterator[Snapshot]:
        """A snapshot every so many seconds, as long as the run goes on; the last one is its result."""
        due = time.monotonic()
        while True:
            due = max(due + (self.every if every is None else every), time.monotonic())
            self.sleep(due)
            found = self.snapshot()
            yield found
            if found.final:
                return

    def records(self, name: str) -> Iterator[dict[str, Any]]:
        """Records as they come, four times a second, until the run is over; as `Snapshot.records` has them.

        Raises LookupError for a name that no plugin has, RunError where the run failed.
        """
        self.await_start()
        number, at, more = self.emitted.number(name), 0, True
        while more:
            more = self.hear(None)
            found = self.emitted
            yield from found.rows(number, at)
            at = found.end
        self.result()

    @property
    def emitted(self) -> Emitted:
        """What plugins have emitted, as far as was heard."""
        return Emitted(self._fields or {}, self._process.records, self._recorded)

    def await_start(self) -> None:
        """Wait until packets can come."""
        while not self.started and self.hear(None):
            pass

    def __iter__(self) -> Iterator[Snapshot]:
        return self.snapshots()

    def sleep(self, until: float) -> None:
        """Listen until this moment of the monotonic clock, or the end of the run."""
        while self._ended is None and (left := until - time.monotonic()) > 0:
            self.hear(left)

    # --- the end

    def stop(self) -> None:
        """Ask for the end, and return at once: the run stops its source, and drains its rings. Again: ends now."""
        if self._ended is None:
            self._process.stop()

    def wait(self, seen: Callable[[Run], object] | None = None) -> Result:
        """Wait for the end: its result. seen: called after everything that the run says. Raises RunError.

        Ctrl-C ends the run as `stop()` does, and the result of what ran is returned; again: at once; once more: it is
        raised, as KeyboardInterrupt, and the run's process is killed.
        """
        interrupted = False
        while self._ended is None:
            try:
                self.hear(None if seen is None else LOOK_S)
                if seen is not None:
                    seen(self)
            except KeyboardInterrupt:
                if interrupted and self._process.asked > 1:
                    self.close()
                    raise
                interrupted = True
                self._process.stop()
        if interrupted and self.early:
            raise KeyboardInterrupt
        return self.result()

    @property
    def early(self) -> bool:
        """Whether the run was ended before the first packet."""
        return self._ended is not None and not self._ended.error and self._final is None

    def result(self) -> Result:
        """The result of the run, for whose end it waits. Raises RunError where it failed, or ended before a packet."""
        while self.hear(None):
            pass
        ended: Ended | None = self._ended
        assert ended is not None
        if self._result is None and self._final is not None:
            found = snapshot(self._final, self.emitted)
            interrupted = self._process.asked > 0
            self._result = Result(**vars(found), exit_code=ended.exit_code, interrupted=interrupted)
        if ended.error or self._result is None:
            error, self.told = ended.error or "ended before the first packet", True
            raise RunError(error, ended.exit_code, details=ended.details, result=self._result)
        return self._result

    def close(self) -> None:
        """End the run at once where it goes on, and give everything back."""
        self._ended = self._ended or Ended(1, "the run was closed before its end")
        self._process.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the run where it goes on, and wait for its end; its failure does not hide one of the block."""
        told = self.told
        try:
            self.stop()
            self.wait()
        except RunError:
            if kind is None and not told and not self.early:
                raise
        finally:
            self.close()
