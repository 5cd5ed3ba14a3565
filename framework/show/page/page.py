"""The page: what a run was, its queues, its ledgers, faults, and what each plugin found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any, Final

from zcframe.framework.stats.ledger import LOSSES

from .figure import Figures
from .report import section
from .table import records, table

Document = Mapping[str, Any]

STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1c1e21 }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }
caption, figcaption { text-align: left; font-weight: 600 }
td, th { padding: .15rem .7rem; border-bottom: 1px solid #ddd }
th { text-align: left } td { overflow-wrap: anywhere } td.n { text-align: right; font-variant-numeric: tabular-nums }
figure { margin: 1.5rem 0 } h2 { margin-top: 2.5rem; border-bottom: 2px solid #ddd }
"""
# Nothing is loaded: the page is whole.
POLICY: Final = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"


def _name(row: Document) -> str:
    return f"{row['iface']} {row['queue']}".strip() if row["worker"] == row["queue"] else f"worker {row['worker']}"


def _parts(ledger: Document) -> dict[str, int]:
    """What became of the frames that arrived, without what was none of it."""
    parts = {"accepted": ledger["accepted"], **{f"dropped by {k}": n for k, n in ledger["dropped_by"].items()}}
    parts |= {name: ledger[name] for name in ("faulted", *LOSSES, "in_flight")}
    return parts


def _stacked(rows: Sequence[Mapping[str, int]]) -> dict[str, list[float]]:
    """Parts by name, those that are 0 everywhere left out."""
    names = dict.fromkeys(name for row in rows for name in row)
    found: dict[str, list[float]] = {name: [row.get(name, 0) for row in rows] for name in names}
    return {name: values for name, values in found.items() if any(values)} or {"accepted": [0] * len(rows)}


def _summary(found: Document) -> Iterator[str]:
    totals, source = found["totals"], found["source"]
    lost = f"{totals['lost']:,} of {totals['ledger']['arrived']:,}"
    rows = [
        ("source", f"{', '.join(source['names'])} by {source['backend']}"),
        ("filter", found.get("filter", "none")),
        ("from, to", f"{found['started'] or 'not yet'}, {found['ended'] or 'it goes on'}"),
        ("seconds", found["elapsed_s"]),
        ("packets", totals["packets"]),
        ("bytes", totals["bytes"]),
        ("lost frames", lost),
        ("restarts of workers", totals["restarts"]),
        ("packets without IP", totals["no_ip"]["packets"]),
    ]
    yield table(["", ""], rows)


def _queues(figures: Figures, found: Document) -> Iterator[str]:
    queues = found["queues"]
    packets = [row["packets"] for row in queues]
    mean = sum(packets) / len(packets) if packets else 0
    balance = f"the busiest has {max(packets) / mean:.2f} times the mean" if mean else "no packets"
    yield '<section id="queues"><h2>Queues</h2>\n'
    yield figures.bars(f"packets by queue: {balance}", [*map(_name, queues)], {"packets": packets})
    columns = ("iface", "queue", "worker", "cpu", "pid", "restarts", "restart_ms", "packets", "bytes")
    yield records([{name: row[name] for name in columns} for row in queues])
    yield "</section>\n"


def _ledger(figures: Figures, found: Document) -> Iterator[str]:
    queues = found["queues"]
    parts = _stacked([_parts(row["ledger"]) for row in queues])
    yield '<section id="ledger"><h2>Ledger</h2>\n'
    yield figures.bars("what became of the frames that arrived", [*map(_name, queues)], parts, "frames")
    rows = {**{_name(row): row["ledger"] for row in queues}, "all": found["totals"]["ledger"]}
    yield records([{"queue": name, **ledger} for name, ledger in rows.items()])
    yield "</section>\n"


def _outputs(figures: Figures, found: Document) -> Iterator[str]:
    shares = [(output, share) for output in found["outputs"] for share in output["shares"]]
    if not shares:
        return
    parts = [
        {"written": share["written"], **share["dropped"], **{f"shed: {k}": n for k, n in share["shed"].items()}}
        | {"in_flight": share["in_flight"]}
        for _, share in shares
    ]
    names = [share["target"] or f"{output['spec']} {share['share']}" for output, share in shares]
    yield '<section id="outputs"><h2>Outputs</h2>\n'
    yield figures.bars("what became of the frames for each output", names, _stacked(parts), "frames")
    columns = ("share", "target", "offered", "written", "bytes", "in_flight", "dropped", "shed", "late", "readers")
    yield table(
        ("output", *columns, "fault"),
        ([output["spec"], *(share[name] for name in columns), output["fault"]] for output, share in shares),
    )
    yield "</section>\n"


def _faults(found: Document) -> Iterator[str]:
    if found["faults"]:
        rows = [{**fault, "first": {k: v for k, v in fault["first"].items() if v}} for fault in found["faults"]]
        yield f'<section id="faults"><h2>Faults</h2>\n{records(rows)}</section>\n'


def _course(figures: Figures, documents: Sequence[Document]) -> Iterator[str]:
    """Queues over time, where there is more than the end."""
    if len(documents) < 2:
        return
    pairs = list(pairwise(documents))
    rates: dict[str, list[float]] = {}
    for before, after in pairs:
        seconds = max(after["elapsed_s"] - before["elapsed_s"], 1e-6)
        for old, new in zip(before["queues"], after["queues"], strict=False):
            rates.setdefault(_name(new), []).append((new["packets"] - old["packets"]) / seconds)
    yield '<section id="course"><h2>Over time</h2>\n'
    yield figures.lines("packets a second by queue", [after["time"] for _, after in pairs], rates, "packets a second")
    yield "</section>\n"


def page(documents: Sequence[Document]) -> str:
    """The page of a run. documents: of the same run, in the order of time, the last one of its end.

    Raises ZcframeError without plotly.
    """
    figures, found = Figures(), documents[-1]
    title = escape(f"zcframe: {', '.join(found['source']['names'])}")
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>{title}</title>'
    parts = [
        *_summary(found),
        *_queues(figures, found),
        *_course(figures, documents),
        *_ledger(figures, found),
        *_outputs(figures, found),
        *_faults(found),
        *section(figures, found["plugins"]),
    ]
    made = f"<p>zcframe {escape(found['zcframe'])}, {escape(str(found['time']))}</p>"
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style><script>{figures.script}</script></head>\n'
        f"<body><h1>{title}</h1>\n{''.join(parts)}{made}</body></html>\n"
    )
