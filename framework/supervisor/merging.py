"""Whether a plugin's own `merge` keeps what it is given, tried on a few states of the run before its report.

States merge in groups, as they come: shards, workers, files. A `merge` that gives another result for other groups, or
leaves a state out, makes a report that is wrong without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from zcframe.framework.chain.bound import BoundPlugin
from zcframe.framework.state.merge import State, empty_state

Merge = Callable[[Sequence[State]], State]

# A trial is cheap: so many states, of which each is no larger than this.
TRIED: Final = 3
MOST_BYTES: Final = 1 << 20


def _size(state: State) -> int:
    return sum(getattr(state, member.name).nbytes for member in state.layout.members)


def _is_empty(state: State) -> bool:
    return not any(getattr(state, member.name).tobytes().strip(b"\0") for member in state.layout.members)


def _samples(states: Sequence[State]) -> list[State]:
    found: list[State] = []
    for state in states:
        if len(found) < TRIED and _size(state) <= MOST_BYTES and not _is_empty(state):
            found.append(state)
    return found


def _flaw(merge: Merge, told: Callable[[State], str], samples: Sequence[State]) -> str:
    """told: what the plugin makes of a state in the end; two states that give the same are taken for equal."""
    whole, *rest = samples
    empty = empty_state(whole.layout)
    alone = told(merge([whole]))
    if told(merge([empty, whole])) != alone or told(merge([whole, empty])) != alone:
        return "merged with an empty state, one gives another report"
    if rest and told(merge([merge(samples[:-1]), samples[-1]])) != told(merge([whole, merge(rest)])):
        return "merge([merge([a, b]), c]) gives another report than merge([a, merge([b, c])])"
    return ""


def merge_flaw(plugin: BoundPlugin, states: Sequence[State], told: Callable[[State], str]) -> str:
    """What is wrong with a plugin's own `merge`, in a line; "" where nothing is known to be. told: text of a report."""
    merge = plugin.declared.merge
    samples = _samples(states) if merge is not None else []
    if merge is None or not samples:
        return ""
    try:
        flaw = _flaw(merge, told, samples)
    except Exception:
        # What it raises is told where its result is needed.
        return ""
    where = f"{merge.__code__.co_filename}:{merge.__code__.co_firstlineno}"
    return f"plugin {plugin.name}: merge() loses or mixes what it is given: {flaw} ({where})" if flaw else ""
