"""`zcframe plugins`: what is installed, with parameters and docs."""

from __future__ import annotations

import argparse
from typing import Any

from .parser import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, ["verbose"])


def _indented(text: str, by: int) -> list[str]:
    return [f"{'':{by}}{line}".rstrip() for line in text.splitlines()]


def _describe(info: Any) -> list[str]:
    lines = [f"{info.name}  ({info.origin})", *_indented(info.doc, 4)]
    for param in info.params:
        lines.append(f"      ?{param.name}={param.default}")
        lines += _indented(param.doc, 10)
    return lines


def execute(options: argparse.Namespace) -> int:
    """Print every plugin of the entry point group zcframe.plugins."""
    from zcframe.framework.chain.catalog import installed

    blocks = ["\n".join(_describe(info)) for info in installed()]
    print("\n\n".join(blocks) or "no plugin is installed: pip install -e . installs those of zcframe")
    return 0
