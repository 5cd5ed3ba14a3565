"""Modules for each kernel, static programs for the guest, programs for the host."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .kernels import Headers, Kernel
from .packages import LabError, checkout_folder, output

HERE = Path(__file__).parent
KERNEL = HERE.parents[1] / "kernel"
INCLUDES = ("-I", str(KERNEL / "include"), "-I", str(KERNEL / "include" / "uapi"), "-I", str(HERE / "guest"))
CFLAGS = ("-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror")


# Of the compiler that built the kernel, which need not be the one that is here.
HARMLESS = "the compiler differs"


def complaints(text: str) -> str:
    """Lines in which the compiler, sparse, modpost or make complains."""
    told = r"\b(warning|error):|\*\*\*|is not available or not up to date"
    rows = [row for row in text.splitlines() if re.search(told, row, re.IGNORECASE)]
    return "\n".join(row for row in rows if HARMLESS not in row)


def make_modules(headers: Headers, out: Path, source: Path = KERNEL, *flags: str) -> None:
    """Both modules of a source tree, built in `out`, with `flags` for make. Raises LabError with any complaint."""
    # What is warned of is not made, even where the build is interrupted: it would not be warned of again.
    flags = (f"-j{os.cpu_count()}", *flags, "KCFLAGS=-Werror")
    command = _make(headers, out, source, flags)
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    found = complaints(done.stdout)
    if done.returncode or found:
        # Nor what modpost complains of.
        shutil.rmtree(out, ignore_errors=True)
        raise LabError(f"{headers.path.name}\n{found or done.stdout[-4000:]}")


def _make(headers: Headers, out: Path, source: Path, flags: Sequence[str]) -> list[str]:
    """The command line of a build; in a root every path is the one that it has here."""
    command = ["make", "-C", str(source), f"KDIR={headers.path}", f"OUT={out}", *flags]
    if headers.root is None:
        return command
    out.mkdir(parents=True, exist_ok=True)
    # What the package of the headers names beside them lies with them, below one folder.
    package = headers.path.parents[2]
    return headers.root.command(*command, mounts={folder: str(folder) for folder in (package, source, out)})


def modules_folder(headers: Headers, cache: Path) -> Path:
    """Where the modules of our tree are built for a kernel, for the guests as for the static checks."""
    return checkout_folder(cache) / "modules" / headers.path.name


def build_modules(kernel: Kernel, cache: Path) -> list[Path]:
    """Both modules for the guest."""
    out = modules_folder(kernel.headers, cache)
    make_modules(kernel.headers, out)
    return _strip_all(out)


def _strip_all(out: Path) -> list[Path]:
    return [_strip(out / name, out / "stripped") for name in ("pf_zerocopy.ko", "zc82576.ko")]


def _strip(module: Path, folder: Path) -> Path:
    """A copy without debugging information; one that another process reads is replaced as a whole."""
    folder.mkdir(exist_ok=True)
    fresh, stripped = folder / f"{module.name}.new", folder / module.name
    output("strip", "--strip-debug", "-o", fresh, module)
    return fresh.replace(stripped)


def break_modules(kernel: Kernel, cache: Path, breaks: Mapping[str, tuple[str, str]]) -> list[Path]:
    """Modules in whose source `breaks` (file -> text, and what stands there instead) was done: what a scenario has to notice."""
    own = checkout_folder(cache)
    tree, out = own / "broken-source" / kernel.release, own / "broken" / kernel.release
    # Copies keep their dates: objects of an earlier breakage would pass for built from these.
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(KERNEL, tree)
    for file, (sound, broken) in breaks.items():
        text = (tree / file).read_text()
        if text.count(sound) != 1:
            raise LabError(f"{file} has {text.count(sound)} times {sound!r}")
        (tree / file).write_text(text.replace(sound, broken))
    make_modules(kernel.headers, out, tree)
    return _strip_all(out)


def _compile(source: Path, out: Path, *flags: str) -> Path:
    """Unless it is newer than all that it may be made of."""
    out.mkdir(parents=True, exist_ok=True)
    program, fresh = out / source.stem, out.with_name(f"{source.stem}.new")
    made_of = (
        source,
        Path(__file__),
        *(KERNEL / "include").rglob("*.h"),
        *source.parent.glob("*.h"),
        *HERE.rglob("*.h"),
    )
    if not program.exists() or program.stat().st_mtime < max(file.stat().st_mtime for file in made_of):
        output("gcc", *CFLAGS, *INCLUDES, source, "-o", fresh, *flags)
        fresh.replace(program)
    return program


def build_guest_programs(cache: Path) -> list[Path]:
    return [
        _compile(source, checkout_folder(cache) / "guest", "-static", "-pthread")
        for source in sorted((HERE / "guest").glob("*.c"))
    ]


def build_host_programs(cache: Path) -> dict[str, Path]:
    sources = sorted((HERE / "host").glob("*.c"))
    return {source.stem: _compile(source, checkout_folder(cache) / "host", "-pthread") for source in sources}
