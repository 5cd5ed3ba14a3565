"""A copy of the interpreter for a group: what is refused, what is made, and that setcap(8) would have made the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from zcframe.framework.capabilities import NEEDED, advice, remedy
from zcframe.framework.errors import SetupError
from zcframe.framework.interpreter import Copy, Installation
from zcframe.framework.interpreter.filecaps import packed, store, stored
from zcframe.framework.interpreter.trust import Trust

ROOT_WITHOUT = "Uid:\t0\t0\t0\t0\nCapEff:\t0\nCapBnd:\t{bounding:x}\nNoNewPrivs:\t0\n"
USER = "Uid:\t7\t7\t7\t7\nCapEff:\t0\nCapBnd:\t{bounding:x}\nNoNewPrivs:\t{locked}\n"
ALL = (1 << 41) - 1
NET_RAW = 1 << 13


def test_advice_fits_who_asks() -> None:
    """An ordinary user's way is a copy; what a container does not give, nothing inside it can."""
    user = USER.format(bounding=ALL, locked=0)
    assert remedy(user, "packet") == "zcframe setup-capture"
    assert advice(user, "xdp") == "run as root, or let a group capture: zcframe setup-capture --backend xdp"
    for status in (ROOT_WITHOUT.format(bounding=0), USER.format(bounding=ALL & ~NET_RAW, locked=0)):
        assert advice(status, "packet") == (
            "--cap-add NET_RAW for a container, CapabilityBoundingSet=CAP_NET_RAW for a service of systemd"
        )
    assert "without no_new_privs" in advice(USER.format(bounding=ALL, locked=1), "packet")
    for status in (user, ROOT_WITHOUT.format(bounding=0), "", "CapEff:\tffff"):
        assert "setcap" not in advice(status, "packet") + advice(status, "xdp")


@pytest.mark.needs("root")
@pytest.mark.parametrize("backend", NEEDED)
def test_capabilities_of_a_file_are_those_that_setcap_writes(tmp_path: Path, backend: str) -> None:
    if shutil.which("setcap") is None:
        pytest.skip("setcap is not installed: apt-get install libcap2-bin")
    names = NEEDED[backend]
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for path in (ours, theirs):
        path.touch()
    store(str(ours), names)
    subprocess.run(["setcap", ",".join(names).lower() + "=ep", theirs], check=True)
    assert stored(str(ours)) == stored(str(theirs)) == packed(names)
    store(str(ours), names)
    ours.chmod(0o750)
    told = subprocess.run(["getcap", ours], capture_output=True, text=True, check=True).stdout
    assert set(told.split()[1].removesuffix("=ep").split(",")) == {name.lower() for name in names}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """tmp_path/way/code/module.py, root's and closed to others' writing."""
    code = tmp_path / "way" / "code"
    code.mkdir(parents=True, mode=0o755)
    (code / "module.py").touch(0o644)
    return tmp_path / "way"


def faults(tree: Path, gid: int | None = None) -> str:
    return Trust(gid).fault_within([tree / "code"]).replace(str(tree), "way")


@pytest.mark.needs("root")
def test_what_others_can_change_is_not_trusted(tree: Path) -> None:
    assert faults(tree) == ""
    module, code = tree / "code" / "module.py", tree / "code"
    for path, mode, said in (
        (module, 0o666, "anybody may write to way/code/module.py (chmod o-w)"),
        (code, 0o777, "anybody may write to way/code (chmod o-w)"),
        # In a folder that code is loaded from, others could add a file in spite of the sticky bit.
        (code, 0o1777, "anybody may write to way/code (chmod o-w)"),
        (tree, 0o777, "anybody may write to way (chmod o-w)"),
        (tree, 0o1777, ""),
    ):
        before = path.stat().st_mode
        path.chmod(mode)
        assert faults(tree) == said
        path.chmod(before)
    os.chown(module, 0, 4711)
    module.chmod(0o664)
    assert faults(tree) == "group 4711 may write to way/code/module.py (chmod g-w)"
    assert faults(tree, 4711) == ""
    os.chown(tree, 4711, 0)
    assert faults(tree) == faults(tree, 4711) == "way belongs to user id 4711"


@pytest.mark.needs("root")
def test_a_member_of_the_group_may_own_code_and_is_named(tree: Path) -> None:
    """They have the group's rights anyway. (nobody is in the group of the same number on every distribution.)"""
    os.chown(tree, 65534, 0)
    members = Trust(65534)
    assert (members.fault_within([tree / "code"]), members.owners) == ("", {"nobody"})
    assert Trust(4711).fault_within([tree / "code"]).endswith("belongs to nobody")


@pytest.mark.needs("root")
def test_a_symbolic_link_is_as_safe_as_where_it_leads(tree: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "more.py").touch()
    link = tree / "code" / "link"
    link.symlink_to(elsewhere)
    assert faults(tree) == ""
    (elsewhere / "more.py").chmod(0o666)
    assert faults(tree).endswith("elsewhere/more.py (chmod o-w)")
    (elsewhere / "more.py").chmod(0o644)
    os.chown(link, 4711, 4711, follow_symlinks=False)
    assert faults(tree) == "way/code/link belongs to user id 4711"
    os.chown(link, 0, 0, follow_symlinks=False)
    (elsewhere / "round").symlink_to(link / "round")
    assert "leads nowhere" in faults(tree)


def copy_in(folder: Path) -> Copy:
    return Copy(folder, Installation.running(), os.getgid(), "us", NEEDED["packet"])


@pytest.mark.needs("root")
def test_the_steps_are_taken_once_and_back(tmp_path: Path) -> None:
    copy = copy_in(tmp_path / "capture")
    copy.check_place()
    for step in copy.steps():
        assert not step.done() or "remove" in step.text
        step.do()
        assert step.done()
    info = copy.interpreter.stat()
    assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (0, os.getgid(), 0o750)
    assert copy.interpreter.read_bytes() == copy.installation.interpreter.read_bytes()
    # What is in a file, its owner or its attribute changes: that step is to be taken again, and no other.
    (copy.folder / "foreign").touch()
    for spoil in (
        lambda: copy.interpreter.write_bytes(b"#!/bin/sh\n"),
        lambda: os.chown(copy.interpreter, 4711, 0),
        lambda: copy.interpreter.chmod(0o755),
        lambda: os.removexattr(copy.interpreter, "security.capability"),
    ):
        spoil()
        (left,) = [step for step in copy.steps() if not step.done()]
        left.do()
        assert all(step.done() for step in copy.steps())
    copy.check_place()
    copy.remove()
    assert [path.name for path in copy.folder.iterdir()] == ["foreign"]
    assert copy.remove() == []


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    with pytest.raises(SetupError, match="something else lies there"):
        copy_in(tmp_path).check_place()
    with pytest.raises(SetupError, match="no blanks"):
        copy_in(tmp_path / "a b").check_place()
