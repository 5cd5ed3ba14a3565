"""Everything zcframe raises on purpose.

    ZcframeError                 exit 1: a run-time failure, one line for the operator
    ├── UsageError               exit 2: a wrong option, name or value
    │   ├── PluginSpecError      --plugin names something that is not there, or a wrong parameter
    │   ├── DeclarationError     a class that is no plugin, or what it declares; a TypeError, too
    │   └── FilterError          a tcpdump expression that libpcap does not take
    ├── LibpcapError             there is no libpcap, which compiles such expressions
    ├── CaptureFileError         a capture file that is not a capture, or damaged
    │   └── CaptureOpenError     one that is not there, must not be read, or is no file
    ├── LinkTypeError            a capture of link types from which no IP is read
    ├── RingError                a ring or User Buffer that cannot be made or does not fit the ABI
    ├── CacheError               the private cache directory is unusable
    ├── SetupError               a copy of the interpreter that is not safe to make, or does not work
    ├── PluginCompileError       a plugin that numba cannot compile
    ├── OutputError              an output that cannot be opened, or that fails
    ├── PluginStuckError         a plugin that did not return within the deadline
    ├── CrashLoopError           workers that die again and again
    ├── SourceDiedError          the process that feeds the rings died
    ├── ProcessError             a process that the system refuses
    ├── NicError                 an interface that is not there, or does not do what was asked for
    │   └── UnsupportedError     a driver that has no such verb
    ├── PacketError              AF_PACKET is not there, or refuses
    ├── XdpError                 AF_XDP is not there, or refuses, or must not be used here
    └── ZerocopyError            PF_ZEROCOPY is not there, or refuses

    JournalFullError             a RuntimeError of compiled code, counted as a fault of the plugin

Every message says what, where and what to do about it. They are caught in cli, in the supervisor's reaping and around a
plugin's call, nowhere else.
"""

from __future__ import annotations

import errno
from typing import Final

REMEDIES: Final = {
    errno.EAGAIN: "more processes are needed: raise pids.max of the cgroup, TasksMax of the service, or ulimit -u",
    errno.ENOMEM: "more memory is needed: end other programs, use fewer --queues, or raise the limit of the cgroup",
    errno.EMFILE: "more file descriptors are needed: raise ulimit -n",
    errno.ENFILE: "more file descriptors are needed: raise sysctl fs.file-max",
}


class ZcframeError(Exception):
    """Base of all; `exit_code` is what the command ends with, `details` is shown only with -v."""

    exit_code = 1

    def __init__(self, message: str, *, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class UsageError(ZcframeError):
    exit_code = 2


class PluginSpecError(UsageError):
    pass


class FilterError(UsageError):
    pass


class DeclarationError(UsageError, TypeError):
    pass


class LibpcapError(ZcframeError):
    pass


class CaptureFileError(ZcframeError):
    pass


class CaptureOpenError(CaptureFileError):
    pass


class LinkTypeError(ZcframeError):
    pass


class RingError(ZcframeError):
    pass


class CacheError(ZcframeError):
    pass


class SetupError(ZcframeError):
    pass


class PluginCompileError(ZcframeError):
    pass


class OutputError(ZcframeError):
    pass


class PluginStuckError(ZcframeError):
    pass


class CrashLoopError(ZcframeError):
    pass


class SourceDiedError(ZcframeError):
    pass


class ProcessError(ZcframeError):
    pass


class NicError(ZcframeError):
    pass


class UnsupportedError(NicError):
    pass


class PacketError(ZcframeError):
    pass


class XdpError(ZcframeError):
    pass


class ZerocopyError(ZcframeError):
    pass


class JournalFullError(RuntimeError):
    pass


def refusal(error: OSError | MemoryError) -> str:
    """What the system refused, with its name, and what to do about it."""
    if isinstance(error, MemoryError):
        return f"ENOMEM, {str(error) or 'out of memory'}; {REMEDIES[errno.ENOMEM]}"
    number = error.errno or 0
    remedy = REMEDIES.get(number, "")
    text = f"{errno.errorcode.get(number, 'error')}, {error.strerror or error}"
    text += f": {error.filename}" if error.filename else ""
    return f"{text}; {remedy}" if remedy else text
