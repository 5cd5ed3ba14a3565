"""The table of live sources: complete, loadable, and what it refuses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from zcframe.framework.config import BACKENDS as NAMES
from zcframe.framework.errors import UsageError
from zcframe.framework.health.verdict import FINDINGS
from zcframe.framework.rss import RssConfig
from zcframe.framework.sources.backends import BACKENDS, ROWS, backend_of, choose_backend
from zcframe.framework.sources.live import LiveSource
from zcframe.framework.sources.plan import LivePlan


def test_the_options_know_every_row_and_no_other() -> None:
    assert tuple(BACKENDS) == NAMES and len(BACKENDS) == len(ROWS)


@pytest.mark.parametrize("name", NAMES)
def test_each_row_loads_the_source_of_its_name(name: str) -> None:
    source = BACKENDS[name].load()
    assert issubclass(source, LiveSource) and source.backend == name


@pytest.mark.parametrize("name", NAMES)
def test_the_doctor_has_the_findings_that_a_row_names(name: str) -> None:
    assert BACKENDS[name].findings and set(BACKENDS[name].findings) <= set(FINDINGS)


def test_auto_takes_the_first_that_suits() -> None:
    for driver, name in (("zc82576", "zerocopy"), ("igb", "packet"), ("", "packet")):
        interface = SimpleNamespace(driver=driver)
        assert backend_of(interface).name == name  # type: ignore[arg-type]


def plan(backend: str, fanout: str, *, verify: bool, hugepages: bool) -> LivePlan:
    rss = RssConfig.make("symmetric", "5-tuple", 1)
    return LivePlan(backend, "eth0", rss, queues=1, fanout=fanout, verify=verify, hugepages=hugepages)  # type: ignore[arg-type]


NO_FANOUT = "--fanout qm: only the packet source has it, and eth0 is {}"
NO_HUGEPAGES = "--hugepages: eth0 is captured by the {} source, which has none"
NO_VERIFY = (
    "--verify-rss: eth0 is captured by the packet source, which shares frames out whatever queue the card chose: add"
    " --fanout qm, or use --backend xdp"
)


@pytest.mark.parametrize(
    ("backend", "fanout", "verify", "hugepages", "refusal"),
    [
        ("zerocopy", "hash", True, True, ""),
        ("zerocopy", "qm", False, False, NO_FANOUT.format("zerocopy")),
        ("packet", "qm", True, False, ""),
        ("packet", "ip-pair", False, False, ""),
        ("packet", "hash", True, True, NO_VERIFY),
        ("packet", "hash", False, True, NO_HUGEPAGES.format("packet")),
        ("xdp", "hash", True, False, ""),
        ("xdp", "qm", False, True, NO_FANOUT.format("xdp")),
        ("xdp", "hash", False, True, NO_HUGEPAGES.format("xdp")),
    ],
)
def test_options_that_a_source_does_not_take(
    backend: str, fanout: str, verify: bool, hugepages: bool, refusal: str
) -> None:
    if not refusal:
        assert plan(backend, fanout, verify=verify, hugepages=hugepages).backend == backend
        return
    with pytest.raises(UsageError) as error:
        plan(backend, fanout, verify=verify, hugepages=hugepages)
    assert str(error.value) == refusal


def test_what_takes_every_frame_cannot_be_told_not_to() -> None:
    rss = RssConfig.make("symmetric", "5-tuple", 1)
    for backend in ("packet", "xdp"):
        assert not LivePlan(backend, "eth0", rss, queues=1, promiscuous=False).promiscuous
    with pytest.raises(UsageError, match="--no-promiscuous: eth0 is captured by the zerocopy source"):
        LivePlan("zerocopy", "eth0", rss, queues=1, promiscuous=False)


@pytest.mark.parametrize(
    ("backend", "more", "say"),
    [
        ("xdp", {}, "--iface any and --backend xdp: only the packet source"),
        ("zerocopy", {}, "--iface any and --backend zerocopy: only the packet source"),
        ("packet", {"fanout": "qm"}, "--iface any and --fanout qm: "),
        ("packet", {"verify": True}, "--iface any and --verify-rss: "),
        ("packet", {"verify": True, "fanout": "qm"}, "--iface any and --verify-rss: "),
    ],
)
def test_all_interfaces_at_once_are_no_card(backend: str, more: dict[str, Any], say: str) -> None:
    rss = RssConfig.make("symmetric", "5-tuple", 1)
    assert choose_backend("any", "auto").name == LivePlan("packet", "any", rss, queues=1).backend == "packet"
    with pytest.raises(UsageError) as error:
        LivePlan(choose_backend("any", backend).name, "any", rss, queues=1, **more)
    assert str(error.value).startswith(say)
