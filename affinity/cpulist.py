"""Lists and masks of CPUs in the kernel's notation: "0-3,8", "00000000,0000010f"."""

from __future__ import annotations

from collections.abc import Iterable

from zcframe.framework.errors import UsageError

# The largest NR_CPUS that a kernel is built with.
MAX_CPUS = 8192


def _number(text: str, whole: str, source: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"{source} {whole}: {text!r} is not a CPU number; write a list such as 0-3,8")
    if len(text) > 9 or int(text) >= MAX_CPUS:
        raise UsageError(f"{source} {whole}: CPU {text} cannot exist; the highest number is {MAX_CPUS - 1}")
    return int(text)


def _range(part: str, whole: str, source: str) -> range:
    first, dash, last = part.strip().partition("-")
    low = _number(first, whole, source)
    high = _number(last, whole, source) if dash else low
    if high < low:
        raise UsageError(f"{source} {whole}: the range {part.strip()} runs backwards; write {high}-{low}")
    return range(low, high + 1)


def parse_cpu_list(text: str, source: str = "--cpus") -> tuple[int, ...]:
    """CPU numbers of a list such as "0-3,8", in the order given; () for an empty one.

    source: what to name in a message. Raises UsageError for anything that is not a list, or names a CPU twice.
    """
    whole = text.strip()
    cpus: list[int] = []
    for part in whole.split(",") if whole else []:
        for cpu in _range(part, whole, source):
            if cpu in cpus:
                raise UsageError(f"{source} {whole}: CPU {cpu} is named twice; name each one once")
            cpus.append(cpu)
    return tuple(cpus)


def format_cpu_list(cpus: Iterable[int]) -> str:
    """The shortest list that names these CPUs, ascending: (8, 0, 1, 2) is "0-2,8"; "none" where there are none."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(f"{low}-{high}" if high > low else f"{low}" for low, high in runs) or "none"


def format_cpu_mask(cpus: Iterable[int], like: str) -> str:
    """The mask of these CPUs, as wide as the kernel wrote `like`: ((0, 9), "00,00000000") is "00,00000201"."""
    width = len(like.replace(",", ""))
    digits = f"{sum(1 << cpu for cpu in set(cpus)):0{width}x}"
    groups = [digits[max(0, end - 8) : end] for end in range(len(digits), 0, -8)]
    return ",".join(reversed(groups))
