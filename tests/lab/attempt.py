"""One try at a scenario, and a second one where the emulator is proved to have failed, not what is tested."""

from __future__ import annotations

from types import ModuleType

from .bench import Bench
from .guest import EarlyPanic, Silence

# Scenarios that were tried again, each with the reason; told at the end.
AGAIN: list[str] = []


def attempt(bench: Bench, scenario: ModuleType) -> str:
    """Run it; once more, in a guest booted anew, where QEMU let a processor sleep that an interrupt had to wake.

    Also where the guest's kernel panicked before it had a module. Nothing else is tried again: whatever a scenario
    found wrong is found. Raises as the scenario does.
    """
    try:
        return str(scenario.run(bench))
    except EarlyPanic:
        why = "the guest's kernel panicked before it had loaded a module"
    except Silence:
        lost = bench.lost_wakeups()
        if not lost:
            raise
        why = f"QEMU lost a wake-up of processor {min(lost)}"
    name = scenario.__name__.rpartition(".")[2]
    kept = bench.keep_log(f"{name}-first")
    AGAIN.append(f"{bench.kernel.series} {name}: {why}; the guest then: {kept}")
    bench.close()
    return f"{scenario.run(bench)}; at the second try"
