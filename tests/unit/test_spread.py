"""How packets are spread where plugins and outputs need them together, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from zcframe import plugin
from zcframe.framework.config import load
from zcframe.framework.errors import DeclarationError, UsageError
from zcframe.framework.rss import RssConfig
from zcframe.framework.sources import spread as module
from zcframe.framework.sources.backends import BACKENDS
from zcframe.framework.sources.spread import Spread, choose_spread, require_spread

PAIR, FLOW = "ip-pair", "5-tuple"


@pytest.fixture
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every interface is captured by the source that the test names."""
    monkeypatch.setattr(module, "choose_backend", lambda ifname, wanted: BACKENDS[request.param])


def spread_of(words: dict[str, Any], need: str, rule: str | None = None) -> Spread:
    config = load({"queues": "2", **words})
    spread = choose_spread(config, [rule], [need])
    require_spread(config, RssConfig.make(config.rss_key, spread.fields, 2), spread, {"mine": need})
    return spread


@pytest.mark.parametrize(("need", "fields"), [("", FLOW), (FLOW, FLOW), (PAIR, PAIR)])
def test_files_are_spread_as_plugins_need_it(need: str, fields: str) -> None:
    assert spread_of({}, need) == Spread(fields, "hash")


@pytest.mark.parametrize(
    ("backend", "words", "need", "rule", "expected"),
    [
        ("packet", {}, PAIR, None, Spread(PAIR, "ip-pair")),
        ("packet", {}, FLOW, None, Spread(FLOW, "hash")),
        ("packet", {}, "", PAIR, Spread(FLOW, "hash")),
        ("packet", {"fanout": "qm", "rss_fields": PAIR}, PAIR, None, Spread(PAIR, "qm")),
        ("packet", {"fanout": "hash", "queues": "1"}, PAIR, None, Spread(PAIR, "hash")),
        ("xdp", {"rss_fields": PAIR}, PAIR, None, Spread(PAIR, "hash")),
        ("xdp", {"queues": "1"}, PAIR, None, Spread(PAIR, "hash")),
        ("zerocopy", {}, PAIR, None, Spread(PAIR, "hash")),
        ("zerocopy", {}, "", PAIR, Spread(PAIR, "hash")),
    ],
    indirect=["backend"],
)
def test_live_sources_too(backend: None, words: dict[str, Any], need: str, rule: str | None, expected: Spread) -> None:
    assert spread_of({"iface": ["zc0"], **words}, need, rule) == expected


@pytest.mark.parametrize(
    ("backend", "words", "need", "said"),
    [
        ("packet", {"fanout": "hash"}, PAIR, "use --fanout ip-pair, or --queues 1"),
        ("packet", {"fanout": "qm"}, PAIR, "nobody set what its card hashes: use --rss-fields ip-pair, or --queues 1"),
        ("packet", {"fanout": "qm"}, FLOW, "use --rss-fields 5-tuple, or --queues 1"),
        ("xdp", {}, PAIR, "--iface zc0: plugin mine needs all packets of a pair of addresses in one place"),
        ("zerocopy", {"rss_fields": FLOW}, PAIR, "--rss-fields 5-tuple: plugin mine needs"),
        ("zerocopy", {"rss_key": "microsoft"}, FLOW, "--rss-key microsoft: plugin mine needs all packets of a flow"),
    ],
    indirect=["backend"],
)
def test_what_would_count_them_apart_is_refused(backend: None, words: dict[str, Any], need: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        spread_of({"iface": ["zc0"], **words}, need)
    assert said in str(caught.value)


@pytest.mark.parametrize("needs", ["ports", "IP-PAIR", None, ["ip-pair"]])
def test_a_need_that_there_is_not(needs: Any) -> None:
    with pytest.raises(DeclarationError, match="'5-tuple' or 'ip-pair' is possible"):
        plugin(needs=needs)(type("Mine", (), {"filter": lambda pkt, state, params: 0}))
