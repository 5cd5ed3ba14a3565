"""The orders that a run takes, and what each does."""

from __future__ import annotations

from typing import Final

STATUS: Final = "status"
SNAPSHOT: Final = "snapshot"
STOP: Final = "stop"
RELOAD: Final = "reload"
FILTER: Final = "filter"
# Behind RELOAD: plugins whose state has another layout now begin anew.
DROP_STATE: Final = "--drop-state"
ORDERS: Final = {
    STATUS: "print one line of JSON: pid, version, seconds, packets, lost, queues, plugins, outputs",
    SNAPSHOT: "print the JSON document of the run at this moment",
    RELOAD: "read the plugins' files anew, and go on with them; --drop-state: also where their state begins anew",
    FILTER: "show plugins and outputs the packets of this tcpdump expression from now on; '' for all",
    STOP: "end the run, as Ctrl-C does, and print its exit code once it is over",
}
