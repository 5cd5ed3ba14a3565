"""`zcframe dump -r FILE`: a copy in this process, with tcpdump's lines."""

from __future__ import annotations

import time
from contextlib import closing

from zcframe.framework.clock import event_line
from zcframe.framework.config import RunConfig
from zcframe.framework.filecopy.copying import Copy
from zcframe.framework.filecopy.requests import Requests
from zcframe.framework.filters.libpcap import compile_expression
from zcframe.framework.outputs.make import choose_outputs, make_outputs
from zcframe.framework.outputs.output import Input, Output
from zcframe.framework.privileges import drop_to_writing
from zcframe.framework.sources.capture import CaptureReader
from zcframe.framework.sources.capture.linktype import passing_over
from zcframe.framework.terminal import clean

from .counts import count_lines, say, source_line


class Watch:
    """What is said while a copy runs: the counts, when somebody asks, and link types that are not read."""

    def __init__(self, requests: Requests, reader: CaptureReader) -> None:
        self._requests, self._reader = requests, reader
        self._told: set[int] = set()
        self.copy: Copy | None = None

    def look(self) -> None:
        for link_type in self._reader.odd_records():
            if link_type not in self._told:
                self._told.add(link_type)
                text = f"warning: {clean(passing_over(link_type, self._reader.window.label))}"
                say(event_line(text, time.time()))
        if self._requests.take_counts():
            self.say_counts()

    def say_counts(self) -> None:
        written = self.copy.written if self.copy is not None else 0
        say(*count_lines(written, written, 0))


def _output(config: RunConfig) -> Output:
    """The one output, which is open then. Raises UsageError, OutputError."""
    ((output, _),) = make_outputs(choose_outputs(config.out, None, None, 1), [Input("soft0", 0)])
    output.open()
    return output


def copy_file(config: RunConfig) -> int:
    """Copy the file that is read to the one that is written. Exit code 0, also after SIGINT. Raises ZcframeError."""
    program = compile_expression(config.filter, "--filter") if config.filter else None
    with closing(CaptureReader(config.read[0])) as reader, Requests() as requests:
        if reader.refusal:
            raise reader.refusal
        output = _output(config)
        drop_to_writing(output.user)
        watch = Watch(requests, reader)
        watch.copy = Copy(reader, output, program, config.count)
        say(source_line("file", config.read, reader.link_types))
        try:
            watch.copy.run(requests, watch.look)
        finally:
            watch.say_counts()
    return 0
