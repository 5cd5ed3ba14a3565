"""What a run counts: the ledger of every queue, snapshots while it goes on, the result at its end."""

from .events import Event, Events
from .faults import Fault, FaultyPacket, end_text
from .ledger import Ledger
from .observer import (
    NoIp,
    Observer,
    Observers,
    OutputPlan,
    PluginPlan,
    QueuePlan,
    QueueStats,
    RssCheck,
    RssInfo,
    RunPlan,
    RunResult,
    RunSnapshot,
    SourceInfo,
    StatePlan,
    Totals,
)

__all__ = [
    "Event",
    "Events",
    "Fault",
    "FaultyPacket",
    "Ledger",
    "NoIp",
    "Observer",
    "Observers",
    "OutputPlan",
    "PluginPlan",
    "QueuePlan",
    "QueueStats",
    "RssCheck",
    "RssInfo",
    "RunPlan",
    "RunResult",
    "RunSnapshot",
    "SourceInfo",
    "StatePlan",
    "Totals",
    "end_text",
]
