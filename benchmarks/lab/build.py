"""The counter that QEMU loads, the host's source of frames, and the contenders for the guest."""

from __future__ import annotations

import re
from pathlib import Path

from tests.lab.build import CFLAGS, INCLUDES
from tests.lab.packages import output

HERE = Path(__file__).parent
PLUGIN = ("-shared", "-fPIC", "-fvisibility=hidden", "-pthread")
# Debian's static libpcap lacks libraries that it needs: the guest has the shared ones, beside the program.
LIBPCAP = ("-lpcap", "-Wl,-rpath,/bin,--disable-new-dtags")


def _compile(source: Path, target: Path, *flags: str) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    output("gcc", *CFLAGS, *INCLUDES, source, "-o", target, *flags)
    return target


def build_host(cache: Path) -> dict[str, Path]:
    """ "count": the plugin; "offer": the source of frames. Raises LabError where one does not compile."""
    out = cache / "bench"
    return {
        "count": _compile(HERE / "host" / "count.c", out / "count.so", *PLUGIN),
        "offer": _compile(HERE / "host" / "offer.c", out / "offer"),
    }


def _libraries(program: Path) -> list[Path]:
    return [Path(path) for path in re.findall(r"=> (/\S+) \(0x", output("ldd", program))]


def build_guest(cache: Path) -> list[Path]:
    """Every contender, with what its libraries are. Raises LabError where one does not compile."""
    files = []
    for source in sorted((HERE / "guest").glob("*.c")):
        flags = LIBPCAP if source.stem == "pcap" else ("-static",)
        program = _compile(source, cache / "bench" / "guest" / source.stem, *flags)
        files += [program, *(_libraries(program) if flags == LIBPCAP else [])]
    return files
