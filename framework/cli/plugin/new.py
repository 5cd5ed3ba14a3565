"""`zcframe plugin new`: a plugin and its test, to be changed into what its author has in mind."""

from __future__ import annotations

import argparse
from pathlib import Path

from zcframe.framework.cli.parser import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the plugin, its file and its class: small letters, digits, _")
    parser.add_argument("--package", action="store_true", help="a package with an entry point instead of one file")
    add_options(parser, ["verbose"])


def execute(options: argparse.Namespace) -> int:
    """Write the files to the working directory, and print what to do with them. Raises UsageError."""
    from zcframe.framework.workbench.skeleton import write_skeleton

    package = "package" in options
    for path in write_skeleton(options.name, Path(), package=package):
        print(path)
    spec = f"{options.name}/src/{options.name}/__init__.py" if package else f"{options.name}.py"
    print(f"\npytest {options.name if package else f'test_{options.name}.py'}\nzcframe plugin check {spec}")
    return 0
