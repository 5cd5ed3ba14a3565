"""Each static check of kernel/ finds what it is there for, in a copy with one fault of its kind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .build import KERNEL
from .packages import LabError
from .static import CHECKS, Workshop, fetch_tools, open_workshop

pytestmark = pytest.mark.needs("lab")

FAULTS = {
    "W=1": "static const int zc_fault = 1;\n",
    "sparse": "int zc_fault;\n",
    "checkpatch": "static inline void zc_fault( void )\n{\n}\n",
    "kernel-doc": "/**\n * zc_fault() - a\n */\nstatic inline int zc_fault(int size)\n{\n\treturn size;\n}\n",
}


@pytest.fixture(scope="module")
def shop() -> Workshop:
    fetch_tools()
    return open_workshop()


def test_every_check_has_a_fault() -> None:
    assert set(FAULTS) == set(CHECKS)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(shop: Workshop, name: str, tmp_path: Path) -> None:
    broken = tmp_path / "kernel"
    shutil.copytree(KERNEL, broken)
    with (broken / "family" / "proc.c").open("a") as file:
        file.write(FAULTS[name])
    (tmp_path / "scripts").symlink_to(shop.cache / "scripts")
    with pytest.raises(LabError, match=r"family/proc\.c:\d+"):
        CHECKS[name](Workshop(broken, tmp_path, shop.own.headers[-1:]))
