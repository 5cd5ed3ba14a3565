"""The lab's scenarios as tests: each on every kernel."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest

from .__main__ import all_scenarios
from .attempt import AGAIN, attempt
from .bench import Bench, unit
from .choice import NEWEST, NEXT, OLDEST, by_role, why_not
from .packages import LabError
from .prepare import Lab, prepare

pytestmark = pytest.mark.needs("lab")
SCENARIOS = all_scenarios()


@pytest.fixture(scope="session")
def lab() -> Lab:
    return prepare()


@pytest.fixture(scope="module", params=[NEWEST, NEXT, OLDEST], ids="{}-kernel".format)
def bench(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """One kernel's guest serves all scenarios: pytest runs them kernel by kernel."""
    kernel = by_role(lab.kernels).get(request.param)
    if request.param == NEXT and lab.lacking and os.environ.get("CI") == "true":
        pytest.fail(lab.lacking, pytrace=False)
    if kernel is None:
        pytest.skip(lab.lacking or f"this release has no {request.param} kernel beside its newest")
    made = lab.bench(kernel)
    yield made
    made.close()


def test_the_logic_of_a_ring(lab: Lab) -> None:
    assert "checks" in unit(lab.host)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(
    bench: Bench, name: str, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    role = request.node.callspec.params["bench"]
    if reason := why_not(SCENARIOS[name], role):
        pytest.skip(reason)
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
