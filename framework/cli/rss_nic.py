"""`zcframe rss show|set|symmetric|restore IFACE`: the RSS of a real NIC."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from zcframe.framework.errors import UsageError

from .answer import answer
from .parser import add_options
from .verb import Verb

if TYPE_CHECKING:
    from zcframe.framework.nic import RssSettings

Wanted = dict[str, Any]


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _key(text: str) -> bytes:
    from zcframe.framework.rss import rss_key

    return rss_key(text, "--key")


def _table(text: str) -> list[int]:
    words = text.split(",")
    if not all(word.isdecimal() for word in words):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of queues such as 0,1,2,3")
    return [int(word) for word in words]


def _iface(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("iface", metavar="IFACE", help="the interface")
    add_options(parser, ["verbose"])


def _spread(parser: argparse.ArgumentParser) -> None:
    fields = ["ip-pair", "5-tuple"]
    parser.add_argument("--queues", type=_whole, metavar="N", help="spread over queues 0 to N-1, in turn")
    parser.add_argument("--fields", choices=fields, help="what the NIC hashes")


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    _iface(parser)
    add_options(parser, ["json"])


def _set_arguments(parser: argparse.ArgumentParser) -> None:
    _iface(parser)
    parser.add_argument("--key", type=_key, help="microsoft, symmetric, random or 40 bytes as hex digits")
    _spread(parser)
    parser.add_argument("--reta", type=_table, metavar="LIST", help="queues of the table, repeated to its end: 0,0,1,2")
    parser.add_argument("--channels", type=_whole, metavar="N", help="receive queues that the NIC works with")
    parser.add_argument("--rings", type=_whole, metavar="N", help="descriptors of each receive ring")


def _symmetric_arguments(parser: argparse.ArgumentParser) -> None:
    _iface(parser)
    _spread(parser)


def _restore_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("iface", metavar="IFACE", nargs="?", help="the interface (all that have something to restore)")
    add_options(parser, ["verbose"])


def _show(options: argparse.Namespace) -> int:
    from zcframe.framework.nic import Interface
    from zcframe.framework.nic.report.status import read_status
    from zcframe.framework.show.nic import status_lines

    status = read_status(Interface(options.iface).name)
    answer(status.document, lambda: status_lines(status), json="json" in options)
    return 0


def _wanted_rss(options: argparse.Namespace, ifname: str) -> RssSettings:
    from zcframe.framework.nic import read_channels, read_rss

    given = vars(options)
    wanted = read_rss(ifname)
    if "key" in given:
        wanted = wanted.with_key(given["key"], ifname)
    if "fields" in given:
        wanted = wanted.with_fields(given["fields"], ifname)
    queues = given.get("reta") or range(given.get("queues", 0))
    if queues:
        has = given.get("channels") or read_channels(ifname).queues
        if max(queues) >= has:
            raise UsageError(f"{ifname} works with {has} receive queues, there is no queue {max(queues)}")
        wanted = wanted.with_reta(queues, ifname)
    return wanted


def _wanted(options: argparse.Namespace) -> Wanted:
    """The settings that the options name, by name."""
    from dataclasses import asdict, replace

    from zcframe.framework.nic import read_channels, read_rings

    given, ifname, wanted = vars(options), options.iface, Wanted()
    if "channels" in given:
        wanted["channels"] = asdict(read_channels(ifname).with_queues(given["channels"]))
    if "rings" in given:
        wanted["rings"] = asdict(replace(read_rings(ifname), rx=given["rings"]))
    if not given.keys().isdisjoint(("key", "fields", "queues", "reta")):
        wanted["rss"] = _wanted_rss(options, ifname).document()
    return wanted


def _apply(ifname: str, wanted: Wanted) -> None:
    from zcframe.framework.nic import hold_by_hand

    hold = hold_by_hand(ifname)
    if hold.restored:
        print(f"zcframe: {hold.restored}", file=sys.stderr)
    hold.change_together(wanted)


def _set(options: argparse.Namespace) -> int:
    from zcframe.framework.nic import Interface

    options.iface = Interface(options.iface).name
    if hasattr(options, "queues") and hasattr(options, "reta"):
        raise UsageError("--queues and --reta both set the table: give one of them")
    wanted = _wanted(options)
    if not wanted:
        names = "--key, --queues, --reta, --fields, --channels or --rings"
        raise UsageError(f"nothing to set on {options.iface}: give {names}")
    _apply(options.iface, wanted)
    return _show(options)


def _symmetric(options: argparse.Namespace) -> int:
    from zcframe.framework.nic import Interface, judge, read_channels, read_rss
    from zcframe.framework.rss import SYMMETRIC_KEY

    ifname = options.iface = Interface(options.iface).name
    options.key = SYMMETRIC_KEY
    options.fields = getattr(options, "fields", "5-tuple")
    options.queues = getattr(options, "queues", None) or read_channels(ifname).queues
    _apply(ifname, {"rss": _wanted_rss(options, ifname).document()})
    verdict = judge(read_rss(ifname))
    print(f"{ifname}: {verdict}")
    print("not compared with hashes that the NIC itself computed: it hands them over with captured frames only")
    return 0 if verdict.finding == "symmetric" else 1


def _held_name(name: str) -> str:
    """The kernel's own name of an interface. One that is gone may have something to put back: its name stays."""
    from zcframe.framework.errors import NicError
    from zcframe.framework.nic import Interface

    try:
        return Interface(name).name
    except NicError:
        return name


def _foreign_lines() -> list[str]:
    """What is on file of other network namespaces: what is dropped, and what only a process there can put back."""
    from zcframe.framework.nic.settings.elsewhere import foreign, forget_gone

    lines = [f"{other}: it is gone, and nothing to put back" for other in forget_gone()]
    return lines + [f"{other}: left alone; {other.remedy}" for other in foreign()]


def _restore(options: argparse.Namespace) -> int:
    from zcframe.framework.errors import NicError
    from zcframe.framework.nic import Interface, held, restore

    named = getattr(options, "iface", None)
    failed, done = [], []
    for ifname in [_held_name(named)] if named else held():
        try:
            lines = restore(ifname)
            if not lines:
                Interface(ifname)
            done += lines or [f"{ifname}: nothing to put back"]
        except NicError as error:
            failed.append(str(error))
    done += [] if named else _foreign_lines()
    for line in done or ([] if failed else ["nothing to put back"]):
        print(line)
    if failed:
        raise NicError("; ".join(failed))
    return 0


VERBS = {
    "show": Verb("show how a NIC spreads, and whether that is symmetric", _show_arguments, _show),
    "set": Verb("set it; zcframe rss restore puts back what was before", _set_arguments, _set),
    "symmetric": Verb("set the symmetric key, and prove what came of it", _symmetric_arguments, _symmetric),
    "restore": Verb("put back what rss set changed, or a run that was killed", _restore_arguments, _restore),
}
