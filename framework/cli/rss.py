"""`zcframe rss`: how a key, fields and a number of queues would spread a capture; verbs for real NICs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zcframe.framework.config import load
from zcframe.framework.errors import CaptureFileError, LinkTypeError, ZcframeError
from zcframe.framework.terminal import clean

from .answer import answer
from .parser import add_options
from .rss_nic import VERBS

if TYPE_CHECKING:
    from zcframe.framework.rss.predict import Predictor


__all__ = ["VERBS", "add_arguments", "execute"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Verbs, each with a --help of its own: " + "; ".join(
        f"{n} IFACE: {v.doc}" for n, v in VERBS.items()
    )
    add_options(parser, ["read", "queues", "rss_key", "rss_fields", "json", "verbose"])


def _count(predictor: Predictor, files: Sequence[str]) -> list[ZcframeError]:
    """Count the frames of all files. Returns what is wrong with some: frames before the damage count."""
    from zcframe.framework.sources.capture import batches
    from zcframe.framework.sources.capture.records import WIRE_LENGTH

    failures: list[ZcframeError] = []
    for path in files:
        try:
            for data, records in batches(path):
                predictor.add_batch(data, records[:, : WIRE_LENGTH + 1])
        except (CaptureFileError, LinkTypeError) as error:
            failures.append(error)
    return failures


def _failure(failures: Sequence[ZcframeError], files: Sequence[str]) -> ZcframeError:
    """One error for all; where several files were named, each has its own line before it."""
    if len(files) == 1:
        return failures[0]
    for error in failures:
        print(f"zcframe: warning: {clean(str(error))}", file=sys.stderr)
    return CaptureFileError(f"{len(failures)} of {len(files)} files could not be read whole")


def execute(options: argparse.Namespace) -> int:
    """Print the prediction for the files, or for the bundled trace; a damaged file counts up to the damage (exit 1)."""
    config = load(vars(options))

    from zcframe.framework.rss.config import RssConfig
    from zcframe.framework.rss.predict import Predictor
    from zcframe.framework.show.prediction import prediction_lines
    from zcframe.framework.sources.trace import bundled_trace

    predictor = Predictor(RssConfig.make(config.rss_key, config.rss_fields, config.queues))
    if config.bundled:
        print("zcframe: no file named: the bundled trace", file=sys.stderr)
    files = config.read or (str(bundled_trace()),)
    failures = _count(predictor, files)
    prediction = predictor.prediction()
    if not failures or prediction.packets:
        answer(prediction.document, lambda: prediction_lines(prediction), json=config.json)
    if failures:
        raise _failure(failures, files)
    return 0
