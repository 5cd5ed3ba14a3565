"""Two measurements of a contender: what it delivers under overload, and what a frame costs."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.lab.packages import LabError

from .contenders import Contender
from .machine import Counts, Machine

# Until every buffer has been filled once; then it is the pace that counts.
WARM_S = 1.5
WINDOW_S = 1.0
# Offered for so much longer: the first frame starts the time.
MARGIN_S = 0.2
# What is on its way, and what a moderated wake-up holds back, is read.
SETTLE_S = 0.2
# At a rate that everyone can follow, hardly a frame may be missing: else its cost is not that of a frame.
WHOLE = 0.99
# The shell and the start of the program come on top.
LOOP_ROUNDS, LOOP_EXCESS = 100_000_000, 1.01


@dataclass(frozen=True)
class Cost:
    """Guest instructions a frame, above those of an idle guest."""

    kernel: float
    user: float


def delivered(machine: Machine, contender: Contender, size: int, rate: int) -> float:
    """Frames a second that were read while `rate` a second were offered. Raises LabError where one was not ours."""
    with contender.on(machine, WARM_S, WINDOW_S):
        machine.offer(contender.interface, size, rate, WARM_S + WINDOW_S + MARGIN_S)
        time.sleep(SETTLE_S)
        found = machine.stop()
    if found["strange"]:
        raise LabError(f"{contender.name}: {found['strange']} frames of {found['frames']} are not what was sent")
    return float(found["in_time"] / WINDOW_S)


def check_counter(machine: Machine) -> None:
    """Count a loop of known length. Raises LabError where the counter is wrong."""
    before = machine.counter.counts()
    machine.guest.run(f"/bin/loop {LOOP_ROUNDS}", 120)
    counted = machine.counter.counts().since(before).user
    if not 2 * LOOP_ROUNDS <= counted < 2 * LOOP_ROUNDS * LOOP_EXCESS:
        raise LabError(f"the counter says {counted} for a loop of {2 * LOOP_ROUNDS} instructions")


def idle(machine: Machine, seconds: float = 2.0) -> Counts:
    """What the guest executes where nobody captures."""
    before = machine.counter.counts()
    time.sleep(seconds)
    return machine.counter.counts().since(before)


def cost(machine: Machine, contender: Contender, size: int, rate: int, seconds: float, rest: Counts) -> Cost:
    """Instructions a frame at `rate` a second. Raises LabError where frames are missing."""
    with contender.on(machine):
        time.sleep(SETTLE_S)
        before = machine.counter.counts()
        taken = machine.offer(contender.interface, size, rate, seconds)["taken"]
        time.sleep(SETTLE_S)
        spent = machine.counter.counts().since(before)
        frames = machine.stop()["frames"]
    if frames < WHOLE * taken:
        raise LabError(f"{contender.name} at {rate} frames a second: {frames} of {taken} came")
    share = spent.clock / rest.clock
    return Cost((spent.kernel - rest.kernel * share) / frames, (spent.user - rest.user * share) / frames)
