"""The uapi header as the C compiler sees it: values of constants, places and sizes of fields, sizes of structures."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.kit.places import ROOT

INCLUDE = ROOT / "kernel" / "include" / "uapi"
HEADER = "linux/pf_zerocopy.h"
FLAGS = ("-std=c11", "-Wall", "-Wextra", "-Werror")


def _text() -> str:
    return re.sub(r"/\*.*?\*/", "", (INCLUDE / HEADER).read_text(), flags=re.DOTALL)


def _constants() -> list[str]:
    return re.findall(r"^#define\s+(\w+)[ \t]+\S", _text(), flags=re.MULTILINE)


def _structures() -> dict[str, list[str]]:
    found = re.findall(r"^struct (\w+) \{(.*?)^\};", _text(), flags=re.MULTILINE | re.DOTALL)
    return {name: re.findall(r"(\w+)(?:\[\w+\])?;", body) for name, body in found}


def _evaluated(expressions: list[str]) -> dict[str, int]:
    """Value of each C expression, as gcc has it. Raises CalledProcessError where the header does not compile."""
    printed = "".join(f'printf("%llu\\n", (unsigned long long)({expression}));\n' for expression in expressions)
    text = f"#include <stddef.h>\n#include <stdio.h>\n#include <{HEADER}>\nint main(void)\n{{\n{printed}return 0;\n}}\n"
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "face.c", Path(folder) / "face"
        source.write_text(text)
        subprocess.run(["gcc", *FLAGS, "-I", str(INCLUDE), str(source), "-o", str(program)], check=True)
        answer = subprocess.run([program], check=True, capture_output=True, text=True)
    return dict(zip(expressions, map(int, answer.stdout.split()), strict=True))


def _place(structure: str, field: str) -> tuple[str, str]:
    return f"offsetof(struct {structure}, {field})", f"sizeof(((struct {structure} *)0)->{field})"


def _shown(offset: int, size: int) -> str:
    return f"{size} bytes at {offset}"


def header() -> dict[str, Any]:
    structures = _structures()
    places = [_place(name, field) for name, fields in structures.items() for field in fields]
    sizes = [f"sizeof(struct {name})" for name in structures]
    value = _evaluated([*_constants(), *sizes, *(expression for place in places for expression in place)])
    return {
        "constants": {name: value[name] for name in _constants()},
        "structures": {
            name: {
                "sizeof": value[f"sizeof(struct {name})"],
                "fields": {field: _shown(*(value[e] for e in _place(name, field))) for field in fields},
            }
            for name, fields in structures.items()
        },
    }
