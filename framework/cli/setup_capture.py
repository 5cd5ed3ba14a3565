"""`zcframe setup-capture`: lets the members of a group capture without being root."""

from __future__ import annotations

import argparse
import grp
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from zcframe.framework.capabilities import NEEDED
from zcframe.framework.errors import SetupError

from .parser import add_options

if TYPE_CHECKING:
    from zcframe.framework.interpreter import Copy

GROUP = "zcframe"
FOLDER = "/usr/local/lib/zcframe"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Makes a copy of the Python interpreter, owned by root, that only the group can run and that alone has the"
        " capabilities. Every member can run any Python program by it: docs/live.md says what that means."
    )
    parser.add_argument("--group", metavar="GROUP", help=f"who is to capture; it must exist (default {GROUP})")
    parser.add_argument("--backend", choices=list(NEEDED), help="what is to be captured by (default packet)")
    parser.add_argument("--dir", metavar="DIR", help=f"where the copy is to lie (default {FOLDER})")
    parser.add_argument("--check", action="store_true", help="say what would be done; nothing is changed")
    parser.add_argument("--undo", action="store_true", help="remove what the command made")
    add_options(parser, ["verbose"])


def _gid(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise SetupError(
            f"there is no group {group}: groupadd --system {group} makes one, usermod -aG {group} USER adds a user to"
            " it; or name another by --group"
        ) from None


def _wanted(options: argparse.Namespace) -> Copy:
    """The copy that the options describe. Raises SetupError."""
    from zcframe.framework.interpreter import Copy, Installation

    group = getattr(options, "group", GROUP)
    names = NEEDED[getattr(options, "backend", "packet")]
    gid = -1 if "undo" in options else _gid(group)
    folder = Path(os.path.abspath(getattr(options, "dir", FOLDER)))
    return Copy(folder, Installation.running(), gid, group, names)


def _check_trust(copy: Copy) -> set[str]:
    """Refuse what others could change; the members who own code that will run. Raises SetupError."""
    from zcframe.framework.interpreter.trust import Trust

    nobody_else, members = Trust(None), Trust(copy.gid)
    places = (copy.folder, copy.folder / "bin")
    fault = next(filter(None, map(nobody_else.fault_on_way, places)), "")
    if not fault:
        programs = (copy.installation.interpreter, *copy.installation.objects)
        fault = next(filter(None, map(members.fault_on_way, programs)), "")
        fault = fault or members.fault_within(copy.installation.code)
    if fault:
        raise SetupError(
            f"{fault}: who can change that could capture without being in group {copy.group}; have it belong to root"
            " alone, or install zcframe as root, in /opt for instance"
        )
    if copy.installation.interpreter.stat().st_mode & 0o6000:
        raise SetupError(f"{copy.installation.interpreter} is a setuid or setgid program: it is not copied")
    return members.owners


def _need_root() -> None:
    if os.geteuid() != 0:
        command = shutil.which(sys.argv[0]) or sys.argv[0]
        raise SetupError(f"only root can do that: sudo {os.path.abspath(command)} setup-capture")


def _undo(copy: Copy, *, check: bool) -> int:
    if not copy.is_ours() and not os.path.lexists(copy.interpreter):
        print(f"{copy.folder}: nothing to undo")
        return 0
    if not copy.is_ours():
        raise SetupError(f"--dir {copy.folder}: zcframe setup-capture did not make that")
    if check:
        print(f"would remove {copy.folder}")
        return 0
    _need_root()
    print("\n".join(f"removed {path}" for path in copy.remove()))
    return 0


def _make(copy: Copy) -> None:
    """Take the steps that are left, and try what came of them; nothing stays of a copy that does not work."""
    from zcframe.framework.interpreter import try_copy

    try:
        for step in copy.steps():
            if not step.done():
                step.do()
                print(step.text)
        name = try_copy(copy)
    except OSError as error:
        copy.remove()
        raise SetupError(
            f"{error.filename or copy.folder}: {error.strerror}; what was made is removed again"
        ) from error
    except SetupError:
        copy.remove()
        raise
    print(f"tried as {name}: it works")


def _advise(copy: Copy, owners: set[str]) -> None:
    for owner in sorted(owners):
        print(f"note: {owner} owns code that it runs: every other member trusts {owner} with their own account")
    print(f"members of {copy.group} capture by: {copy.command} run --iface IFACE")
    print(
        f"they can run any Python program with {copy.right}: usermod -aG {copy.group} USER only for whom you trust so"
    )


def execute(options: argparse.Namespace) -> int:
    """Make the copy, or bring it up to date; 1 where it is not safe, or does not work."""
    copy, check = _wanted(options), "check" in options
    if "undo" in options:
        return _undo(copy, check=check)
    copy.check_place()
    owners = _check_trust(copy)
    left = [step.text for step in copy.steps() if not step.done()]
    if check:
        print("\n".join(f"would {text}" for text in left) or "nothing to do")
        return 0
    _need_root()
    if not left:
        print("nothing to do")
    _make(copy)
    _advise(copy, owners)
    return 0
