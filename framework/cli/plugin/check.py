"""`zcframe plugin check`: whether a plugin does what the framework, and the plugin itself, promise of it."""

from __future__ import annotations

import argparse

from zcframe.framework.cli.answer import answer
from zcframe.framework.cli.parser import add_options
from zcframe.framework.terminal import clean

from .given import add_plugin, add_read, traffic

FAILED = 1
WIDTH = 14


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number is needed")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin(parser)
    add_read(parser)
    parser.add_argument(
        "--seed", type=_seed, metavar="N", help="of damage and order, which are drawn at random (default 0)"
    )
    add_options(parser, ["json", "verbose"])


def execute(options: argparse.Namespace) -> int:
    """Print a line a check. Exit code 1 where one failed."""
    from zcframe.framework.workbench.check import FAILED as FAILURE
    from zcframe.framework.workbench.check import Finding, Subject, findings
    from zcframe.framework.workbench.trial import resolve

    subject = Subject(resolve(options.plugin, {}), traffic(options), getattr(options, "seed", 0))
    found: list[Finding] = []
    for finding in findings(subject):
        found.append(finding)
        if "json" not in options:
            print(f"{finding.outcome:8}{finding.check:{WIDTH}}{clean(finding.text)}".rstrip(), flush=True)
    passed = all(finding.outcome != FAILURE for finding in found)
    if "json" in options:
        document = {"plugin": subject.spec.declared.name, "passed": passed, "checks": [f.as_json() for f in found]}
        answer(lambda: document, tuple, json=True)
    return 0 if passed else FAILED
