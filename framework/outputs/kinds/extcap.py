"""`extcap:FIFO`: pcapng into the FIFO that Wireshark made for `zcframe extcap`; the run ends with its reader."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from zcframe.framework.outputs.options import whole
from zcframe.framework.outputs.output import BY_QUEUE, Input, OutputSpec, Streams
from zcframe.framework.outputs.pipes.fifo_sink import FifoSink
from zcframe.framework.outputs.sink import Sink
from zcframe.framework.share import Shares

from .fifo import Fifo
from .pcapng import pcapng_head


class ExtcapSink(FifoSink):
    """A FIFO with one reader in its life, who waits for the header, and behind whom the run ends."""

    greets = True

    def part(self) -> None:
        super().part()
        os.kill(os.getppid(), signal.SIGTERM)


class NoSink(Sink):
    """Takes nothing: what comes here is discarded."""

    @property
    def taken(self) -> bool:
        return False


class Extcap(Fifo):
    """The FIFO of a Wireshark. Option queue: only frames that this queue received."""

    record = "pcapng"
    options: ClassVar[Mapping[str, Callable[[str], Any]]] = {**Fifo.options, "queue": whole}

    def __init__(self, spec: OutputSpec, streams: Streams, inputs: Sequence[Input], number: int) -> None:
        if "queue" in spec.options:
            streams = Streams(len(inputs), Shares.parse(BY_QUEUE, str(len(inputs))))
        super().__init__(spec, streams, inputs, number)

    def targets(self) -> tuple[str, ...]:
        return (self.spec.target,)

    def sink(self, stream: int) -> Sink:
        if self.inputs[stream].queue != self.spec.options.get("queue", self.inputs[stream].queue):
            return NoSink()
        head = pcapng_head(self.inputs, self.snaplen, str(self.spec.options.get("filter", "")))
        return ExtcapSink(self._entrance(0), head, self._trail(0))
