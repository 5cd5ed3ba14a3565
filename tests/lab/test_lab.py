"""The lab's scenarios as tests: each on every kernel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from .__main__ import all_scenarios
from .attempt import AGAIN, attempt
from .bench import Bench, unit
from .packages import LabError
from .prepare import Lab, prepare

pytestmark = pytest.mark.needs("lab")
SCENARIOS = all_scenarios()


@pytest.fixture(scope="session")
def lab() -> Lab:
    return prepare()


@pytest.fixture(scope="module", params=[0, -1], ids=["newest-kernel", "oldest-kernel"])
def bench(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """One kernel's guest serves all scenarios: pytest runs them kernel by kernel."""
    kernels = list(lab.kernels.values())
    if request.param and len(kernels) == 1:
        pytest.skip("this release has one kernel only")
    made = lab.bench(kernels[request.param])
    yield made
    made.close()


def test_the_logic_of_a_ring(lab: Lab) -> None:
    assert "checks" in unit(lab.host)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(bench: Bench, name: str, lab: Lab, record_property: Callable[[str, object], None]) -> None:
    newest = next(iter(lab.kernels))
    if getattr(SCENARIOS[name], "ONE_KERNEL", False) and bench.kernel.series != newest:
        pytest.skip(f"what it shows hangs on no kernel: on {newest} only")
    start, again = time.monotonic(), len(AGAIN)
    try:
        figures = attempt(bench, SCENARIOS[name])
        record_property("lab", f"{bench.kernel.series:5} {name}: {figures} ({time.monotonic() - start:.0f} s)")
        for line in AGAIN[again:]:
            record_property("lab again", line)
    except LabError as error:
        kept = bench.keep_log(name)
        bench.close()
        pytest.fail(f"on {bench.kernel.series}: {error}\nkernel log: {kept}", pytrace=False)
