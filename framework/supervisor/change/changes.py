"""Changes of a run that goes on, one at a time: made in a side process, then taken over worker by worker."""

from __future__ import annotations

import gc
import selectors
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Final

from zcframe.framework.chain.build import Chain, build_chain
from zcframe.framework.chain.handover import HandOver
from zcframe.framework.chain.no_ip import state_layouts
from zcframe.framework.errors import CacheError, ZcframeError, refusal
from zcframe.framework.jit.cache import cache_directory, complaint
from zcframe.framework.outputs.output import Output
from zcframe.framework.sources.base import Source
from zcframe.framework.state.shared import StateMemory
from zcframe.framework.supervisor.crew import Crew
from zcframe.framework.supervisor.member import Version
from zcframe.framework.supervisor.prepare import Prepared, run_plan
from zcframe.framework.supervisor.snapshots import Snapshots

from .order import Order, changed_layouts, texts_of
from .side import Side
from .swap import Swap
from .trial import bounded, try_out

Answer = Callable[[dict[str, Any]], None]

# A side process that has not ended after so long hangs in what it imports.
PATIENCE_S: Final = 600.0


@dataclass
class Change:
    """One that is under way. side: while it is made; swap: while workers are replaced."""

    order: Order
    answer: Answer
    began: float
    side: Side | None = None
    swap: Swap | None = None
    made: Prepared | None = None
    dropped: Sequence[str] = ()


@dataclass
class Running:
    """What a change is of. outputs: for which the chain is compiled. tell: keeps an event of the run."""

    prepared: Prepared
    source: Source
    crew: Crew
    snapshots: Snapshots
    outputs: Sequence[tuple[Output, HandOver]]
    tell: Callable[[str], None]

    def made(self, order: Order, *, kept: bool) -> tuple[Prepared, Chain]:
        """The run as it is to be, and its chain. kept: raise CacheError where that is not in the cache."""
        prepared = order.apply(self.prepared)
        hand_overs = [hand_over for _, hand_over in self.outputs]
        return prepared, build_chain(prepared.plugins, program=prepared.program, outputs=hand_overs, kept=kept)


