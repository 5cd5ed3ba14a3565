"""Modules for each kernel, static programs for the guest, programs for the host."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .kernels import Kernel
from .packages import LabError, output

HERE = Path(__file__).parent
KERNEL = HERE.parents[1] / "kernel"
INCLUDES = ("-I", str(KERNEL / "include"), "-I", str(KERNEL / "include" / "uapi"), "-I", str(HERE / "guest"))
CFLAGS = ("-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror")


def build_modules(kernel: Kernel, cache: Path, source: Path = KERNEL) -> list[Path]:
    """Both modules of a source tree, built beside it; a warning is an error."""
    out = cache / ("modules" if source == KERNEL else "broken") / kernel.release
    command = ["make", "-C", str(source), f"KDIR={kernel.headers}", f"OUT={out}", "-j", str(os.cpu_count())]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode or "warning:" in done.stdout:
        raise LabError(f"the modules do not build cleanly on {kernel.release}:\n{done.stdout[-4000:]}")
    modules = [out / "pf_zerocopy.ko", out / "zc82576.ko"]
    for module in modules:
        output("strip", "--strip-debug", module)
    return modules


def break_modules(kernel: Kernel, cache: Path, breaks: Mapping[str, tuple[str, str]]) -> list[Path]:
    """Modules in whose source `breaks` (file -> text, and what stands there instead) was done: what a scenario has to notice."""
    tree = cache / "broken-source"
    # Copies keep their dates: objects of an earlier breakage would pass for built from these.
    shutil.rmtree(cache / "broken", ignore_errors=True)
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(KERNEL, tree)
    for file, (sound, broken) in breaks.items():
        text = (tree / file).read_text()
        if text.count(sound) != 1:
            raise LabError(f"{file} has {text.count(sound)} times {sound!r}")
        (tree / file).write_text(text.replace(sound, broken))
    return build_modules(kernel, cache, tree)


def _compile(source: Path, out: Path, *flags: str) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    program = out / source.stem
    output("gcc", *CFLAGS, *INCLUDES, source, "-o", program, *flags)
    return program


def build_guest_programs(cache: Path) -> list[Path]:
    return [_compile(source, cache / "guest", "-static", "-pthread") for source in sorted((HERE / "guest").glob("*.c"))]


def build_host_programs(cache: Path) -> dict[str, Path]:
    sources = sorted((HERE / "host").glob("*.c"))
    return {source.stem: _compile(source, cache / "host", "-pthread") for source in sources}
