"""zcframe: multi-queue, RSS-aware packet capture; plugins in Python at native speed.

The public face for authors of plugins:

    from zcframe import plugin, Array, Table, Flows, Records, Param, PASS, DROP, merge, ip_text
    from zcframe import u8, u16, u32, u64, i64, f64, addr, text, blob

docs/plugins.md teaches it. For programs and notebooks that run it:

    from zcframe import run, start, run_async, start_async, RunError

docs/library.md teaches that. All else is internal and may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zcframe.framework.chain.plugin import DROP, PASS, Verdict, plugin
    from zcframe.framework.library import AsyncRun, Result, Run, RunError, Snapshot, run, run_async, start, start_async
    from zcframe.framework.outputs.document import plain
    from zcframe.framework.packet.community import community_id, community_id_text
    from zcframe.framework.packet.public import Packet, View
    from zcframe.framework.state.addresses import ip_text
    from zcframe.framework.state.declare import Array, Param, Table
    from zcframe.framework.state.flow.declare import Flows
    from zcframe.framework.state.kinds import Scalar, addr, blob, f64, i64, text, u8, u16, u32, u64
    from zcframe.framework.state.lookup.patterns import Patterns
    from zcframe.framework.state.lookup.prefixes import Prefixes
    from zcframe.framework.state.merge import State
    from zcframe.framework.state.merge import merge_states as merge
    from zcframe.framework.state.records import Records
    from zcframe.framework.state.sketch.bloom import Bloom
    from zcframe.framework.state.sketch.countmin import CountMin
    from zcframe.framework.state.sketch.distinct import Distinct
    from zcframe.framework.state.sketch.ewma import Ewma
    from zcframe.framework.state.sketch.loghist import LogHist
    from zcframe.framework.state.sketch.moments import Moments
    from zcframe.framework.state.sketch.reservoir import Reservoir
    from zcframe.framework.state.sketch.topk import TopK

__version__ = "0.1.0"

# Loaded on first use: `zcframe --help` must not wait for numpy.
_FACE = {
    "plugin": ("zcframe.framework.chain.plugin", "plugin"),
    "PASS": ("zcframe.framework.chain.plugin", "PASS"),
    "DROP": ("zcframe.framework.chain.plugin", "DROP"),
    "Verdict": ("zcframe.framework.chain.plugin", "Verdict"),
    "community_id": ("zcframe.framework.packet.community", "community_id"),
    "community_id_text": ("zcframe.framework.packet.community", "community_id_text"),
    "Packet": ("zcframe.framework.packet.public", "Packet"),
    "View": ("zcframe.framework.packet.public", "View"),
    "Array": ("zcframe.framework.state.declare", "Array"),
    "Table": ("zcframe.framework.state.declare", "Table"),
    "Flows": ("zcframe.framework.state.flow.declare", "Flows"),
    "Param": ("zcframe.framework.state.declare", "Param"),
    "Scalar": ("zcframe.framework.state.kinds", "Scalar"),
    "u8": ("zcframe.framework.state.kinds", "u8"),
    "u16": ("zcframe.framework.state.kinds", "u16"),
    "u32": ("zcframe.framework.state.kinds", "u32"),
    "u64": ("zcframe.framework.state.kinds", "u64"),
    "i64": ("zcframe.framework.state.kinds", "i64"),
    "f64": ("zcframe.framework.state.kinds", "f64"),
    "addr": ("zcframe.framework.state.kinds", "addr"),
    "text": ("zcframe.framework.state.kinds", "text"),
    "blob": ("zcframe.framework.state.kinds", "blob"),
    "Records": ("zcframe.framework.state.records", "Records"),
    "Patterns": ("zcframe.framework.state.lookup.patterns", "Patterns"),
    "Prefixes": ("zcframe.framework.state.lookup.prefixes", "Prefixes"),
    "State": ("zcframe.framework.state.merge", "State"),
    "merge": ("zcframe.framework.state.merge", "merge_states"),
    "Bloom": ("zcframe.framework.state.sketch.bloom", "Bloom"),
    "CountMin": ("zcframe.framework.state.sketch.countmin", "CountMin"),
    "Distinct": ("zcframe.framework.state.sketch.distinct", "Distinct"),
    "Ewma": ("zcframe.framework.state.sketch.ewma", "Ewma"),
    "LogHist": ("zcframe.framework.state.sketch.loghist", "LogHist"),
    "Moments": ("zcframe.framework.state.sketch.moments", "Moments"),
    "Reservoir": ("zcframe.framework.state.sketch.reservoir", "Reservoir"),
    "TopK": ("zcframe.framework.state.sketch.topk", "TopK"),
    "plain": ("zcframe.framework.outputs.document", "plain"),
    "ip_text": ("zcframe.framework.state.addresses", "ip_text"),
    "run": ("zcframe.framework.library", "run"),
    "start": ("zcframe.framework.library", "start"),
    "run_async": ("zcframe.framework.library", "run_async"),
    "start_async": ("zcframe.framework.library", "start_async"),
    "Run": ("zcframe.framework.library", "Run"),
    "AsyncRun": ("zcframe.framework.library", "AsyncRun"),
    "Snapshot": ("zcframe.framework.library", "Snapshot"),
    "Result": ("zcframe.framework.library", "Result"),
    "RunError": ("zcframe.framework.library", "RunError"),
}

__all__ = [
    "DROP",
    "PASS",
    "Array",
    "AsyncRun",
    "Bloom",
    "CountMin",
    "Distinct",
    "Ewma",
    "Flows",
    "LogHist",
    "Moments",
    "Packet",
    "Param",
    "Patterns",
    "Prefixes",
    "Records",
    "Reservoir",
    "Result",
    "Run",
    "RunError",
    "Scalar",
    "Snapshot",
    "State",
    "Table",
    "TopK",
    "Verdict",
    "View",
    "__version__",
    "addr",
    "blob",
    "community_id",
    "community_id_text",
    "f64",
    "i64",
    "ip_text",
    "merge",
    "plain",
    "plugin",
    "run",
    "run_async",
    "start",
    "start_async",
    "text",
    "u8",
    "u16",
    "u32",
    "u64",
]


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module 'zcframe' has no attribute {name!r}")
    import importlib

    module, attribute = _FACE[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """What authors of plugins use, for editors and consoles."""
    return __all__
