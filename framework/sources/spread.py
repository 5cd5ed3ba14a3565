"""How the packets of a run spread over queues and buckets: as the user says, else as outputs and plugins need it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from zcframe.framework.config import RunConfig
from zcframe.framework.errors import UsageError
from zcframe.framework.rss import RssConfig

from .backends import Backend, choose_backend
from .plan import Fanout

BY_PAIR: Final = "ip-pair"
BY_FLOW: Final = "5-tuple"


@dataclass(frozen=True)
class Spread:
    """fields: what the NIC hashes, "ip-pair" or "5-tuple". fanout: how the packet source shares frames out."""

    fields: str
    fanout: Fanout


def choose_spread(config: RunConfig, rules: Collection[str | None], needs: Collection[str]) -> Spread:
    """rules: of the outputs' shares; needs: of the plugins, "" for none.

    A queue's frames keep their order, so that shares by pair want a pair's frames in one queue: a card is set up so for
    them only where runs set it up anyway.
    """
    fields, fanout = config.rss_fields, config.fanout
    set_anyway = not config.iface or any(choose_backend(name, config.backend).sets_rss for name in config.iface)
    wanted = BY_PAIR in needs or (BY_PAIR in rules and set_anyway)
    if wanted and "rss_fields" not in config.given:
        fields = BY_PAIR
    if BY_PAIR in needs and "fanout" not in config.given and _packet_alone(config):
        fanout = BY_PAIR
    return Spread(fields, fanout)


def _packet_alone(config: RunConfig) -> bool:
    names = {choose_backend(name, config.backend).name for name in config.iface}
    return names == {"packet"}


def require_spread(config: RunConfig, rss: RssConfig, spread: Spread, needs: Mapping[str, str]) -> None:
    """Raises UsageError where the packets of what a plugin needs together may be counted apart.

    needs: of each plugin, by name: "5-tuple", "ip-pair", or "" for nothing.
    """
    for plugin, need in needs.items():
        if need:
            _require(config, rss, spread, f"plugin {plugin} needs all packets of {_text(need)} in one place", need)


def _text(need: str) -> str:
    return "a pair of addresses" if need == BY_PAIR else "a flow"


def _require(config: RunConfig, rss: RssConfig, spread: Spread, said: str, need: str) -> None:
    if need == BY_PAIR and spread.fields != BY_PAIR:
        raise UsageError(f"--rss-fields {spread.fields}: {said}: use --rss-fields {BY_PAIR}")
    if not rss.symmetry:
        raise UsageError(f"--rss-key {config.rss_key}: {said}, and this key parts directions: use --rss-key symmetric")
    for ifname in config.iface:
        backend = choose_backend(ifname, config.backend)
        if config.queues > 1 and not _spreads(config, backend, spread, need):
            raise UsageError(f"--iface {ifname}: {said}, {_advice(backend, spread)}, or --queues 1")


def _spreads(config: RunConfig, backend: Backend, spread: Spread, need: str) -> bool:
    """Whether a source with several queues brings to one queue what is needed together."""
    if backend.name == "packet" and spread.fanout != "qm":
        return spread.fanout == BY_PAIR or need == BY_FLOW
    return backend.sets_rss or bool(config.given & {"rss_key", "rss_fields"})


def _advice(backend: Backend, spread: Spread) -> str:
    if backend.name == "packet" and spread.fanout == "hash":
        return f"and --fanout hash goes by ports, too: use --fanout {BY_PAIR}"
    return f"and nobody set what its card hashes: use --rss-fields {spread.fields}"