class Changes:
    """`ask()` begins one; `step()` is called again and again. let_go: in the side process, of what is not its own."""

    def __init__(self, run: Running, selector: selectors.BaseSelector, let_go: Callable[[], None]) -> None:
        self._run, self._selector, self._let_go = run, selector, let_go
        self._texts = texts_of(run.prepared)
        self._current: Change | None = None
        self._opened = ExitStack()

    @property
    def swapping(self) -> bool:
        """Whether workers are being replaced."""
        return self._current is not None and self._current.swap is not None

    # --- make

    def ask(self, order: Order, answer: Answer) -> None:
        """Begin a change; `answer` gets its end, or why there is none."""
        if self._current is not None:
            answer({"error": "another change is under way: ask again when it is done"})
            return
        if cache_directory() is None:
            answer({"error": f"nothing is compiled beside a run without a cache: {complaint()}"})
            return
        try:
            side = Side(lambda: self._make(order))
        except (OSError, MemoryError) as error:
            answer({"error": f"the new version cannot be made now: {refusal(error)}"})
            return
        self._current = Change(order, answer, time.monotonic(), side)
        self._selector.register(side, selectors.EVENT_READ, self._take)

    def _make(self, order: Order) -> str:
        """In the side process: compile and try the new version; the name of its chain."""
        self._let_go()
        with bounded():
            order.apply(self._run.prepared)
        _, chain = self._run.made(order, kept=False)
        if order.reloads:
            with bounded():
                try_out(chain, self._run.prepared.rss.fields, self._run.outputs)
        return chain.path.name

    # --- take over

    def _take(self) -> None:
        """The side process has ended: take what it made, or tell why there is nothing."""
        change = self._current
        assert change is not None and change.side is not None
        side, change.side = change.side, None
        self._selector.unregister(side)
        try:
            name = side.result()
            made, chain = self._loaded(change.order, name)
            change.made, change.dropped = made, changed_layouts(made.plugins, self._run.prepared.plugins)
            version = Version(chain, self._state(made, change.dropped))
        except Exception as error:
            # Whatever an author's file does while it is read: the run goes on.
            self._fail(_in_words(error))
            return
        self._begin(change, version)

    def _loaded(self, order: Order, name: str) -> tuple[Prepared, Chain]:
        """The new version, in this process. Raises ZcframeError where a file is not what was tried."""
        again = "a plugin's file changed again while it was compiled: ask again"
        try:
            made, chain = self._run.made(order, kept=True)
        except CacheError as error:
            raise ZcframeError(again) from error
        if chain.path.name != name:
            raise ZcframeError(again)
        # What has been loaded stays: neither this process nor its children look through it.
        gc.freeze()
        return made, chain

    def _state(self, made: Prepared, dropped: Sequence[str]) -> StateMemory:
        """The memory of the new version: that of the old one, unless a layout changes. Raises RingError."""
        before = self._run.crew.version.state
        if not dropped:
            return before
        hand_overs = [hand_over for _, hand_over in self._run.outputs]
        layouts = state_layouts(made.plugins, len(self._run.crew.members), hand_overs)
        state = self._opened.enter_context(closing(StateMemory(layouts, before.domains)))
        state.secrets = before.secrets
        return state

    def _begin(self, change: Change, version: Version) -> None:
        run = self._run
        assert change.made is not None
        if not change.order.reloads:
            # Until all workers have the new filter, nothing is refused in front of their rings.
            run.source.refuse(None)
        layouts = version.state.layouts if change.dropped else run.snapshots.reports.layouts
        run.snapshots.reports.use(change.made.plugins, layouts)
        change.swap = Swap(run.crew, version)
        self.step()

    def step(self) -> None:
        """Do what is due."""
        change = self._current
        if change is None:
            return
        if change.side is not None and time.monotonic() - change.began > PATIENCE_S:
            change.side.kill()
        if change.swap is not None:
            change.swap.step()
            if change.swap.done:
                self._finish(change)

    def _finish(self, change: Change) -> None:
        """All workers are of the new version."""
        run, made, swap = self._run, change.made, change.swap
        assert made is not None and swap is not None
        if not change.order.reloads:
            run.source.refuse(made.program)
        texts = texts_of(made)
        changed = [name for name in texts if texts[name] != self._texts[name]]
        run.prepared, self._texts, self._current = made, texts, None
        run.snapshots.plan = run_plan(made, run.source)
        counts = {"workers": swap.workers, "packets": swap.packets}
        if change.order.reloads:
            run.tell(_reload_text(changed, change.dropped, swap.packets))
            change.answer({"changed": changed, "dropped_state": list(change.dropped), **counts})
        else:
            run.tell(f"filter: {change.order.expression or 'none'}, from packet {swap.packets:,} on")
            change.answer({"filter": change.order.expression, **counts})

    def _fail(self, text: str) -> None:
        change, self._current = self._current, None
        if change is not None:
            change.answer({"error": text})

    # --- end

    def end(self) -> None:
        """The run ends: nothing is changed any more."""
        self.step()
        change, self._current = self._current, None
        if change is None:
            return
        if change.side is not None:
            self._selector.unregister(change.side)
            change.side.kill()
            self._wait(change.side)
        if change.swap is not None:
            self._run.tell(f"the run ended when {change.swap.workers} of its workers were of the new version")
        change.answer({"error": "the run ended before it was done"})

    def _wait(self, side: Side) -> None:
        try:
            side.result()
        except (ZcframeError, OSError, ValueError):
            return

    def close(self) -> None:
        self.end()
        self._opened.close()


def _in_words(error: Exception) -> str:
    if isinstance(error, ZcframeError):
        return str(error)
    if isinstance(error, OSError | MemoryError):
        return refusal(error)
    return " ".join(f"this is a bug in zcframe: {type(error).__name__}: {error}".split())


def _reload_text(changed: Sequence[str], dropped: Sequence[str], packets: int) -> str:
    what = ", ".join(changed) or "none"
    begun = f"; the state of {', '.join(dropped)} began anew" if dropped else ""
    return f"plugins were read anew behind packet {packets:,}, changed: {what}{begun}"
