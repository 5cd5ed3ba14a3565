"""What numba works out again and again while it compiles, worked out once: a third of the time of whole-number code.

Nothing is compiled differently. Each function here takes the place of one of numba's, and gives what that one gave:
`lean()` puts them in place while a function of ours is compiled. They lean on the insides of the release of numba that
setup.cfg names.
"""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from types import FunctionType
from typing import Any, Final

from numba.core import base, event, ir, postproc, transforms, types
from numba.core.base import BaseContext
from numba.core.codegen import CPUCodegen
from numba.core.runtime.context import NRTContext
from numba.core.targetconfig import TargetConfig
from numba.core.types.functions import BaseFunction
from numba.core.typing.context import BaseContext as TypingContext

from .library import PartLibrary

# Operators on two numbers mean the same wherever they stand.
OPERATORS: Final = frozenset(
    getattr(operator, name)
    for name in (
        *("add", "sub", "mul", "floordiv", "mod", "lshift", "rshift", "and_", "or_", "xor", "neg", "invert", "not_"),
        *("iadd", "isub", "imul", "ifloordiv", "imod", "ilshift", "irshift", "iand", "ior", "ixor"),
        *("eq", "ne", "lt", "le", "gt", "ge"),
    )
)
NUMBERS: Final = frozenset((types.Integer, types.IntegerLiteral, types.Boolean, types.BooleanLiteral))

_get_call_type: Callable[..., Any] = BaseFunction.get_call_type
_get_function: Callable[..., Any] = BaseContext.get_function
_run: Callable[..., Any] = postproc.PostProcessor.run
_check: Callable[..., Any] = CPUCodegen._check_llvm_bugs
_get_abi_sizeof: Callable[..., Any] = BaseContext.get_abi_sizeof
_refresh: Callable[..., Any] = BaseContext.refresh
_refresh_typing: Callable[..., Any] = TypingContext.refresh
_equal: Callable[..., Any] = TargetConfig.__eq__
_call_incref_decref: Callable[..., Any] = NRTContext._call_incref_decref
_has_loc: Callable[..., Any] = base._has_loc
_start_event: Callable[..., Any] = event.start_event
_end_event: Callable[..., Any] = event.end_event
_compile_subroutine: Callable[..., Any] = BaseContext._compile_subroutine_no_cache


def _of_numbers(function: Any, args: Any) -> bool:
    """Whether these are an operator and types of whole numbers."""
    return (
        type(function) is types.Function
        and all(type(arg) in NUMBERS for arg in args)
        and function.typing_key in OPERATORS
    )


def get_call_type(self: Any, context: Any, args: Any, kws: Any) -> Any:
    """Signature of a call. numba tries all that an operator can mean, ufuncs of arrays among them."""
    if kws or not _of_numbers(self, args):
        return _get_call_type(self, context, args, kws)
    known = self.__dict__.setdefault("_known_calls", {})
    if args not in known:
        known[args] = _get_call_type(self, context, args, kws)
    return known[args]


def get_function(self: Any, fn: Any, sig: Any, _firstcall: bool = True) -> Any:
    """Implementation of a function. For each operand that is a constant, numba looks for one of its own, in vain."""
    if not _of_numbers(fn, sig.args):
        return _get_function(self, fn, sig, _firstcall)
    missing = fn.__dict__.setdefault("_known_to_miss", set())
    if sig.args in missing:
        raise NotImplementedError
    try:
        return _get_function(self, fn, sig, _firstcall)
    except NotImplementedError:
        missing.add(sig.args)
        raise


def run(self: Any, emit_dels: bool = False, extend_lifetimes: bool = False) -> None:
    """Work out how long variables live: only for who needs it. numba does so after each of its passes."""
    if emit_dels or self.func_ir.is_generator:
        _run(self, emit_dels, extend_lifetimes)
        return
    self.func_ir.blocks = transforms.canonicalize_cfg(self.func_ir.blocks)
    self.func_ir.variable_lifetime = postproc.VariableLifetime(self.func_ir.blocks)
    self.func_ir.generator_info = None


@functools.cache
def _sound(codegen: Any) -> None:
    """Check once for a fault of LLVM; numba does so for every function."""
    _check(codegen)


@functools.cache
def _size(context: Any, lltype: Any) -> int:
    """Size of an LLVM type in bytes. numba makes a module of LLVM to ask it, for every variable."""
    return _get_abi_sizeof(context, lltype)  # type: ignore[no-any-return]


def _registered(context: Any) -> int:
    """How many functions, attributes and so on numba has been told of."""
    registries = context._registries.items()
    return sum(len(getattr(registry, name)) for registry, loader in registries for name in loader.registry_items)


