"""What the verbs have in common: a plugin, and the traffic that it is run over."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from zcframe.framework.config import OPTIONS
from zcframe.framework.errors import UsageError

if TYPE_CHECKING:
    from zcframe.framework.workbench.frames import Frames


def add_plugin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plugin", metavar="SPEC", help="as of --plugin: " + OPTIONS["plugins"].doc)


def add_read(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--read", metavar="FILE", help="capture to run it over (default: the bundled trace)")


def traffic(options: argparse.Namespace) -> Frames:
    """The frames of --read, or of the bundled trace. Raises CaptureFileError, LinkTypeError, UsageError for none."""
    from zcframe.framework.sources.trace import bundled_trace
    from zcframe.framework.workbench.frames import read_frames

    frames = read_frames(getattr(options, "read", None) or bundled_trace())
    if not len(frames):
        raise UsageError(f"--read {options.read}: there is no packet in it")
    return frames
