"""Source text of ticks, for the generated file of a chain: in the turn of a plugin, and by themselves.

A packet that begins another interval of its shard is preceded by the tick of the one before, in the packet's own
transaction. Where no packet comes, at the end of a run and by the clock, each tick is a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zcframe.framework.chain.bound import BoundPlugin
from zcframe.framework.state.layout import SHARDS

IMPORTS = "from zcframe.framework.chain.ticks.parts import *"

OPENS = """\
    due = ctx[CTX.due]
"""

# By the clock: a chain that always finds some packets would not come to it.
LEAVES = """\
        if done != start and rx_load_u64(descs + (done & mask) * DESC_SIZE + DESC_TIMESTAMP) >= ctx[CTX.leave_at]:
            break
"""

# `asked` is 0 for a packet, or a tick, at which the worker died.
FUNCTIONS = '''
@outlined
def turn_{k}(progress, journal, at, ts, after, address, asked):
    """Call the ticks that are due at `ts`: of the interval under way, then, where whole ones without packets followed,
    of the last of these. Whether one raised: nothing is noted then."""
    due, latest = load_u64(at), ts - ts % {interval}
    if due != 0 and asked != 0:
        if raises(tick_{k}, progress + RAISED_AT, (state_{k}(address, journal), due, PARAMS_{k})):
            return True
        if due < latest and raises(tick_{k}, progress + RAISED_AT, (state_{k}(address, journal), latest, PARAMS_{k})):
            return True
    write_due(journal, at, after if after != 0 else latest + {interval})
    return False
'''

# In the turn of a plugin, behind `keeps`.
STAGE = """\
                silent = refused >> {number} & 1 != 0
                if seldom(is_due(pkt.ts, load_u64({at}), {interval})):
                    asked = 1 - (given_up(progress, done) >> {number} & 1) if n == 1 else 1
                    if turn_{k}(progress, journal, {at}, pkt.ts, 0, {address}, asked):
                        silent = True
                        if n == 1:
                            roll_back(journal, mark, low, high)
                            turn_{k}(progress, journal, {at}, pkt.ts, 0, {address}, 0)
{takes_back}                    mark = journal_load_u64(journal + USED)
{keeps}"""

ALONE = '''
@outlined
def alone_{k}(ctx, at, now, ends, address):
    """The tick of one shard as a transaction. 0 where an output has no room, and nothing has happened."""
    progress, low, high = ctx[CTX.progress], ctx[CTX.state_low], ctx[CTX.state_high]
    journal, generation = progress + JOURNAL, load_u64(progress + GENERATION)
    due, done = load_u64(at), load_u64(progress + DONE)
    ts, after = (due, NEVER) if ends != 0 else (now, 0)
    line = next_line(progress)
    begin_alone(progress, journal, generation)
    store_u64(progress + RAISED_AT, 0)
    journal_store_u64(journal + NOW, {time})
{desk}{takes_up}{begins}    notify_u32(progress + PACKET, 0)
    notify_u32(progress + STAGE, {number})
    asked = 1 - (given_up(progress, done) >> {number} & 1)
    if turn_{k}(progress, journal, at, ts, after, address, asked) or asked == 0:
        roll_back(journal, 0, low, high)
{takes_again}        turn_{k}(progress, journal, at, ts, after, address, 0)
        count_tick(progress, generation, {number}, done, due)
    notify_u32(progress + STAGE, 0)
    if asked == 0:
        # It was this tick that its worker died of: other ones are asked, and so is the next packet.
        store_u64(progress + GIVEN_UP, NEVER)
{crowded}{marks}    commit(progress, done, 0, {codes})
    return 1
'''

CROWDED = """\
    if crowded_records(journal) != 0:
        roll_back(journal, 0, low, high)
        wait_for_room(ctx, {first})
        return 0
"""

ENTRY = '''
@compiled
def ticks(ctx, now, ends):
    """Call each tick that is due at `now`; at the end (`ends` not 0), that of each interval under way.

    Returns 0 where an output has no room: it is to be called again.
    """
    due = ctx[CTX.due]
{plugins}    return 1
'''

EACH = """\
    for shard in range({shards}):
        at = due + ({first} + shard) * 8
        found = load_u64(at)
        if found != 0 and found != NEVER and (ends != 0 or now >= found):
            if alone_{k}(ctx, at, now, ends, ctx[CTX.states + {k}] + shard * {size}) == 0:
                return 0
"""


def due_at(k: int, plugin: BoundPlugin) -> str:
    """Address of the word of the packet's shard."""
    return f"due + {k * SHARDS * 8}" if plugin.layout.per_worker else f"due + ({k * SHARDS} + bucket) * 8"


def stage(k: int, plugin: BoundPlugin, address: str, keeps: str, takes_back: str) -> str:
    """In the turn of plugin k: empty where it has no tick."""
    if plugin.declared.tick is None:
        return ""
    at, number, interval = due_at(k, plugin), k + 1, plugin.declared.interval
    return STAGE.format(
        k=k, at=at, number=number, interval=interval, address=address, keeps=keeps, takes_back=takes_back
    )


def _indented(lines: Sequence[str], depth: int) -> str:
    return "".join(f"{' ' * depth}{line}\n" for line in lines)


@dataclass(frozen=True)
class Handing:
    """About outputs, as lines. desk: opens it. takes_up, marks: of each. first: place of the words of the first one.

    rows: places of those for rows.
    """

    desk: Sequence[str]
    takes_up: Sequence[str]
    marks: Sequence[str]
    first: str
    rows: Sequence[str]


def _alone(k: int, plugins: Sequence[BoundPlugin], codes: int, handing: Handing) -> str:
    emits = bool(plugins[k].layout.records) and bool(handing.rows)
    base = sum(len(one.layout.records) for one in plugins[:k])
    begins = ["begin_records(journal, line, 1)", f"whose_records(journal, {base})"] if emits else []
    return ALONE.format(
        k=k,
        number=k + 1,
        codes=codes,
        time=f"time_alone(ctx, {handing.rows[0]}, line, due)" if emits else "due",
        desk=_indented(handing.desk, 4),
        takes_up=_indented(handing.takes_up, 4),
        begins=_indented(begins, 4),
        takes_again=_indented(handing.takes_up, 8),
        crowded=CROWDED.format(first=handing.first) if emits else "",
        marks=_indented(handing.marks, 4),
    )


def functions(plugins: Sequence[BoundPlugin], codes: int, handing: Handing) -> str:
    """All functions of a chain's ticks; empty where no plugin has one."""
    text, each = "", ""
    for k, plugin in enumerate(plugins):
        if plugin.declared.tick is None:
            continue
        text += FUNCTIONS.format(k=k, interval=plugin.declared.interval)
        text += _alone(k, plugins, codes, handing)
        shards = 1 if plugin.layout.per_worker else SHARDS
        each += EACH.format(k=k, first=k * SHARDS, shards=shards, size=plugin.layout.shard_size)
    return text + ENTRY.format(plugins=each) if text else ""
