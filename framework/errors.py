"""Everything zcframe raises on purpose.

    ZcframeError                 exit 1: a run-time failure, one line for the operator
    ├── UsageError               exit 2: a wrong option, name or value
    │   └── PluginSpecError      --plugin names something that is not there, or a wrong parameter
    ├── CaptureFileError         a capture file that is missing, not a capture, or damaged
    ├── LinkTypeError            a capture whose link type has no Ethernet meaning
    ├── RingError                a ring or User Buffer that cannot be made or does not fit the ABI
    ├── CacheError               the private cache directory is unusable
    ├── SetupError               a copy of the interpreter that is not safe to make, or does not work
    ├── PluginCompileError       a plugin that numba cannot compile
    ├── PluginStuckError         a plugin that did not return within the deadline
    ├── CrashLoopError           workers that die again and again
    ├── SourceDiedError          the process that feeds the rings died
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


class CaptureFileError(ZcframeError):
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


class PluginStuckError(ZcframeError):
    pass


class CrashLoopError(ZcframeError):
    pass


class SourceDiedError(ZcframeError):
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
