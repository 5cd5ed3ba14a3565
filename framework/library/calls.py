"""`zcframe.run`, `start`, and both for asyncio. Their keyword arguments are the options of the command."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

from .aio import AsyncRun
from .handle import EVERY_S, Run
from .options import RunOptions, describe, request
from .result import Result
from .watch import OnSnapshot, watching


def start(*, every: float = EVERY_S, records: bool = True, **options: Unpack[RunOptions]) -> Run:
    """Start a run, and return while it goes on.

        with zcframe.start(iface="eth0") as run:
            for snapshot in run:
                print(snapshot.packets)

    The block's end stops the run. every: seconds from one snapshot to the next of `for snapshot in run`. records:
    whether what plugins emit is kept for `records(name)`. Raises RunError for options that are wrong.
    """
    return Run(replace(request(options), progress=True, records=records), every)


def run(
    *,
    on_snapshot: OnSnapshot | None = None,
    every: float = EVERY_S,
    progress: bool = False,
    records: bool = True,
    **options: Unpack[RunOptions],
) -> Result:
    """Run, and return what was found.

        result = zcframe.run(read="x.pcap", plugins=[Mine], queues=4)
        result.reports["mine"], result.state["mine"], result.frame("mine", "table")

    plugins: what the command's --plugin takes, classes marked with @plugin, and (one of them, {parameter: value}).
    on_snapshot: called with a Snapshot every `every` seconds; where it returns False, the run ends. progress: draw a
    bar (tqdm). records: whether what plugins emit is kept for `result.records(name)`. Ctrl-C ends the run in order, and
    its result is returned. Raises RunError where the command would end with an exit code other than 0;
    `RunError.result` is of what ran all the same.
    """
    with watching(on_snapshot, every, progress=progress) as watch, start(records=records, **options) as running:
        return running.wait(watch)


def start_async(*, every: float = EVERY_S, records: bool = True, **options: Unpack[RunOptions]) -> AsyncRun:
    """Start a run in an event loop of asyncio, and return while it goes on.

    async with zcframe.start_async(iface="eth0") as run:
        async for snapshot in run:
            print(snapshot.packets)
    """
    return AsyncRun(start(every=every, records=records, **options))


async def run_async(*, records: bool = True, **options: Unpack[RunOptions]) -> Result:
    """Run, and return what was found: `zcframe.run` for asyncio. Where the task is cancelled, the run is stopped."""
    async with start_async(records=records, **options) as running:
        return await running.wait()


for _function in (start, run, start_async, run_async):
    describe(_function)
