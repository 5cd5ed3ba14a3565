"""The JSON document of a run, and of a plan."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TextIO

from zcframe import __version__
from zcframe.framework.clock import utc
from zcframe.framework.state.addresses import ip_text
from zcframe.framework.state.kinds import ADDRESS_SIZE
from zcframe.framework.state.layout import Record
from zcframe.framework.state.sketch.kind import Value
from zcframe.framework.stats import (
    Observer,
    PluginPlan,
    QueuePlan,
    QueueStats,
    RssInfo,
    RunPlan,
    RunResult,
    RunSnapshot,
    SourceInfo,
)

from .writing import hand_over


def _source(source: SourceInfo) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": source.kind,
        "names": list(source.names),
        "backend": source.backend,
        "link_types": list(source.link_types),
    }
    found |= {"promiscuous": source.promiscuous} if source.promiscuous is not None else {}
    return found | ({"passed_over": dict(source.passed_over)} if source.passed_over else {})


def _filter(expression: str) -> dict[str, str]:
    """Only where there is one."""
    return {"filter": expression} if expression else {}


def _time(at: float) -> str | None:
    """RFC 3339; None for what has not come yet."""
    return utc(at) if at else None


def _rss(rss: RssInfo) -> dict[str, Any]:
    spread = {"key": rss.key, "fields": rss.fields, "reta": list(rss.reta)}
    return spread | ({"verified": asdict(rss.check)} if rss.check is not None else {})


def _queue(queue: QueueStats) -> dict[str, Any]:
    return {
        "iface": queue.ifname,
        "queue": queue.queue,
        "worker": queue.worker,
        "cpu": queue.cpu,
        "pid": queue.pid,
        "restarts": queue.restarts,
        "restart_ms": round(queue.restart_ms, 3),
        "packets": queue.packets,
        "bytes": queue.bytes,
        "ledger": queue.ledger.as_json(),
    }


def _queue_plan(queue: QueuePlan) -> dict[str, Any]:
    return {"iface": queue.ifname, "queue": queue.queue, "worker": queue.worker, "cpu": queue.cpu}


def document(snapshot: RunSnapshot) -> dict[str, Any]:
    """The run as plain dicts and lists, in the order and with the names that README documents."""
    totals = snapshot.totals
    return {
        "zcframe": __version__,
        "source": _source(snapshot.source),
        **_filter(snapshot.filter),
        "started": _time(snapshot.started),
        "ended": _time(snapshot.ended),
        "time": _time(snapshot.at),
        "elapsed_s": round(snapshot.elapsed_s, 6),
        "rss": _rss(snapshot.rss),
        "queues": [_queue(queue) for queue in snapshot.queues],
        "totals": {
            "restarts": totals.restarts,
            "packets": totals.packets,
            "bytes": totals.bytes,
            "no_ip": {"packets": snapshot.no_ip.packets, "ethertypes": snapshot.no_ip.by_key()},
            "ledger": totals.ledger.as_json(),
            "lost": snapshot.lost,
        },
        "faults": [fault.as_json() for fault in snapshot.faults],
        "outputs": [output.as_json() for output in snapshot.outputs],
        "rows": [rows.as_json() for rows in snapshot.rows],
        "plugins": {name: dict(report) for name, report in snapshot.plugins.items()},
    }


def _plugin_plan(plugin: PluginPlan) -> dict[str, Any]:
    known = {"name": plugin.name, "params": dict(plugin.params), "origin": plugin.origin, **_filter(plugin.filter)}
    return known | {"state": asdict(plugin.state)}


def plan_document(plan: RunPlan) -> dict[str, Any]:
    """The plan as plain dicts and lists: what `--check --json` prints."""
    return {
        "zcframe": __version__,
        "source": _source(plan.source),
        **_filter(plan.filter),
        "pace": plan.pace,
        "loop": plan.loop,
        "rss": _rss(plan.rss),
        "ring_slots": plan.ring_slots,
        "memory": plan.memory,
        "queues": [_queue_plan(queue) for queue in plan.queues],
        "plugins": [_plugin_plan(plugin) for plugin in plan.plugins],
        "outputs": [asdict(output) | {"command": list(output.command)} for output in plan.outputs],
        "rows": list(plan.rows),
        "tuning": [asdict(change) for change in plan.tuning],
        "warnings": list(plan.warnings),
    }


def _is_shown(dtype: Any) -> bool:
    """Whether it is, or has in it, text or an addr of state, which people want to read."""
    if dtype.names:
        return issubclass(dtype.type, Record) or any(_is_shown(dtype[name]) for name in dtype.names)
    return bool(dtype.kind == "S" or dtype == f"V{ADDRESS_SIZE}")


def _from_numpy(value: Any) -> Any:
    if not _is_shown(value.dtype):
        return value.tolist()
    if value.ndim:
        return list(value)
    if value.dtype.names:
        return [value[name] for name in value.dtype.names]
    return value.item().decode(errors="backslashreplace") if value.dtype.kind == "S" else ip_text(value)


def _key(key: Any) -> str:
    """An address or text of state as what it is, all else as Python has it."""
    return str(plain(key) if hasattr(key, "tolist") else key)


def plain(value: Any) -> Any:
    """The value in types of JSON: of numbers, arrays, bytes, addresses, rows and objects of state, dicts and lists.

    Text and addresses of state become text, other bytes hexadecimal digits, NaN and infinity None, keys text; a row of
    a table a dict by field, an object, as LogHist, its summary. `report` may return any of these: the run does so.

    Raises TypeError for an object that has no text of its own.
    """
    if isinstance(value, Value):
        return plain(value.summary())
    if isinstance(value, Record):
        return {name: plain(value[name]) for name in value.dtype.names}
    if hasattr(value, "tolist"):
        return plain(_from_numpy(value))
    if isinstance(value, Mapping):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return value.hex()
    if value is None or isinstance(value, str | int):
        return value
    kind: Any = type(value)
    if (kind.__str__, kind.__repr__) == (object.__str__, object.__repr__):
        raise TypeError(f"{kind.__name__}: neither number nor text, nor a list or dict of them")
    return str(value)


def one_line(found: Mapping[str, Any]) -> str:
    """One line of strict JSON, ASCII only."""
    return json.dumps(plain(found), allow_nan=False)


class DocumentObserver(Observer):
    """One document on stdout when the run is over; one line of the same form on stderr a tick, with `interval`.

    Such a line is also written when somebody asks for the counters.
    """

    title = "the lines of --stats-interval"

    def __init__(self, *, interval: bool, stdout: TextIO | None = None) -> None:
        self._interval = interval
        self._stdout = stdout or sys.stdout

    @property
    def reads_reports(self) -> bool:
        return self._interval

    def tick(self, snapshot: RunSnapshot) -> None:
        if self._interval:
            self.asked(snapshot)

    def asked(self, snapshot: RunSnapshot) -> None:
        print(one_line(document(snapshot)), file=sys.stderr, flush=True)

    def finished(self, result: RunResult) -> None:
        hand_over(f"{one_line(document(result.last))}\n", self._stdout, "the JSON document", wanted=True)
