"""`zcframe extcap`: an interface of Wireshark and tshark, by the conventions of extcap(4)."""

from __future__ import annotations

import argparse
import atexit
import errno
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zcframe.framework.child import PR_SET_PDEATHSIG, prctl
from zcframe.framework.config import ANY, RunConfig
from zcframe.framework.errors import UsageError, ZcframeError
from zcframe.framework.show.extcap import PREFIX, interface_sentences, link_type_sentences, option_sentences

if TYPE_CHECKING:
    from zcframe.framework.show.notices import Notices

# More queues than a run can have are not captured apart.
MOST_QUEUES = 16
NAME = "zcframe"
TSHARK = ("tshark", "-G", "folders")
# The folder beside its configuration, where Wireshark up to 4.0 looks for a user's own; later ones tell.
PERSONAL, CONFIGURATION, OWN = "Personal Extcap path", "Personal configuration", "extcap"
# How long to wait for the reader of a FIFO that is to be told that nothing will come.
READER_S, READER_NAP_S = 5.0, 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Wireshark calls it; zcframe extcap --install has it do so."
    flag: dict[str, Any] = {"action": "store_true"}
    value: dict[str, Any] = {"metavar": "NAME"}
    parser.add_argument("--install", metavar="FOLDER", nargs="?", const="", help="have this user's Wireshark call it")
    parser.add_argument("--extcap-interfaces", help="list what can be captured", **flag)
    parser.add_argument("--extcap-version", metavar="VERSION", nargs="?", const="", help="that of the Wireshark")
    parser.add_argument("--extcap-interface", help="what to capture: zc:IFACE or zc:IFACE:QUEUE", **value)
    parser.add_argument("--extcap-dlts", help="list its link types", **flag)
    parser.add_argument("--extcap-config", help="list the options of a capture", **flag)
    parser.add_argument("--extcap-reload-option", help="none has values of its own to load", **value)
    parser.add_argument("--extcap-capture-filter", metavar="EXPR", help="a tcpdump expression, checked or captured by")
    parser.add_argument("--capture", help="capture", **flag)
    parser.add_argument("--fifo", metavar="FIFO", help="where frames go, as pcapng")
    parser.add_argument("--extcap-control-in", metavar="FIFO", help="what the toolbar says: nothing of use here")
    parser.add_argument("--extcap-control-out", metavar="FIFO", help="what the toolbar shows")
    parser.add_argument("--backend", metavar="NAME", help="as with zcframe run (auto; packet for one queue)")
    parser.add_argument("--no-promiscuous", help="leave the promiscuous mode as it is", **flag)
    parser.add_argument("--snaplen", metavar="BYTES", help="capture at most so much of a frame (262144)")
    parser.add_argument("-v", "--verbose", help="more on stderr: details of errors, debug logs", **flag)


def _queues(ifname: str) -> int:
    """How many receive queues can be captured apart; 1: none."""
    from zcframe.framework.nic.report.queues import receive_queues

    found = receive_queues(ifname)
    return found if found <= MOST_QUEUES else 1


def _interfaces() -> dict[str, int]:
    from zcframe.framework.nic.link.interface import interface_names

    return {name: _queues(name) for name in interface_names()} | {ANY: 1}


def _interface(word: str) -> tuple[str, str]:
    """(name of the interface, number of its queue or "") of what Wireshark calls one. Raises UsageError, NicError.

    Asked a dozen times when Wireshark starts, so that the way of no error is a short one.
    """
    name, _, queue = word.removeprefix(PREFIX).partition(":")
    if not word.startswith(PREFIX):
        raise UsageError(f"--extcap-interface {word}: {PREFIX}IFACE is needed, or {PREFIX}IFACE:QUEUE")
    try:
        return (name if name == ANY else socket.if_indextoname(socket.if_nametoindex(name))), queue
    except OSError:
        from zcframe.framework.nic import Interface

        return Interface(name).name, queue


def _queue(name: str, queue: str) -> int:
    """The queue of this number. Raises UsageError."""
    count = 1 if name == ANY else _queues(name)
    if not queue.isdecimal() or int(queue) >= count or count == 1:
        has = f"its queues are 0 to {count - 1}" if count > 1 else "it has no queues that can be captured apart"
        raise UsageError(f"--extcap-interface {PREFIX}{name}:{queue}: there is no queue {queue!r} of {name}: {has}")
    return int(queue)


def _say(sentences: Iterable[str]) -> int:
    print("\n".join(sentences))
    return 0


