"""Settings that make the kernel's part of a capture cheaper: a pure function of an interface and the workers' CPUs.

net.core.busy_poll and busy_read are left out on purpose: they affect every socket of the machine. A source that polls
sets that on its own sockets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from zcframe.framework.nic import Change, Coalesce

from .cpulist import format_cpu_mask
from .knobs import Knobs, irq_file, read_knobs

# How often NAPI finds nothing before it turns the interrupt on again; until then a timer starts it.
EMPTY_POLLS: Final = 100
# The longest time of that timer, and its time where the ring size or the speed is not known.
LONGEST_NS: Final = 1_000_000
PLAIN_NS: Final = 50_000
# Bits of the shortest frame on the wire, with preamble and gap.
SHORTEST_BITS: Final = 84 * 8
INTERRUPT_USECS: Final = 50


@dataclass(frozen=True)
class Tuning:
    """Changes in the order in which they are made, and warnings for the operator."""

    changes: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()


def _of_file(knobs: Knobs, path: str, after: str, why: str) -> Iterator[Change]:
    if path in knobs.files:
        yield Change(path, knobs.files[path], after, why)


def _interrupts(knobs: Knobs, cpus: Sequence[int]) -> Iterator[Change]:
    for queue, cpu in enumerate(cpus):
        if queue in knobs.irqs:
            why = f"interrupt of queue {queue}: to its worker's CPU"
            yield from _of_file(knobs, irq_file(knobs.irqs[queue]), str(cpu), why)


def _rps(knobs: Knobs, cpus: Sequence[int]) -> Iterator[Change]:
    """Receive packet steering: the CPUs that the kernel hands a queue's packets to."""
    queues = knobs.queues("rx", "rps_cpus")
    for queue, path in sorted(queues.items()):
        if len(queues) < len(cpus):
            wanted, why = (
                list(cpus),
                f"{len(cpus)} workers, {len(queues)} queues: all of their CPUs share the kernel's part",
            )
        elif queue >= len(cpus):
            continue
        elif queue in knobs.irqs:
            wanted, why = [], f"queue {queue}: its interrupt comes to the worker's CPU already"
        else:
            wanted, why = [cpus[queue]], f"queue {queue}: it has no interrupt that could go to the worker's CPU"
        yield Change(path, knobs.files[path], format_cpu_mask(wanted, knobs.files[path]), why)


def _xps(knobs: Knobs, cpus: Sequence[int]) -> Iterator[Change]:
    """Transmit packet steering: the queue that a CPU sends by."""
    queues = knobs.queues("tx", "xps_cpus")
    if len(queues) < len(cpus):
        return
    for queue, cpu in enumerate(cpus):
        if path := queues.get(queue):
            after = format_cpu_mask([cpu], knobs.files[path])
            yield Change(path, knobs.files[path], after, f"what CPU {cpu} sends leaves by queue {queue}")


def _threaded(knobs: Knobs) -> Iterator[Change]:
    if not knobs.irqs:
        why = "no interrupts to steer: NAPI in threads of its own, not on the CPU of whoever sends"
        yield from _of_file(knobs, f"/sys/class/net/{knobs.ifname}/threaded", "1", why)


def flush_ns(slots: int, speed: int) -> int:
    """How long NAPI may pause: the time in which the line, at `speed` Mb/s, fills half a ring; at most 1 ms."""
    if not slots or not speed:
        return PLAIN_NS
    return min(LONGEST_NS, slots // 2 * SHORTEST_BITS * 1000 // speed)


def _deferral(knobs: Knobs) -> Iterator[Change]:
    folder, pause = f"/sys/class/net/{knobs.ifname}", flush_ns(knobs.slots, knobs.speed)
    why = f"a timer of {pause / 1000:g} us instead of an interrupt while packets come"
    yield from _of_file(knobs, f"{folder}/napi_defer_hard_irqs", str(EMPTY_POLLS), why)
    yield from _of_file(knobs, f"{folder}/gro_flush_timeout", str(pause), why)


def _coalescing(knobs: Knobs) -> Iterator[Change]:
    now = knobs.coalesce
    # 0: the driver has no delay and would refuse one, or the operator switched it off.
    if now is None or not (now.rx_usecs or now.adaptive_rx):
        return
    wanted = Coalesce(min(INTERRUPT_USECS, flush_ns(knobs.slots, knobs.speed) // 1000), adaptive_rx=False)
    why = "a delay of interrupts that does not change under way, within what a ring holds"
    yield Change("coalesce", asdict(now), asdict(wanted), why)


def _warnings(knobs: Knobs) -> Iterator[str]:
    if knobs.irqbalance:
        yield "irqbalance runs, and moves interrupts away from their workers: systemctl stop irqbalance"


def _needed(changes: Iterator[Change]) -> Iterator[Change]:
    return (change for change in changes if change.before != change.after)


def make_steering(knobs: Knobs, cpus: Sequence[int]) -> Tuning:
    """Changes of interrupts only, which every capture makes. cpus: the CPU of each queue's worker."""
    return Tuning(tuple(_needed(_interrupts(knobs, cpus))), tuple(_warnings(knobs)))


def _unseen(knobs: Knobs) -> Iterator[str]:
    if knobs.hidden:
        yield f"{knobs.hidden}: RPS, XPS, threaded NAPI and its pauses stay as they are"


def make_tuning(knobs: Knobs, cpus: Sequence[int]) -> Tuning:
    """All changes of `--tune`. cpus: the CPU of each queue's worker."""

    def steps() -> Iterator[Change]:
        yield from _interrupts(knobs, cpus)
        yield from _rps(knobs, cpus)
        yield from _xps(knobs, cpus)
        yield from _threaded(knobs)
        yield from _deferral(knobs)
        yield from _coalescing(knobs)

    return Tuning(tuple(_needed(steps())), (*_warnings(knobs), *_unseen(knobs)))


def plan_tuning(ifname: str, cpus: Sequence[int], *, everything: bool) -> Tuning:
    """Tuning of an interface, by its settings at this moment. Raises NicError where there is none of that name."""
    return (make_tuning if everything else make_steering)(read_knobs(ifname), cpus)
