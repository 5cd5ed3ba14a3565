"""The same in an event loop of asyncio: nothing blocks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

from .errors import RunError
from .handle import Run
from .result import Result, Snapshot


class AsyncRun:
    """A run that goes on, as `zcframe.start_async` returns it; `async with` ends it where the block ends."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def pid(self) -> int:
        """The run's process."""
        return self._run.pid

    async def _hear(self, seconds: float | None = None) -> bool:
        """Take one thing that the run said; False after its end, or this time."""
        if self._run.ended:
            return False
        loop, heard = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._run, heard.set)
        try:
            async with asyncio.timeout(seconds):
                await heard.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(self._run)
        return self._run.hear()

    async def _start(self) -> None:
        while not self._run.started and await self._hear():
            pass

    async def snapshot(self) -> Snapshot:
        """The run at this moment, as `Run.snapshot`."""
        await self._start()
        self._run.ask()
        while not self._run.answered and await self._hear():
            pass
        return self._run.answer()

    async def snapshots(self, every: float | None = None) -> AsyncIterator[Snapshot]:
        """A snapshot every so many seconds, as long as the run goes on; the last one is its result."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + (self._run.every if every is None else every), loop.time())
            while not self._run.ended and (left := due - loop.time()) > 0:
                await self._hear(left)
            found = await self.snapshot()
            yield found
            if found.final:
                return

    async def records(self, name: str) -> AsyncIterator[dict[str, Any]]:
        """Records as they come, as `Run.records`."""
        await self._start()
        number, at, more = self._run.emitted.number(name), 0, True
        while more:
            more = await self._hear()
            found = self._run.emitted
            for row in found.rows(number, at):
                yield row
            at = found.end
        self._run.result()

    def __aiter__(self) -> AsyncIterator[Snapshot]:
        return self.snapshots()

    def stop(self) -> None:
        """Ask for the end, and return at once, as `Run.stop`."""
        self._run.stop()

    async def wait(self) -> Result:
        """Wait for the end: the result. Raises RunError where the run failed."""
        while await self._hear():
            pass
        return self._run.result()

    async def __aenter__(self) -> AsyncRun:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the run where it goes on, and wait for its end."""
        told = self._run.told
        try:
            self.stop()
            await self.wait()
        except RunError:
            if kind is None and not told and not self._run.early:
                raise
        finally:
            self._run.close()
