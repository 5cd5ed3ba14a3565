"""Debian's kernels, unpacked: an ELF that QEMU boots directly, and headers that build modules."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .packages import Apt, LabError, output
from .root import Root, prepare_root

META = "linux-headers-amd64"
OLDEST = (6, 1)
SCRIPTS = ("checkpatch.pl", "const_structs.checkpatch", "spelling.txt")
# The Debian release whose backports have newer kernels than the oldest release that the lab runs on, and what builds there.
NEXT = "trixie"
BUILDERS = ("make", "gcc", "libc6-dev", "kmod", "bc", "sparse")
DECOMPRESSORS = {b"\x28\xb5\x2f\xfd": ("zstd", "-dcq"), b"\xfd7zXZ\x00": ("xz", "-dcq")}


@dataclass(frozen=True)
class Kernel:
    """`series` "6.12"; `vmlinux` to boot; `headers` for KDIR.

    detectors: whether it looks for leaks, races and wrong accesses; patience: how many times longer things may take.
    """

    series: str
    release: str
    vmlinux: Path
    headers: Path
    detectors: bool = False
    patience: int = 1


def _series(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def newest_versions(apt: Apt) -> dict[str, str]:
    """Series -> version of the metapackage, newest first; the source package has the same."""
    newest: dict[str, str] = {}
    for version in apt.versions(META):
        if _series(version) >= OLDEST:
            newest.setdefault(".".join(map(str, _series(version))), version)
    return newest


def _cut_elf(vmlinuz: Path, vmlinux: Path) -> None:
    """The kernel inside the self-extracting image: QEMU boots it by its PVH note, a second faster."""
    image = vmlinuz.read_bytes()
    for magic, command in DECOMPRESSORS.items():
        start = image.find(magic)
        if start < 0:
            continue
        # What follows the payload is an error to the decompressor, after it wrote all of it.
        elf = subprocess.run(command, input=image[start:], capture_output=True).stdout
        if elf.startswith(b"\x7fELF"):
            vmlinux.write_bytes(elf)
            return
    raise LabError(f"{vmlinuz.name} is packed in a way that the lab does not know")


def _relocate(root: Path, headers: Path) -> None:
    """Make unpacked headers usable where they lie, and without BTF, for which pahole would be needed."""
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text().replace("include /usr/", f"include {root}/usr/"))
    (headers / "vmlinux").unlink(missing_ok=True)


def _unpack(apt: Apt, version: str, root: Path) -> None:
    headers = next(name for name in apt.depends(META, version) if name.startswith("linux-headers-"))
    exact = apt.versions(headers)[0]
    needed = [name for name in apt.depends(headers, exact) if re.match(r"linux-(headers|kbuild)-", name)]
    image = headers.replace("headers", "image")
    apt.unpack(root, f"{image}={exact}", headers, *needed)
    _relocate(root, root / "usr" / "src" / headers)
    _cut_elf(next((root / "boot").glob("vmlinuz-*")), root / "vmlinux")
    (root / "release").write_text(headers.removeprefix("linux-headers-"))


def _kernel(root: Path, series: str) -> Kernel:
    release = (root / "release").read_text()
    return Kernel(series, release, root / "vmlinux", root / "usr" / "src" / f"linux-headers-{release}")


def unpacked_kernels(cache: Path) -> list[Kernel]:
    """What earlier runs unpacked: the newest of each series, oldest series first."""
    roots = sorted((path.parent for path in cache.glob("kernels/*/release")), key=_numbers)
    newest = {".".join(map(str, _series(root.name))): root for root in roots}
    return [_kernel(root, series) for series, root in newest.items()]


def _numbers(root: Path) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", root.name)]


def prepare_kernels(apt: Apt, cache: Path) -> dict[str, Kernel]:
    """Series -> kernel, each series of this Debian release and its backports from 6.1 on."""
    kernels = {}
    for series, version in newest_versions(apt).items():
        root = cache / "kernels" / version.replace("~", "-")
        if not (root / "release").exists():
            root.mkdir(parents=True, exist_ok=True)
            _unpack(apt, version, root)
        kernels[series] = _kernel(root, series)
    return kernels


@dataclass(frozen=True)
class NewerHeaders:
    """Headers of a kernel that this machine's release does not have: `path` inside of `root`."""

    root: Root
    path: Path


def prepare_newer_headers(apt: Apt, cache: Path) -> NewerHeaders | None:
    """Headers of the newest kernel in NEXT's backports; None where this machine has them itself. Raises LabError."""
    if apt.codename == NEXT:
        return None
    root = prepare_root(apt, cache, NEXT, "ca-certificates")
    if newer_headers(cache) is None:
        root.need(*BUILDERS)
        suites = "".join(f"deb {apt.archive} {suite} main\n" for suite in (NEXT, f"{NEXT}-backports"))
        (root.path / "etc/apt/sources.list").write_text(suites)
        root.install(META, suite=f"{NEXT}-backports")
    return newer_headers(cache)


def newer_headers(cache: Path) -> NewerHeaders | None:
    """What an earlier run prepared, if one did."""
    root = Root(cache / "roots" / NEXT)
    found = sorted(root.path.glob("usr/src/linux-headers-*-amd64/Module.symvers"), key=_numbers)
    return NewerHeaders(root, Path("/usr/src") / found[-1].parent.name) if found else None


def unpack_scripts(apt: Apt, series: str, folder: Path) -> None:
    """Put the scripts that no package of headers has into `folder`, once, out of the kernel's source."""
    if folder.exists():
        return
    package = f"linux-source-{series}"
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    apt.unpack(partial / "deb", package)
    archive = next((partial / "deb").rglob("*.tar.xz"))
    members = [f"{package}/scripts/{name}" for name in SCRIPTS]
    output("tar", "-xJf", archive, "-C", partial, "--strip-components=2", *members)
    shutil.rmtree(partial / "deb")
    partial.rename(folder)
