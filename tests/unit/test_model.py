"""kernel/model, by spin: the ring's protocol holds in every run, and without any one of its barriers it does not.

The header says which functions hold a barrier, so that one which ring.pml lacks fails too. timer.pml is the timer that
wakes a reader late.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.kit.places import ROOT

KERNEL = ROOT / "kernel"
HEADER = KERNEL / "include" / "zc_ring.h"
MODEL = KERNEL / "model" / "ring.pml"
TIMER = KERNEL / "model" / "timer.pml"

# How the model calls what the header does to shared memory.
NAMES = {
    "READ_ONCE": "load",
    "WRITE_ONCE": "store",
    "smp_load_acquire": "load_acquire",
    "smp_store_release": "store_release",
    "smp_mb": "smp_mb",
}

# Barrier -> who waits in a way that needs it, and what goes wrong without it. poll() of the socket has barriers of its
# own, which hide the lack of those marked eventfd.
TORN, STUCK = "assertion violated .*cpu.1..wrong", "assertion violated .*read=="
BROKEN = {
    "collect": ("socket", TORN),
    "submit": ("socket", TORN),
    "peek": ("socket", TORN),
    "release": ("socket", TORN),
    "wants_wake": ("socket", STUCK),
    "stall": ("socket", STUCK),
    "may_sleep": ("eventfd", STUCK),
    "needs_kick": ("eventfd", STUCK),
}

pytestmark = [pytest.mark.needs("spin", "gcc"), pytest.mark.long]


def search(folder: Path, *, model: Path = MODEL, ends: Sequence[str] = ("-E",), **defined: str) -> str:
    """What the exhaustive search says of the model with these definitions; ends: what to make of where it ends."""
    flags = [f"-D{name}={value}" for name, value in defined.items()]
    command = ["spin", *flags, "-search", *ends, "-O2", str(model)]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def header_functions() -> dict[str, str]:
    """Body of each function of the header that holds a barrier."""
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    found = re.findall(r"^static inline \w+ zc_ring_(\w+)\(.*?^\{(.*?)^\}", text, flags=re.MULTILINE | re.DOTALL)
    return {name: body for name, body in found if "smp_" in body}


def model_function(name: str) -> str:
    text = re.sub(r"/\*.*?\*/", "", MODEL.read_text(), flags=re.DOTALL)
    found = re.search(rf"^inline zc_ring_{name}\(.*?^\{{(.*?)^\}}", text, flags=re.MULTILINE | re.DOTALL)
    assert found, f"the model has no zc_ring_{name}"
    return found[1]


def steps(body: str) -> list[str]:
    """What a function does to shared memory, in order, by the model's names."""
    known = "|".join([*NAMES, *NAMES.values(), r"zc_ring_\w+"])
    return [NAMES.get(step, step) for step in re.findall(rf"\b({known})\(", body)]


def test_every_barrier_of_the_header_is_broken_once() -> None:
    assert set(header_functions()) == set(BROKEN)


@pytest.mark.parametrize("name", BROKEN)
def test_the_model_takes_the_steps_of_the_header(name: str) -> None:
    assert steps(model_function(name)) == steps(header_functions()[name])


@pytest.mark.parametrize("wait", ["socket", "eventfd", "busy"])
def test_every_run_ends_with_every_frame_read(wait: str, tmp_path: Path) -> None:
    said = search(tmp_path, WAIT=wait)
    assert "errors: 0" in said
    assert "max search depth too small" not in said and "Search not completed" not in said
    # Both assertions at the end were come to.
    assert "unreached in init\n\t(0 of " in said


@pytest.mark.parametrize("name", BROKEN)
def test_without_a_barrier_a_run_goes_wrong(name: str, tmp_path: Path) -> None:
    wait, wrong = BROKEN[name]
    said = search(tmp_path, WAIT=wait, BROKEN=name)
    assert re.search(wrong, said)
    assert "errors: 1" in said


def test_a_reader_that_is_woken_late_is_woken(tmp_path: Path) -> None:
    said = search(tmp_path, model=TIMER, ends=())
    assert "errors: 0" in said
    assert "max search depth too small" not in said and "Search not completed" not in said
    # It came to the end of its frames.
    assert "unreached in proctype consumer\n\t(0 of " in said


@pytest.mark.parametrize("broken", ["running", "early"])
def test_a_timer_that_has_looked_already_does_not_count(broken: str, tmp_path: Path) -> None:
    said = search(tmp_path, model=TIMER, ends=(), BROKEN=broken)
    assert "invalid end state" in said
    assert "errors: 1" in said
