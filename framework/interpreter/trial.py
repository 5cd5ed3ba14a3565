"""Whether a member of the group gets from the copy what it is for: found by running it as one."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys
from typing import Final

from zcframe.framework.capabilities import missing
from zcframe.framework.errors import SetupError

from .copy import Copy

NOBODY: Final = 65534
PATIENCE_S: Final = 60
# It is the same Python, everything that the command imports is found, and what the kernel gave is told. (Where a member
# cannot reach the installation, the copy may take a libpython, or a standard library, of another one.)
PROGRAM: Final = """
import os, sys
if [sys.version, os.__file__] != sys.argv[1:]: raise SystemExit(f"it finds another Python, {os.__file__}")
import importlib.util, zcframe.framework.cli
lacking = [name for name in ("numba", "numpy", "psutil", "pyroute2", "rich") if not importlib.util.find_spec(name)]
if lacking: raise SystemExit("it does not find " + ", ".join(lacking))
print(open("/proc/self/status").read())
"""


def _member(gid: int) -> tuple[int, str]:
    """User id and name of someone in the group; of nobody where it has no members yet."""
    for name in grp.getgrgid(gid).gr_mem:
        try:
            return pwd.getpwnam(name).pw_uid, name
        except KeyError:
            continue
    return next(((user.pw_uid, user.pw_name) for user in pwd.getpwall() if user.pw_gid == gid), (NOBODY, "nobody"))


def try_copy(copy: Copy) -> str:
    """Run the copy as a member; that member's name. Raises SetupError with the reason why it does not work."""
    uid, name = _member(copy.gid)
    try:
        done = subprocess.run(
            [copy.interpreter, "-I", "-c", PROGRAM, sys.version, os.__file__],
            user=uid,
            group=copy.gid,
            extra_groups=[],
            env={"LC_ALL": "C.UTF-8"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"{copy.interpreter} cannot be run as {name}: {error}") from error
    if done.returncode:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise SetupError(
            f"{copy.interpreter} does not work for {name}: {last}; its users must reach Python's and zcframe's folders",
            details=done.stderr,
        )
    lacking = [] if uid == 0 else missing(done.stdout, *copy.names)
    if lacking:
        raise SetupError(f"the kernel does not give {', '.join(lacking)} to {copy.interpreter}: {_why(done.stdout)}")
    return name


def _why(status: str) -> str:
    if "NoNewPrivs:\t1" in status:
        return "no_new_privs is set for this process; call the command from another shell"
    return f"this kernel, or the file system of {os.sep}, ignores file capabilities"
