"""The program on the interface and its map of sockets: from here on frames go to workers, or pass."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import platform
import time
from typing import Final, Literal

from zcframe.framework.capabilities import STATUS, advice
from zcframe.framework.errors import XdpError
from zcframe.framework.nic import link_state
from zcframe.framework.ring import Undo
from zcframe.framework.sources.ebpf.bpf import (
    MODE_GENERIC,
    MODE_NATIVE,
    attach,
    load_program,
    make_xskmap,
    put_socket,
    take_socket,
)

from .btf import function_ids
from .metadata import CLOCK, FUNCTIONS
from .occupant import occupant_of
from .program import redirect_program
from .refusal import name_of, patiently, refused_natively
from .share import Share

Mode = Literal["native", "generic"]

MEMBARRIER: Final = {"x86_64": 324, "aarch64": 283, "riscv64": 283, "ppc64le": 365, "s390x": 356}
MEMBARRIER_GLOBAL: Final = 1
# Seconds to wait where the kernel offers no barrier: longer than one poll of a driver.
SETTLE_S: Final = 0.1


def await_drivers() -> None:
    """Return when every driver has finished the poll that it is in: a grace period of RCU, which membarrier() is."""
    number = MEMBARRIER.get(platform.machine())
    if number is None or ctypes.CDLL(None).syscall(number, MEMBARRIER_GLOBAL, 0, 0):
        time.sleep(SETTLE_S)


class Steering:
    """Our program on an interface, its map empty: all frames pass. `mode` tells how the driver runs it.

    wanted: bits to ask the driver for (TIME, HASH, VLAN), and CLOCK; `reported`: those that records may have.

    The program goes with the last process that has its link open. Raises XdpError.
    """

    def __init__(self, share: Share, ifindex: int, wanted: int = 0) -> None:
        self._share = share
        try:
            with Undo() as self._undo:
                self._map = self._undo.fd(make_xskmap(share.workers))
                self.reported = self._attach_bound(ifindex, wanted)
                self.mode, self.reason = self._attach(ifindex, wanted & CLOCK)
                self._undo = self._undo.pop_all()
        except OSError as error:
            raise XdpError(_refusal(share.ifname, ifindex, error)) from error

    def _attach_bound(self, ifindex: int, wanted: int) -> int:
        """Attach a program that is bound to the driver and may ask it; returns the bits that it asks for.

        0: such a program cannot be attached, for any reason, and none is.
        """
        clock = wanted & CLOCK
        ids = function_ids([name for what, name in FUNCTIONS.items() if wanted & what])
        functions = {what: ids[name] for what, name in FUNCTIONS.items() if name in ids}
        if not functions:
            return 0
        try:
            program = self._undo.fd(
                load_program(redirect_program(self._share, self._map, functions, clock=bool(clock)), ifindex)
            )
            self._undo.fd(patiently(lambda: attach(program, ifindex, MODE_NATIVE)))
        except OSError:
            return 0
        return sum(functions) | clock

    def _attach_stamping(self, ifindex: int) -> bool:
        """Attach in the driver a program that asks it nothing, and notes the time; whether that worked."""
        try:
            program = self._undo.fd(load_program(redirect_program(self._share, self._map, clock=True)))
            self._undo.fd(patiently(lambda: attach(program, ifindex, MODE_NATIVE)))
        except OSError:
            return False
        return True

    def _attach(self, ifindex: int, clock: int) -> tuple[Mode, str]:
        """Attach in the driver, else in front of the stack. Returns the mode, and the reason why it is generic."""
        if self.reported:
            return "native", ""
        if clock and self._attach_stamping(ifindex):
            self.reported = clock
            return "native", ""
        program = self._undo.fd(load_program(redirect_program(self._share, self._map)))
        try:
            self._undo.fd(patiently(lambda: attach(program, ifindex, MODE_NATIVE)))
            return "native", ""
        except OSError as error:
            # A reason against every mode is raised by this one again.
            self._undo.fd(patiently(lambda: attach(program, ifindex, MODE_GENERIC)))
            state = link_state(ifindex)
            return "generic", refused_natively(error.errno or 0, state.mtu if state else 0)

    def send_to(self, worker: int, fd: int) -> None:
        """Have this worker's frames go to its socket."""
        put_socket(self._map, worker, fd)

    def let_pass(self) -> None:
        """Have all frames go to the stack again; when it returns, no socket gets another one."""
        for worker in range(self._share.workers):
            with contextlib.suppress(OSError):
                take_socket(self._map, worker)
        await_drivers()

    def close(self) -> None:
        """Take the program away; may be called again."""
        self._undo.close()


def _taken(ifname: str, ifindex: int) -> str:
    """The line for an interface that has a program already, which is somebody else's."""
    found = occupant_of(ifname, ifindex)
    if found is None:
        return f"{ifname} had an XDP program until now: try again, or use --backend packet"
    return (
        f"{ifname} has an XDP program already, number {found}: take it away by {found.remedy}, or use --backend packet"
    )


def _refusal(ifname: str, ifindex: int, error: OSError) -> str:
    number = error.errno or 0
    if number in (errno.EBUSY, errno.EEXIST):
        return _taken(ifname, ifindex)
    reasons = {
        errno.EPERM: f"no permission to put an XDP program on {ifname}: {advice(STATUS.read_text(), 'xdp')}",
        errno.ENODEV: f"there is no interface {ifname}",
        errno.ENOSYS: "this kernel has no bpf(): use --backend packet",
    }
    return reasons.get(number, f"{ifname} takes no XDP program: {name_of(number)}; use --backend packet")
