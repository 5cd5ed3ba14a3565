"""What authors of plugins may use: the names of `zcframe`, attributes of a packet, the functions of a plugin class."""

from __future__ import annotations

import inspect
from enum import Enum
from typing import Any

import zcframe
import zcframe.testing
from zcframe.framework.errors import DeclarationError
from zcframe.framework.packet.value import DOCS
from zcframe.framework.state.kinds import Kind

NOT_MADE = (
    zcframe.State,
    zcframe.Packet,
    zcframe.View,
    zcframe.Snapshot,
    zcframe.Result,
    zcframe.Run,
    zcframe.AsyncRun,
    zcframe.RunError,
)

# Each way in which a plugin may write its functions.
FORMS = (
    "prefetch(pkt, state, params)",
    "merge(states)",
    "report(merged)",
    "report(merged, params)",
    "lines(report)",
)


def _parameters(target: Any) -> dict[str, Any]:
    """Name -> kind, place and default of each parameter; the required ones as one text, which must stay equal."""
    found = list(inspect.signature(target).parameters.values())
    known = {
        parameter.name: {
            "kind": parameter.kind.description,
            "default": "none" if parameter.default is parameter.empty else repr(parameter.default),
            **({} if parameter.kind is parameter.KEYWORD_ONLY else {"place": place}),
        }
        for place, parameter in enumerate(found)
    }
    return {"parameters": known, "required": ", ".join(p.name for p in found if p.default is p.empty)}


def _reduced(scalar: zcframe.Scalar, name: str) -> str:
    try:
        return str(getattr(scalar, name).reduction)
    except DeclarationError:
        return "refused"


def _scalar(scalar: zcframe.Scalar) -> dict[str, Any]:
    merged = {name: _reduced(scalar, name) for name in ("min", "max", "bits", "first")}
    return {"size": scalar.size, "dtype": scalar.dtype, "reduction": scalar.reduction, **merged}


def _of_class(cls: type) -> dict[str, Any]:
    """What nobody but zcframe makes has a constructor that is not part of the face."""
    if issubclass(cls, Enum):
        return {"kind": "enum", "members": list(cls.__members__)}
    members = [name for name in dir(cls) if not name.startswith("_")]
    return {"kind": "class", "members": members} | ({} if cls in NOT_MADE else _parameters(cls))


def _of(value: Any) -> dict[str, Any]:
    if isinstance(value, zcframe.Scalar):
        return {"kind": "scalar", **_scalar(value)}
    if inspect.isclass(value):
        return _of_class(value)
    if isinstance(value, Kind):
        return {"kind": "kind", "name": value.name, "size": value.size, "dtype": value.dtype}
    if callable(value):
        return {"kind": "function", **_parameters(value)}
    if isinstance(value, int):
        return {"kind": "int", "value": int(value)}
    return {"kind": type(value).__name__, "value": value}


def _testing() -> dict[str, Any]:
    """What tests of plugins may use."""
    made = {"Result": dir(zcframe.testing.Result), "Verdicts": dir(zcframe.testing.Verdicts)}
    functions = [name for name in zcframe.testing.__all__ if not name[0].isupper()]
    found = {name: _of(getattr(zcframe.testing, name)) for name in functions}
    members = {name: [member for member in names if not member.startswith("_")] for name, names in made.items()}
    return found | {name: {"kind": "class", "members": names} for name, names in members.items()}


def _names() -> dict[str, Any]:
    found = {name: _of(getattr(zcframe, name)) for name in zcframe.__all__}
    found["__version__"] = {"kind": "str"}  # the one value that is meant to change
    return found


def _accepted(form: str) -> str:
    """Whether `@plugin` takes a class with this function beside its filter."""
    space: dict[str, Any] = {}
    exec(f"class Probe:\n    def filter(pkt, state, params): ...\n    def {form}: ...\n", space)
    try:
        zcframe.plugin(space["Probe"])
    except TypeError as error:
        return f"refused: {error}"
    return "accepted"


def api() -> dict[str, Any]:
    return {
        "names": _names(),
        "packet": list(DOCS),
        "functions": {form: _accepted(form) for form in FORMS},
        "testing": _testing(),
    }
