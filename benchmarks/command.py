"""The whole command on two cores, against every other flow counter on the same file, and with more and more queues."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .bench import Bench, Figures, NotMeasured
from .counters import LARGE_READ_BUFFER, counters, libpcap, zcframe
from .cplugins import Differs
from .rounds import Spread, in_turns
from .table import Row

BARS = {"tshark -q -z conv,tcp": 100.0, "nfstream": 40.0, "dpkt": 150.0, "scapy": 1500.0}
QUEUES = (1, 2, 4, 8, 16)
# Flat within ten percent.
FLAT = 1.1
# A queue for each of the two cores.
TWO_QUEUES = ("--queues", "2")

Attempt = Figures | NotMeasured
TITLE = "whole command, flows, 2 cores, against"


def _attempt(measure: Callable[[], Figures]) -> Attempt:
    try:
        return measure()
    except NotMeasured as reason:
        return reason


def _figures(attempts: tuple[Attempt, ...]) -> tuple[Figures, ...]:
    """Raises NotMeasured where one round failed."""
    for attempt in attempts:
        if isinstance(attempt, NotMeasured):
            raise attempt
    return tuple(attempt for attempt in attempts if isinstance(attempt, Figures))


def _spread(attempts: tuple[Attempt, ...], value: Callable[[Figures], float]) -> Spread:
    return Spread(tuple(value(figures) for figures in _figures(attempts)))


def _mpps(figures: Figures) -> float:
    return figures.mpps


def _ns_cpu(figures: Figures) -> float:
    return figures.cpu / figures.packets * 1e9


def _ns(figures: Figures) -> float:
    return figures.seconds / figures.packets * 1e9


def _against(
    name: str, ours: tuple[Attempt, ...], peer: tuple[Attempt, ...], bar: float | None = None, aim: float | None = None
) -> Row:
    try:
        return Row(f"{TITLE} {name}", "Mpps", _spread(ours, _mpps), _spread(peer, _mpps), bar, aim=aim)
    except NotMeasured as reason:
        return Row(f"{TITLE} {name}", "Mpps", not_measured=str(reason))


def _cpu(name: str, ours: tuple[Attempt, ...], peer: tuple[Attempt, ...]) -> Row:
    try:
        return Row(f"{TITLE} {name}: CPU", "ns", _spread(ours, _ns_cpu), _spread(peer, _ns_cpu), 0.95, True, aim=1.1)
    except NotMeasured as reason:
        return Row(f"{TITLE} {name}: CPU", "ns", not_measured=str(reason))


def check_counted(ours: tuple[Attempt, ...], theirs: tuple[Attempt, ...]) -> None:
    """Raises Differs where a round of one counted other packets or bytes than a round of the other."""
    counted = {(f.packets, f.bytes) for f in (*ours, *theirs) if isinstance(f, Figures)}
    if len(counted) > 1:
        raise Differs(f"packets and bytes of one file: {sorted(counted)}")


def command_rows(bench: Bench) -> list[Row]:
    """`zcframe run --read` with flows against C on libpcap, in time and CPU, and against what is slower."""
    capture = bench.mix().path
    others = counters(bench, capture)
    measures = (
        partial(zcframe, capture, *TWO_QUEUES),
        partial(libpcap, bench, capture, LARGE_READ_BUFFER),
        partial(libpcap, bench, capture),
        *others.values(),
    )
    # The first run compiles.
    _attempt(measures[0])
    ours, buffered, plain, *slow = in_turns(bench.rounds, *(partial(_attempt, measure) for measure in measures))
    check_counted(ours, buffered)
    buffer = "C libpcap, 128 KiB buffer"
    return [
        _against(buffer, ours, buffered, 1.8, 2.2),
        _cpu(buffer, ours, buffered),
        _against("C libpcap", ours, plain),
        *(_against(name, ours, figures, BARS[name]) for name, figures in zip(others, slow, strict=True)),
    ]


def queue_rows(bench: Bench) -> list[Row]:
    """What a packet costs on two cores with one queue and with more, in time and in CPU."""
    capture = bench.mix().path
    measures = [partial(_attempt, partial(zcframe, capture, "--queues", str(queues))) for queues in QUEUES]
    measures[-1]()
    one, *more = in_turns(bench.rounds, *measures)
    rows = []
    for kind, value, bar in (("time", _ns, FLAT), ("CPU", _ns_cpu, None)):
        for queues, figures in zip(QUEUES[1:], more, strict=True):
            name = f"{kind} a packet, {queues} queues against 1"
            try:
                rows.append(Row(name, "ns", _spread(figures, value), _spread(one, value), bar, True, cost=True))
            except NotMeasured as reason:
                rows.append(Row(name, "ns", not_measured=str(reason)))
    return rows
