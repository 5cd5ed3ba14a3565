"""zcframe in a program or a notebook: a run is a process of its own, which the program starts, asks and stops."""

from .aio import AsyncRun
from .calls import run, run_async, start, start_async
from .errors import RunError
from .handle import Run
from .result import Result, Snapshot

__all__ = ["AsyncRun", "Result", "Run", "RunError", "Snapshot", "run", "run_async", "start", "start_async"]
