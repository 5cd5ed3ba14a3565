"""`zcframe dump -r FILE`: a copy in this process, with tcpdump's lines."""

from __future__ import annotations

import os
import time
from contextlib import closing, suppress

from zcframe.framework.clock import event_line
from zcframe.framework.config import RunConfig
from zcframe.framework.errors import OutputError, refusal
from zcframe.framework.filecopy.copying import Copy
from zcframe.framework.filecopy.requests import Requests
from zcframe.framework.filters.libpcap import compile_expression
from zcframe.framework.outputs.make import Asked, choose_outputs, make_outputs
from zcframe.framework.outputs.output import Input, Output
from zcframe.framework.privileges import drop_to_writing
from zcframe.framework.sources.capture import CaptureReader
from zcframe.framework.sources.capture.linktype import passing_over
from zcframe.framework.terminal import clean

from .counts import count_lines, say, source_line


class Watch:
    """What is said while a copy runs: the counts, when somebody asks, and link types that are not read."""

    def __init__(self, copy: Copy, reader: CaptureReader, requests: Requests) -> None:
        self._copy, self._reader, self._requests = copy, reader, requests
        self._told: set[int] = set()

    def look(self) -> None:
        for link_type in self._reader.odd_records():
            if link_type not in self._told:
                self._told.add(link_type)
                text = f"warning: {clean(passing_over(link_type, self._reader.window.label))}"
                say(event_line(text, time.time()))
        if self._requests.take_counts():
            self.say_counts()

    def say_counts(self) -> None:
        say(*count_lines(self._copy.written, self._copy.written, 0))


def _output(config: RunConfig) -> Output:
    """The one output, which is open then. Raises UsageError, OutputError."""
    ((output, _),) = make_outputs(choose_outputs(config.out, Asked(None, None, 1)), [Input("soft0", 0)])
    with suppress(OSError):
        if os.path.samefile(config.read[0], output.target_of(0)):
            raise output.refuse(f"{config.read[0]} is what is read: name another file")
    output.open()
    return output


def _confine(output: Output) -> None:
    """Raises OutputError where the output's user is refused."""
    try:
        drop_to_writing(output.user)
    except OSError as error:
        raise OutputError(f"{output.prefix}{refusal(error)}") from error


def _copy(config: RunConfig, requests: Requests) -> None:
    program = compile_expression(config.filter, "--filter") if config.filter else None
    with closing(CaptureReader(config.read[0])) as reader:
        if reader.refusal:
            raise reader.refusal
        output = _output(config)
        copy = Copy(reader, output, program, config.count)
        _confine(output)
        requests.listen()
        say(source_line("file", config.read, reader.link_types))
        watch = Watch(copy, reader, requests)
        try:
            copy.run(requests, watch.look)
        finally:
            watch.say_counts()


def copy_file(config: RunConfig) -> int:
    """Copy the file that is read to the one that is written. Exit code 0, also after SIGINT. Raises ZcframeError."""
    with Requests() as requests:
        try:
            _copy(config, requests)
        except KeyboardInterrupt:
            say("zcframe: ended before the first packet")
    return 0
