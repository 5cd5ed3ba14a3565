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
BUILDERS = ("ca-certificates", "make", "gcc", "libc6-dev", "kmod", "bc", "sparse")
# Names the release in whose root modules for a kernel are built; in the kernel's folder.
BUILDER = "builder"
# Where packages have the kernel: until, and from 7.0 on.
IMAGES = ("boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz")
DECOMPRESSORS = {b"\x28\xb5\x2f\xfd": ("zstd", "-dcq"), b"\xfd7zXZ\x00": ("xz", "-dcq")}


@dataclass(frozen=True)
class Headers:
    """`path` for KDIR; root: the Debian release whose tools build there, where this machine's cannot."""

    path: Path
    root: Root | None = None


@dataclass(frozen=True)
class Kernel:
    """`series` "6.12"; `vmlinux` to boot; `headers` to build for.

    detectors: whether it looks for leaks, races and wrong accesses; patience: how many times longer things may take.
    """

    series: str
    release: str
    vmlinux: Path
    headers: Headers
    detectors: bool = False
    patience: int = 1


def series_of(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def newest_versions(apt: Apt) -> dict[str, str]:
    """Series -> version of the metapackage, newest first; the source package has the same."""
    newest: dict[str, str] = {}
    for version in apt.versions(META):
        if series_of(version) >= OLDEST:
            newest.setdefault(".".join(map(str, series_of(version))), version)
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
    makefile.write_text(makefile.read_text().replace("/usr/src/", f"{root}/usr/src/"))
    (headers / "vmlinux").unlink(missing_ok=True)


def _headers(apt: Apt, version: str) -> tuple[str, str]:
    """(name, version) of the package of headers."""
    name = next(name for name in apt.depends(META, version) if name.startswith("linux-headers-"))
    return name, apt.versions(name)[0]


def _builders(apt: Apt, version: str) -> list[str]:
    """Packages that build modules: those that the headers and their tools need, and ours."""
    headers, exact = _headers(apt, version)
    needed = apt.depends(headers, exact)
    tools = next(name for name in needed if name.startswith("linux-kbuild-"))
    return [*BUILDERS, *(name for name in needed + apt.depends(tools, exact) if not name.startswith("linux-"))]


def _unpack(apt: Apt, version: str, root: Path) -> None:
    headers, exact = _headers(apt, version)
    image = headers.replace("headers", "image")
    # From 7.0 on an image has its kernel and its modules in packages of their own.
    needed = [
        name
        for package in (headers, image)
        for name in apt.depends(package, exact)
        if re.match(r"linux-(headers|kbuild|base|binary|modules)-", name)
    ]
    apt.unpack(root, f"{image}={exact}", headers, *needed)
    _relocate(root, root / "usr" / "src" / headers)
    _cut_elf(next(path for pattern in IMAGES for path in root.glob(pattern)), root / "vmlinux")
    (root / "release").write_text(headers.removeprefix("linux-headers-"))


def _kernel(root: Path, series: str) -> Kernel:
    release = (root / "release").read_text()
    builder = root / BUILDER
    tools = Root(root.parents[1] / "roots" / builder.read_text()) if builder.exists() else None
    headers = Headers(root / "usr" / "src" / f"linux-headers-{release}", tools)
    return Kernel(series, release, root / "vmlinux", headers)


def unpacked_kernels(cache: Path) -> list[Kernel]:
    """What earlier runs unpacked: the newest of each series, oldest series first."""
    roots = sorted((path.parent for path in cache.glob("kernels/*/release")), key=_numbers)
    newest = {".".join(map(str, series_of(root.name))): root for root in roots}
    return [_kernel(root, series) for series, root in newest.items()]


def _numbers(root: Path) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", root.name)]


def _prepare_kernel(apt: Apt, cache: Path, version: str) -> Path:
    """The folder of a kernel, unpacked if it was not."""
    root = cache / "kernels" / version.replace("~", "-")
    if not (root / "release").exists():
        root.mkdir(parents=True, exist_ok=True)
        if apt.other:
            (root / BUILDER).write_text(apt.other)
        _unpack(apt, version, root)
    return root


def prepare_kernels(apt: Apt, cache: Path) -> dict[str, Kernel]:
    """Series -> kernel, each series of this Debian release and its backports from 6.1 on, newest first."""
    versions = newest_versions(apt)
    return {series: _kernel(_prepare_kernel(apt, cache, version), series) for series, version in versions.items()}


def prepare_next_kernel(apt: Apt, cache: Path) -> dict[str, Kernel]:
    """Series -> the newest kernel in NEXT's backports; empty where those are this machine's own. Raises LabError."""
    if apt.codename == NEXT:
        return {}
    other = Apt(cache, NEXT)
    other.prepare()
    series, version = next(iter(newest_versions(other).items()))
    prepare_root(apt, cache, NEXT).need(*_builders(other, version))
    return {series: _kernel(_prepare_kernel(other, cache, version), series)}


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
