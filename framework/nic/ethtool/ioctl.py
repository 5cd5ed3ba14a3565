"""The ioctl SIOCETHTOOL: pyroute2 makes it where it knows the verb; RSS key, table and hash fields are packed here."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from zcframe.framework.abi import IFNAME_SIZE
from zcframe.framework.errors import NicError, UnsupportedError

SIOCETHTOOL: Final = 0x8946


def _refusal(number: int, ifname: str, verb: str) -> NicError:
    if number == errno.EOPNOTSUPP:
        return UnsupportedError(f"the driver of {ifname} cannot {verb}")
    reasons = {
        errno.EPERM: f"{ifname}: no permission to {verb}: run as root, or with CAP_NET_ADMIN",
        errno.ENODEV: f"there is no interface {ifname}",
        errno.EINVAL: f"the driver of {ifname} refuses to {verb} to this",
    }
    return NicError(reasons.get(number, f"{ifname}: cannot {verb}: {os.strerror(number)}"))


def _encoded(ifname: str) -> bytes:
    name = ifname.encode()
    if not 0 < len(name) < IFNAME_SIZE:
        raise NicError(f"{ifname!r} is no name of an interface: 1 to {IFNAME_SIZE - 1} bytes")
    return name


def ethtool(ifname: str, request: bytes, verb: str) -> bytes:
    """The driver's answer to a request, which has room for it. Raises NicError: the driver cannot `verb`."""
    name = _encoded(ifname)
    buffer = ctypes.create_string_buffer(request, len(request))
    ifreq = struct.pack(f"{IFNAME_SIZE}sP16x", name, ctypes.addressof(buffer))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            fcntl.ioctl(any_socket, SIOCETHTOOL, ifreq)
        except OSError as error:
            raise _refusal(error.errno or 0, ifname, verb) from error
    return buffer.raw


@contextmanager
def controls(ifname: str, verb: str) -> Iterator[Any]:
    """pyroute2's IoctlEthtool for an interface. A failure inside is raised as NicError: the driver cannot `verb`."""
    from pyroute2.ethtool.ioctl import IoctlEthtool, NoSuchDevice, NotSupportedError

    _encoded(ifname)
    nic = IoctlEthtool(ifname)
    try:
        yield nic
    except NotSupportedError as error:
        raise _refusal(errno.EOPNOTSUPP, ifname, verb) from error
    except NoSuchDevice as error:
        raise _refusal(errno.ENODEV, ifname, verb) from error
    except OSError as error:
        raise _refusal(error.errno or 0, ifname, verb) from error
    finally:
        nic.close()
