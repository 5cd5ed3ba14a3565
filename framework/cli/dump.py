"""`zcframe dump`: capture to a file, or from one file to another, as tcpdump -w does."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from typing import Any

from zcframe.framework.config import STDIN, RunConfig
from zcframe.framework.errors import UsageError

PCAPNG = (".pcapng", ".pcapng.gz", ".pcapng.zst", ".ntar")
# What is said to the file's options, and the option of tcpdump that says it.
SAID = {"snaplen": "s", "size": "C", "seconds": "G", "files": "W", "user": "Z"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-i", "--iface", metavar="IFACE", help="capture from this interface, or from any")
    parser.add_argument("-r", "--read", metavar="FILE", help="read this capture file; -: standard input")
    parser.add_argument("-w", "--write", metavar="FILE", help="write this file; -: standard output (-)")
    parser.add_argument("-c", "--count", metavar="N", help="end after N packets")
    parser.add_argument("-s", "--snaplen", metavar="BYTES", help="write at most so much of a frame (0: 262144)")
    parser.add_argument("-C", "--size", metavar="MB", help="begin another file after so many millions of bytes")
    parser.add_argument("-G", "--seconds", metavar="S", help="begin another file every S seconds; strftime names")
    parser.add_argument("-W", "--files", metavar="N", help="with -C: keep N files, and write over the oldest")
    parser.add_argument("-Z", "--user", metavar="USER", help="write as this user")
    parser.add_argument("-p", "--no-promiscuous", action="store_true", help="leave the promiscuous mode as it is")
    parser.add_argument("-U", "--packet-buffered", action="store_true", help="what is written anyway: at once")
    parser.add_argument("-n", "--numeric", action="store_true", help="what is done anyway: no name is looked up")
    parser.add_argument("--backend", metavar="NAME", help="as with zcframe run (auto)")
    parser.add_argument("--queues", metavar="N", help="as with zcframe run; one with -r, which keeps the file's order")
    parser.add_argument("-v", "--verbose", action="store_true", help="more on stderr: details of errors, debug logs")
    words = "a tcpdump expression; behind -- if need be"
    parser.add_argument("expression", nargs="*", default=[], metavar="EXPR", help=words)


def _spec(options: argparse.Namespace) -> str:
    """The words of --out for what the options say."""
    target = getattr(options, "write", STDIN)
    kind = "pcapng" if target.endswith(PCAPNG) else "pcap"
    given = {name: getattr(options, name) for name in SAID if hasattr(options, name)}
    if given.get("snaplen") == "0":
        del given["snaplen"]
    chosen = [f",{name}={value}" for name, value in given.items()]
    return f"{kind}:{target}{''.join(chosen)}"


def _config(options: argparse.Namespace) -> RunConfig:
    from zcframe.framework.config import load

    given: dict[str, Any] = {"out": [_spec(options)]}
    if hasattr(options, "read"):
        given |= {"read": [options.read], "queues": "1"}
    elif hasattr(options, "iface"):
        given["iface"] = [options.iface]
    else:
        raise UsageError("an interface or a file is needed: -i IFACE or -r FILE")
    for name in ("count", "backend", "queues", "no_promiscuous", "verbose"):
        if hasattr(options, name):
            given[name] = getattr(options, name)
    if words := getattr(options, "expression", []):
        given["filter"] = " ".join(words)
    return replace(load(given), plugins=())


def execute(options: argparse.Namespace) -> int:
    """Write what comes, until the file ends, somebody asks for the end, or -c packets came."""
    config = _config(options)
    if hasattr(options, "read") and not hasattr(options, "queues"):
        # numpy's library of linear algebra would start a thread for each CPU, which a copy has no use for.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        from .copying import copy_file

        return copy_file(config)
    from zcframe.framework.show.notices import Notices

    from .counting import Counts
    from .run import carry_out

    return carry_out(config, [Notices(), Counts()])
