"""The orders that a run takes, and what each does."""

from __future__ import annotations

from typing import Final

STATUS: Final = "status"
SNAPSHOT: Final = "snapshot"
STOP: Final = "stop"
ORDERS: Final = {
    STATUS: "print one line of JSON: pid, version, seconds, packets, lost, queues, plugins, outputs",
    SNAPSHOT: "print the JSON document of the run at this moment",
    STOP: "end the run, as Ctrl-C does, and print its exit code once it is over",
}
