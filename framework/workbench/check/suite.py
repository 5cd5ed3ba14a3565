"""The checks, in the order in which they are told. Each returns what it found, or raises Failure or Skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from zcframe.framework.chain.plugin import SHUFFLED, SPLIT
from zcframe.framework.errors import ZcframeError
from zcframe.framework.state.merge import State, empty_state, merge_states
from zcframe.framework.supervisor.reports import report_of
from zcframe.framework.supervisor.room import require_room, size_text, state_plan
from zcframe.framework.workbench.frames import Frames
from zcframe.framework.workbench.trial import Result, chain_of

from .difference import difference
from .killed import run_killed
from .subject import FAILED, OK, SKIPPED, Failure, Finding, Skipped, Subject, author_error, fault_text

QUEUES: Final = (2, 8)
# Packets of the check that forks: of the first ones, or of all, again and again where there are fewer.
KILLED_PACKETS: Final = 2048

Check = Callable[[Subject], str]


def compiles(subject: Subject) -> str:
    chain_of(subject.bound())
    return ""


def memory(subject: Subject) -> str:
    """What the state takes at most, and how many rows there is room for."""
    plugin = subject.bound()
    require_room([plugin], 1)
    plan = state_plan(plugin, 1)
    tables = [f"{name} holds {rows:,} rows" for name, rows in plan.rows.items()]
    lists = [f"{name} takes {-(-octets // 1024):,} KiB once" for name, octets in plan.lookups.items()]
    return "; ".join([f"{size_text(plan.bytes)} in {plan.shards} shards", *tables, *lists])


def _sound(subject: Subject, frames: Frames) -> Result:
    """The result over these frames. Raises Failure where the plugin faults, or has no report of them."""
    result = subject.run(frames)
    if result.faults:
        raise Failure(fault_text(result.faults, len(frames)))
    subject.report(result)
    try:
        _ = result.lines
    except Exception as error:
        raise Failure(f"lines failed: {author_error(error)}") from error
    return result


def traffic(subject: Subject) -> str:
    result = _sound(subject, subject.traffic)
    lost = [f"{name} lost {count:,} keys for want of room" for name, count in result.state.lost.items() if count]
    return "; ".join([f"{result.verdicts.total:,} packets, {result.verdicts.dropped:,} dropped", *lost])


def cut_short(subject: Subject) -> str:
    _sound(subject, subject.traffic.cut(subject.seed))
    return ""


def bits_flipped(subject: Subject) -> str:
    _sound(subject, subject.traffic.flipped(subject.seed))
    return ""


def _require_same(subject: Subject, one: Result, other: Result, why: str) -> None:
    found = difference(subject.report(one), subject.report(other))
    if found:
        raise Failure(f"{found}; {why}")


def queues(subject: Subject) -> str:
    """The same report, however many workers there are."""
    for count in QUEUES:
        why = f"1 queue and {count} give other reports: state or merge depends on which packets share a worker"
        _require_same(subject, subject.whole, subject.run(subject.traffic, count), why)
    return f"1, {', '.join(map(str, QUEUES))} queues give the same report"


def _require_claim(subject: Subject, claim: str) -> None:
    if claim not in subject.spec.declared.same:
        raise Skipped(f"the plugin does not say @plugin(same=({claim!r},))")


def shuffled(subject: Subject) -> str:
    _require_claim(subject, SHUFFLED)
    other = subject.run(subject.traffic.shuffled(subject.seed))
    _require_same(subject, subject.whole, other, f"in another order: mend it, or take {SHUFFLED!r} out of same=")
    return "the same report in another order"


def _merge(subject: Subject) -> Callable[[Sequence[State]], State]:
    merge: Any = subject.spec.declared.merge or merge_states
    return merge  # type: ignore[no-any-return]


def _told(subject: Subject, merged: State) -> Any:
    return report_of(subject.bound(), merged)


def split(subject: Subject) -> str:
    _require_claim(subject, SPLIT)
    middle = len(subject.traffic) // 2
    halves = [subject.run(subject.traffic[part]) for part in (slice(middle), slice(middle, None))]
    merged = _merge(subject)([state for half in halves for state in half.states])
    found = difference(subject.report(subject.whole), _told(subject, merged))
    if found:
        raise Failure(f"{found}; two halves, merged: mend it, or take {SPLIT!r} out of same=")
    return "two halves, merged, give the report of the whole"


def _bytes_of(states: Sequence[State]) -> list[bytes]:
    return [getattr(state, member.name).tobytes() for state in states for member in state.layout.members]


def _thirds(subject: Subject) -> list[list[State]]:
    """Non-empty groups of the states of the run, three at most, one at least."""
    states = list(subject.whole.states) or [empty_state(subject.bound().layout)]
    size = -(-len(states) // 3)
    return [states[at : at + size] for at in range(0, len(states), size)]


def merges(subject: Subject) -> str:
    """Whether merge is associative, has the empty state for its neutral element, and leaves alone what it is given."""
    merge, groups = _merge(subject), _thirds(subject)
    given = [state for group in groups for state in group]
    before = _bytes_of(given)
    parts = [merge(group) for group in groups]
    first, *rest = parts
    whole = _told(subject, merge(given))
    if before != _bytes_of(given):
        raise Failure("merge changes the states that it is given: work on copies")
    grouped = [merge([merge(parts[:-1]), parts[-1]]), merge([first, merge(rest)])] if rest else []
    empty = empty_state(first.layout)
    for other, what in [
        (merge(parts), "merge([merge([a, b]), merge([c, d])]) is not merge([a, b, c, d])"),
        *((state, "merge([merge([a, b]), c]) is not merge([a, merge([b, c])])") for state in grouped),
        (merge([empty, *parts]), "an empty state in front changes the result"),
        (merge([*parts, empty]), "an empty state behind changes the result"),
    ]:
        if found := difference(whole, _told(subject, other)):
            raise Failure(f"{found}; {what}: keep sums in merge, and sort, cut and divide in report")
    return "in groups as in one, by " + ("merge()" if subject.spec.declared.merge else "what the fields declare")


def killed(subject: Subject) -> str:
    frames = subject.traffic[[place % len(subject.traffic) for place in range(KILLED_PACKETS)]]
    other, kills = run_killed(subject, frames)
    _require_same(subject, subject.run(frames), other, f"{kills} kills within bursts left something behind")
    return f"{kills} kills within bursts, nothing counted twice or lost"


CHECKS: Final[dict[str, Check]] = {
    "compiles": compiles,
    "memory": memory,
    "traffic": traffic,
    "cut frames": cut_short,
    "flipped bits": bits_flipped,
    "queues": queues,
    "shuffled": shuffled,
    "split": split,
    "merges": merges,
    "kills": killed,
}
# Where one of these fails, nothing can be run.
FIRST: Final = ("compiles", "memory")


def _finding(name: str, check: Check, subject: Subject) -> Finding:
    try:
        return Finding(name, OK, check(subject))
    except Skipped as reason:
        return Finding(name, SKIPPED, str(reason))
    except (Failure, ZcframeError) as error:
        return Finding(name, FAILED, str(error))
    except Exception as error:
        return Finding(name, FAILED, author_error(error))


def findings(subject: Subject) -> Iterator[Finding]:
    """What each check says, as soon as it is known."""
    for name, check in CHECKS.items():
        found = _finding(name, check, subject)
        yield found
        if found.outcome == FAILED and name in FIRST:
            return