def _refreshing(context: Any, refresh: Callable[[Any], None]) -> None:
    known = _registered(context)
    if known == 0 or known != context.__dict__.get("_known_registered"):
        context._known_registered = known
        refresh(context)


def refresh(self: Any) -> None:
    """Look for what was registered meanwhile: where there is something. numba does so for every function and miss."""
    _refreshing(self, _refresh)
    self.typing_context.refresh()


def refresh_typing(self: Any) -> None:
    """The same for types."""
    _refreshing(self, _refresh_typing)


def equal(self: Any, other: Any) -> Any:
    """Whether two sets of a compiler's options say the same. numba looks up every default."""
    if type(self) is type(other) and self._values == other._values:
        return True
    return _equal(self, other)


def variables_in(value: Any) -> list[Any]:
    """Variables that a part of numba's code reads or writes; most of its parts are names and places of the source."""
    kind = type(value)
    if kind is ir.Var:
        return [value]
    if kind is str or kind is ir.Loc:
        return []
    if kind is dict:
        return [variable for part in value.values() for variable in variables_in(part)]
    if kind is list or kind is tuple:
        return [variable for part in value for variable in variables_in(part)]
    return value.list_vars() if isinstance(value, ir.Inst) else []


def compile_subroutine(self: Any, *args: Any, **kwargs: Any) -> Any:
    """A function that numba itself calls from what it compiles: a part, since nothing else can call it."""
    codegen = self.codegen()
    before, codegen._library_class = codegen._library_class, PartLibrary
    try:
        return _compile_subroutine(self, *args, **kwargs)
    finally:
        codegen._library_class = before


@functools.cache
def _is_counted(models: Any, kind: types.Type) -> bool:
    """Whether values of a type hold memory of which numba counts the references."""
    return bool(models[kind].contains_nrt_meminfo())


def call_incref_decref(self: Any, builder: Any, typ: Any, value: Any, funcname: str) -> None:
    """Count a reference. numba takes every number apart, and every packet, to find nothing in it that is counted."""
    if _is_counted(self._context.data_model_manager, typ):
        _call_incref_decref(self, builder, typ, value, funcname)


def start_event(kind: str, data: Any = None) -> None:
    """Tell listeners that something begins, where there are some. numba makes an event for each call of LLVM's."""
    if event._registered.get(kind):
        _start_event(kind, data)


def end_event(kind: str, data: Any = None, exc_details: Any = None) -> None:
    """The same for an end."""
    if event._registered.get(kind):
        _end_event(kind, data, exc_details)


@contextlib.contextmanager
def install_timer(kind: str, callback: Callable[[float], None]) -> Iterator[None]:
    """Measure nothing. numba measures LLVM's time for each function, and within it that of each which it calls."""
    yield


def has_loc(function: Any) -> bool:
    """Whether a function that writes LLVM code takes `loc`. numba has `inspect` find that out for each call."""
    if type(function) is not FunctionType or hasattr(function, "__wrapped__"):
        return _has_loc(function)  # type: ignore[no-any-return]
    code = function.__code__
    return "loc" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


REPLACED: Final = (
    (BaseFunction, "get_call_type", get_call_type),
    (BaseContext, "get_function", get_function),
    (BaseContext, "get_abi_sizeof", lambda self, lltype: _size(self, lltype)),
    (BaseContext, "refresh", refresh),
    (BaseContext, "_compile_subroutine_no_cache", compile_subroutine),
    (TypingContext, "refresh", refresh_typing),
    (TargetConfig, "__eq__", equal),
    (NRTContext, "_call_incref_decref", call_incref_decref),
    (base, "_has_loc", has_loc),
    (event, "start_event", start_event),
    (event, "end_event", end_event),
    (event, "install_timer", install_timer),
    (CPUCodegen, "_check_llvm_bugs", lambda self: _sound(self)),
    (ir.Inst, "_rec_list_vars", lambda self, value: variables_in(value)),
    (postproc.PostProcessor, "run", run),
)


@contextlib.contextmanager
def lean() -> Iterator[None]:
    """Have numba compile like this, in this process, until the block ends; numba code that is not ours never is."""
    before = [getattr(owner, name) for owner, name, _ in REPLACED]
    _put([function for _, _, function in REPLACED])
    try:
        yield
    finally:
        _put(before)


def _put(functions: Sequence[Callable[..., Any]]) -> None:
    for (owner, name, _), function in zip(REPLACED, functions, strict=True):
        setattr(owner, name, function)
