"""What is found out about a packet ahead of its turn: a note in the scratch area, from the first pass to the second.

    note     offsets u64 | facts u64 | what each plugin's `ahead` returned, a word a value

`ahead` returns whole numbers, addresses, views, spots of tables, or a tuple of these. Where a value stands depends on
the types of all values before it, which are known only while numba types the chain: place and size are constants of the
machine code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numba
from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.core.types.containers import BaseTuple
from numba.extending import intrinsic

from zcframe.framework.jit.emit.address import in_region
from zcframe.framework.packet.address import AddrType
from zcframe.framework.packet.value import packet_type
from zcframe.framework.packet.view import ViewType
from zcframe.framework.state.compiled import SpotType, StateType

from .attempt import emit_attempt, leave, signature_of
from .bound import BoundPlugin
from .workspace import MAX_NOTE

I64 = ir.IntType(64)
WORD: Final = 8
# Offsets and facts.
HEAD: Final = 16
MOST_WORDS: Final = (MAX_NOTE - HEAD) // WORD


def _limited(words: int) -> int:
    """So many words. Raises TypingError where no note has room for them."""
    if words > MOST_WORDS:
        raise TypingError(f"ahead returns too much: {MOST_WORDS} words over all plugins are possible")
    return words


def words_of(kind: types.Type) -> int:
    """Number of words that a value of this type takes. Raises TypingError for one that no note can hold."""
    if isinstance(kind, types.Integer | types.Boolean):
        return 1
    if isinstance(kind, SpotType):
        return len(kind.words)
    if isinstance(kind, AddrType | ViewType):
        return 2
    if isinstance(kind, BaseTuple):
        return _limited(sum(words_of(part) for part in kind.types))
    raise TypingError(
        f"ahead returns {kind}: whole numbers, addresses, views and spots of tables are possible, or a tuple of them"
    )


def _flat(context: Any, builder: Any, kind: Any, value: Any) -> list[Any]:
    """The words of a value."""
    if isinstance(kind, types.Integer | types.Boolean):
        return [context.cast(builder, value, kind, types.int64)]
    if isinstance(kind, SpotType | AddrType | ViewType):
        return [builder.extract_value(value, i) for i in range(words_of(kind))]
    parts = [(part, builder.extract_value(value, i)) for i, part in enumerate(kind.types)]
    return [word for part, inner in parts for word in _flat(context, builder, part, inner)]


def _built(context: Any, builder: Any, kind: Any, words: list[Any]) -> Any:
    """The value of these words, which are taken from the list."""
    if isinstance(kind, types.Integer | types.Boolean):
        return context.cast(builder, words.pop(0), types.int64, kind)
    if isinstance(kind, SpotType | AddrType | ViewType):
        value = ir.Constant(context.get_value_type(kind), ir.Undefined)
        for i in range(words_of(kind)):
            value = builder.insert_value(value, words.pop(0), i)
        return value
    return context.make_tuple(builder, kind, [_built(context, builder, part, words) for part in kind.types])


def _pointer(builder: Any, address: Any, word: int) -> Any:
    return builder.inttoptr(builder.add(address, I64(word * WORD)), I64.as_pointer())


class Notes:
    """Places of what plugins' `ahead` return. aheads: their compiled functions, None where there is none."""

    def __init__(self, plugins: Sequence[BoundPlugin], aheads: Sequence[Any], params: Sequence[Any]) -> None:
        self._plugins, self._aheads, self._params = plugins, aheads, params

    def _type(self, typing: Any, k: int) -> types.Type | None:
        """Type of what plugin k's `ahead` returns."""
        if self._aheads[k] is None:
            return None
        view = StateType(self._plugins[k].layout, "state", False)
        called = numba.typeof(self._aheads[k])
        signature = typing.resolve_function_type(called, (packet_type, view, numba.typeof(self._params[k])), {})
        return signature.return_type  # type: ignore[no-any-return]

    def _place(self, typing: Any, k: int) -> int:
        """Offset of plugin k's words in a note; the size of a note where k is the number of plugins."""
        kinds = [self._type(typing, j) for j in range(k)]
        return HEAD + WORD * _limited(sum(words_of(kind) for kind in kinds if kind is not None))

    def place(self, k: int) -> Any:
        """Compiled function () -> `_place`."""

        @intrinsic
        def place(typingctx):  # type: ignore[no-untyped-def]
            offset = self._place(typingctx, k)
            return types.int64(), lambda context, builder, signature, args: I64(offset)

        return place

    def look(self) -> Any:
        """Compiled function (function, at, arguments, address): leave there what it returns; whether it did not raise.

        at: where the address of the exception is left that it raises.
        """

        @intrinsic
        def look(typingctx, function, at, arguments, address):  # type: ignore[no-untyped-def]
            inner = signature_of(typingctx, function, arguments)
            found = inner.return_type
            words_of(found)

            def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
                raised, exception, value = emit_attempt(context, builder, function, inner, arguments, args[2])
                leave(builder, raised, exception, args[1])
                with builder.if_then(builder.not_(raised), likely=True):
                    for i, word in enumerate(_flat(context, builder, found, value)):
                        in_region(builder, builder.store(word, _pointer(builder, args[3], i), align=1), "work")
                return builder.not_(raised)

            return types.boolean(function, types.int64, arguments, types.int64), codegen

        return look

    def taken(self, k: int) -> Any:
        """Compiled function (address) -> the value that was left there."""

        @intrinsic
        def taken(typingctx, address):  # type: ignore[no-untyped-def]
            kind = self._type(typingctx, k)
            assert kind is not None

            def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
                places = [_pointer(builder, args[0], i) for i in range(words_of(kind))]
                words = [in_region(builder, builder.load(place, align=1), "work") for place in places]
                return _built(context, builder, kind, words)

            return kind(types.int64), codegen

        return taken
