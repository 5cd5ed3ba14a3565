"""Which kernels a scenario is run on."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest

from .__main__ import all_scenarios
from .choice import EVERYWHERE, NEWEST, NEXT, OLDEST, by_role, why_not
from .kernels import Headers, Kernel
from .root import Root


def kernel(series: str, root: Root | None = None) -> Kernel:
    return Kernel(series, f"{series}.0", Path("vmlinux"), Headers(Path("headers"), root))


def scenario(**names: object) -> ModuleType:
    return cast(ModuleType, SimpleNamespace(**names))


OWN = {series: kernel(series) for series in ("6.12", "6.1")}
BACKPORT = {"7.3": kernel("7.3", Root(Path("trixie")))}


@pytest.mark.parametrize(
    ("kernels", "wanted"),
    [
        (BACKPORT | OWN, {NEWEST: "6.12", OLDEST: "6.1", NEXT: "7.3"}),
        (OWN, {NEWEST: "6.12", OLDEST: "6.1"}),
        ({"7.3": kernel("7.3")}, {NEWEST: "7.3"}),
        (BACKPORT, {NEXT: "7.3"}),
    ],
    ids=["three", "no-backports", "one", "only-the-next"],
)
def test_a_kernel_has_one_role(kernels: dict[str, Kernel], wanted: dict[str, str]) -> None:
    assert {role: found.series for role, found in by_role(kernels).items()} == wanted


def test_every_scenario_runs_in_tests() -> None:
    for name, module in all_scenarios().items():
        assert any(not why_not(module, role) for role in EVERYWHERE), name


def test_the_newest_runs_nearly_everything() -> None:
    assert not why_not(scenario(), NEWEST)
    assert why_not(scenario(ROLES=(NEXT,)), NEWEST)
