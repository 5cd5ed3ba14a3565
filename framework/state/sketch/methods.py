"""Methods of embedded objects, for numba: `state.name.method(...)` and `row.name.method(...)`."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any, Final

from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.core.types.misc import Omitted
from numba.extending import intrinsic, overload_method

from zcframe.framework.jit.address import shift_right
from zcframe.framework.jit.compiler import inlined, outlined
from zcframe.framework.jit.part import FORCE
from zcframe.framework.packet.view import viewed
from zcframe.framework.state.compiled import ObjectType
from zcframe.framework.state.kinds import Addr, Kind, Octets
from zcframe.framework.state.layout import StateLayout, objects_of
from zcframe.framework.state.values import takes

from . import words
from .kind import WORD, Method, words_in

# numba lowers no *args of a method, so that what it takes are arguments with a default.
MOST_GIVEN: Final = 8
GIVEN: Final = [f"a{i}" for i in range(MOST_GIVEN)]
SIGNATURE: Final = "one, " + ", ".join(f"{name}=None" for name in GIVEN)

I64, I128 = ir.IntType(64), ir.IntType(128)


ONE: Final = types.int64(types.int64)
TWO: Final = types.int64(types.int64, types.int64)


def _instruction(build: Callable[..., Any], signature: Any) -> Any:
    """The compiled form of a function of words.py: what `build(builder, ...)` makes of its arguments."""
    names = ", ".join(f"w{i}" for i in range(len(signature.args)))
    scope: dict[str, Any] = {"build": build, "signature": signature}
    exec(
        f"def instruction(typingctx, {names}):\n"
        "    def codegen(context, builder, signature, args):\n"
        "        return build(builder, *args)\n"
        "    return signature, codegen\n",
        scope,
    )
    return intrinsic(scope["instruction"])


def _bit_length(builder: Any, number: Any) -> Any:
    return builder.sub(I64(64), builder.ctlz(number, ir.IntType(1)(0)))


def _product_high(builder: Any, a: Any, b: Any) -> Any:
    wide = builder.mul(builder.sext(a, I128), builder.sext(b, I128))
    return builder.trunc(builder.lshr(wide, I128(64)), I64)


def _mixed(builder: Any, word: Any) -> Any:
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        word = builder.mul(builder.xor(word, builder.lshr(word, I64(shift))), I64(factor))
    return builder.xor(word, builder.lshr(word, I64(31)))


@intrinsic
def _hashed(typingctx, key):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        code = I64(0)
        for i in range(key.count):
            word = builder.extract_value(args[0], i)
            code = _mixed(builder, builder.xor(builder.add(code, I64(words.GOLDEN)), word))
        return code

    return types.int64(key), codegen


COMPILED: Final[dict[Any, Any]] = {
    words.logical: shift_right,
    words.bit_length: _instruction(_bit_length, ONE),
    words.wrapped_product: _instruction(lambda builder, a, b: builder.mul(a, b), TWO),
    words.product_high: _instruction(_product_high, TWO),
    words.mixed: _instruction(_mixed, ONE),
    words.hashed: _hashed,
    words.word_of: _instruction(lambda builder, number: builder.bitcast(number, I64), types.int64(types.float64)),
    words.float_of: _instruction(
        lambda builder, word: builder.bitcast(word, ir.DoubleType()), types.float64(types.int64)
    ),
}


@functools.cache
def _part(function: Any, *, called: bool = False) -> Any:
    """The function for compiled code, with all plain functions that it names."""
    scope = dict(function.__globals__)
    for name in function.__code__.co_names:
        value = scope.get(name)
        if inspect.isfunction(value):
            scope[name] = COMPILED.get(value) or _part(value)
    copy = FunctionType(function.__code__, scope, function.__name__, function.__defaults__)
    copy.__qualname__ = function.__qualname__
    return (outlined if called else inlined)(copy)


def _words(kind: Kind | None, name: str) -> list[str]:
    """Expressions of the words of a value in a key. kind: None for a value that is a word."""
    if isinstance(kind, Addr):
        return [f"{name}.hi", f"{name}.lo"]
    if isinstance(kind, Octets):
        return [f"viewed({name})[:{kind.limit}].u64le({WORD * i})" for i in range(words_in(kind))]
    return [f"int64({name})"]


def _call(method: Method, count: int, kinds: Iterable[Kind]) -> Callable[..., Any]:
    """The method as numba takes it, called with so many values. kinds: of those that make up the key."""
    given = [f"int64({name})" for name in GIVEN[:count]]
    if method.keyed:
        plain = method.function.__code__.co_argcount - 2
        pairs = itertools.zip_longest(kinds, GIVEN[plain:count])
        key = [word for kind, name in pairs for word in _words(kind, name)]
        given = [*given[:plain], f"({', '.join(key)},)"]
    scope = {"method": _part(method.function, called=method.called), "int64": types.int64, "viewed": viewed}
    scope["__name__"] = __name__
    exec(f"def written({SIGNATURE}):\n    return method(one, {', '.join(given)})\n", scope)
    function: Callable[..., Any] = scope["written"]
    return function


def check_call(one: ObjectType, name: str, method: Method, given: list[Any]) -> None:
    """Raises TypingError for a call that cannot be."""
    label = one.name.partition("(")[2].partition("#")[0]
    if method.writes and not one.writable:
        raise TypingError(f"prefetch cannot call {label}.{name}(), nor can ahead: it is no part of the transaction")
    names = list(method.function.__code__.co_varnames[1 : method.function.__code__.co_argcount])
    wanted, more = names, False
    if method.keyed:
        words = one.layout.kind.kinds or one.layout.kind.words
        wanted, more = [*names[:-1], *(words or ("k0",))], not words
    if len(given) != len(wanted) and not (more and len(given) > len(wanted)):
        raise TypingError(f"{label}.{name}() takes ({', '.join(wanted)}), {len(given)} values were given")
    kinds = one.layout.kind.kinds if method.keyed else {}
    for place, kind in zip(wanted, given, strict=False):
        if place in kinds:
            if reason := takes(kinds[place], kind):
                raise TypingError(f"{label}.{name}() has {place} as {kinds[place].name}: {reason}")
        elif not isinstance(kind, types.Integer | types.Boolean):
            raise TypingError(f"{label}.{name}() takes whole numbers, not {kind}")


def _verb(name: str) -> None:
    """Register the method for objects of all kinds that have one of that name."""

    def typed(one: Any, words: tuple[Any, ...]) -> Any:
        if not isinstance(one, ObjectType) or name not in one.layout.kind.METHODS:
            return None
        method = one.layout.kind.METHODS[name]
        given = [word for word in words if word is not None and not isinstance(word, Omitted)]
        check_call(one, name, method, given)
        return _call(method, len(given), one.layout.kind.kinds.values())

    scope: dict[str, Any] = {"typed": typed, "__name__": __name__}
    exec(f"def {name}({SIGNATURE}):\n    return typed(one, ({', '.join(GIVEN)}))\n", scope)
    overload_method(ObjectType, name, jit_options=FORCE)(scope[name])


_known: set[str] = set()


def allow_methods(layout: StateLayout) -> None:
    """Register the methods of a layout's objects; once per name and process."""
    for one in objects_of(layout):
        for name in one.kind.METHODS.keys() - _known:
            _known.add(name)
            _verb(name)
