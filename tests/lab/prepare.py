"""Everything that has to be there before the first guest boots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .bench import Bench
from .build import build_guest_programs, build_host_programs, build_modules
from .debug import prepare_debug_kernel
from .guest import pack_base
from .interpreter import pack_interpreter
from .kernels import NEXT as NEXT_RELEASE
from .kernels import Kernel, prepare_kernels, prepare_next_kernel
from .packages import Apt, LabError, cache_folder, checkout_folder, locked, prepare_packages


@dataclass(frozen=True)
class Lab:
    """Kernels by series, newest first, and the host's programs. lacking: why the next release's kernel is not there."""

    cache: Path
    kernels: dict[str, Kernel]
    host: dict[str, Path]
    interpreter: Path | None
    lacking: str = ""

    def benches(self) -> Iterator[Bench]:
        """One a kernel, with its modules built. Raises LabError where they do not build cleanly."""
        for kernel in self.kernels.values():
            yield self.bench(kernel)

    def bench(self, kernel: Kernel) -> Bench:
        with locked(self.cache):
            return Bench(kernel, self.cache, build_modules(kernel, self.cache), self.host, self.interpreter)


def prepare(series: Sequence[str] | None = None, *, debug: bool = False) -> Lab:
    """Fetch, unpack and build what is not there yet; only these kernels, if any are named. Raises LabError.

    debug: the debug kernel in their stead.
    """
    cache = cache_folder()
    with locked(cache):
        return _prepare(cache, series, debug=debug)


def _prepare(cache: Path, series: Sequence[str] | None, *, debug: bool) -> Lab:
    apt = prepare_packages(cache)
    kernels, lacking = (
        ({"debug": prepare_debug_kernel(apt, cache)}, "") if debug else _prepare_kernels(apt, cache, series)
    )
    if not (cache / "busybox").exists():
        apt.unpack(cache / "busybox", "busybox-static")
    build_guest_programs(cache)
    pack_base(cache, next((cache / "busybox").rglob("bin/busybox")))
    wanted = {name: kernel for name, kernel in kernels.items() if not series or name in series}
    interpreter = None if debug else pack_interpreter(checkout_folder(cache))
    return Lab(cache, wanted, build_host_programs(cache), interpreter, lacking)


def _prepare_kernels(apt: Apt, cache: Path, series: Sequence[str] | None) -> tuple[dict[str, Kernel], str]:
    """(kernels, why the next release's is not among them); it is not fetched where only others are asked for."""
    own = prepare_kernels(apt, cache)
    if series and set(series) <= set(own):
        return own, ""
    try:
        return prepare_next_kernel(apt, cache) | own, ""
    except LabError as error:
        return own, f"no kernel of {NEXT_RELEASE}'s backports: {error}"
