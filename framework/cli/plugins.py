"""`zcframe plugins`: what is installed, with parameters and docs."""

from __future__ import annotations

import argparse

from .parser import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, ["verbose"])


def execute(options: argparse.Namespace) -> int:
    """Print every plugin of the entry point group zcframe.plugins."""
    from zcframe.framework.chain.catalog import installed
    from zcframe.framework.show.catalog import plugin_doc_lines

    blocks = ["\n".join(plugin_doc_lines(info)) for info in installed()]
    print("\n\n".join(blocks) or "no plugin is installed: pip install -e . installs those of zcframe")
    return 0