def _check_filter(expression: str) -> int:
    """What is wrong with an expression goes to stdout: that is how Wireshark wants it."""
    from zcframe.framework.errors import FilterError
    from zcframe.framework.filters.libpcap import compile_expression

    try:
        compile_expression(expression, "the capture filter")
    except FilterError as error:
        print(error)
    return 0


# --- capture


def _config(options: argparse.Namespace) -> RunConfig:
    from zcframe.framework.config import load

    name, queue = _interface(options.extcap_interface)
    out = f"extcap:{options.fifo}"
    given: dict[str, Any] = {"iface": [name], "backend": getattr(options, "backend", "auto")}
    if queue:
        out += f",queue={_queue(name, queue)}"
        given["queues"] = str(_queues(name))
        if given["backend"] in ("auto", "packet"):
            given |= {"backend": "packet", "fanout": "qm"}
    if hasattr(options, "snaplen"):
        out += f",snaplen={options.snaplen}"
    for option in ("no_promiscuous", "verbose"):
        if hasattr(options, option):
            given[option] = True
    if expression := getattr(options, "extcap_capture_filter", ""):
        given["filter"] = expression
    return replace(load(given | {"out": [out]}), plugins=())


def _observer(options: argparse.Namespace) -> Notices:
    from zcframe.framework.show.notices import Notices
    from zcframe.framework.show.toolbar import Toolbar

    path = getattr(options, "extcap_control_out", "")
    try:
        return Toolbar(path, getattr(options, "extcap_control_in", "")) if path else Notices()
    except OSError as error:
        raise ZcframeError(f"--extcap-control-out {path}: {error.strerror}") from error


def _dismiss(path: str) -> None:
    """Let the FIFO's reader see an end: it would wait for the first byte as long as it lives."""
    deadline = time.monotonic() + READER_S
    while time.monotonic() < deadline:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
            return
        except OSError as error:
            if error.errno != errno.ENXIO:
                return
            time.sleep(READER_NAP_S)


def _capture(options: argparse.Namespace) -> int:
    """Capture until Wireshark has enough, or is gone."""
    from .run import carry_out

    # It makes the FIFO and reads it by another process, which may live on.
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    fifo = getattr(options, "fifo", "")
    if not fifo or not Path(fifo).is_fifo():
        raise UsageError(f"--capture: --fifo {fifo}: a FIFO is needed" if fifo else "--capture: --fifo is needed")
    try:
        return carry_out(_config(options), [_observer(options)])
    except ZcframeError:
        # Behind the words that are about to be said: Wireshark shows them only if it finds them then.
        atexit.register(_dismiss, fifo)
        raise


# --- installation


def _folder() -> Path:
    """Where this user's Wireshark looks for such programs. Raises ZcframeError."""
    try:
        told = subprocess.run(TSHARK, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise ZcframeError("no tshark says where Wireshark looks: name its folder behind --install") from None
    lines = (line.partition(":") for line in told.splitlines())
    found = {name.strip(): path.strip() for name, _, path in lines}
    if PERSONAL in found:
        return Path(found[PERSONAL])
    return Path(found[CONFIGURATION], OWN)


def install(folder: Path) -> Path:
    """Leave a program in the folder that calls this command; returns its path. Raises ZcframeError."""
    path = folder / NAME
    words = shlex.join((sys.executable, "-m", "zcframe", "extcap"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    except OSError as error:
        raise ZcframeError(f"--install: {path}: {error.strerror}") from error
    return path


def execute(options: argparse.Namespace) -> int:
    """Do what Wireshark asks for."""
    if hasattr(options, "install"):
        path = install(Path(options.install) if options.install else _folder())
        print(f"{path}: Wireshark and tshark list interfaces as {PREFIX}NAME from now on")
        return 0
    if hasattr(options, "extcap_interfaces"):
        return _say(interface_sentences(_interfaces()))
    if not hasattr(options, "extcap_interface"):
        raise UsageError("Wireshark calls this command: zcframe extcap --install has it do so")
    if hasattr(options, "capture"):
        return _capture(options)
    _interface(options.extcap_interface)
    if hasattr(options, "extcap_dlts"):
        return _say(link_type_sentences())
    if hasattr(options, "extcap_config"):
        return _say(option_sentences())
    if hasattr(options, "extcap_capture_filter"):
        return _check_filter(options.extcap_capture_filter)
    raise UsageError("--capture, --extcap-dlts, --extcap-config or --extcap-capture-filter is needed")
