"""Lookups in compiled code: `state.words.find(view)`, which returns a hit, and `state.nets.find(pkt.src)`."""

from __future__ import annotations

import operator
from typing import Any, Final

from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.core.types.misc import Omitted
from numba.extending import intrinsic, make_attribute_wrapper, models, overload, overload_method, register_model

from zcframe.framework.jit.address import load_u64, shift_right
from zcframe.framework.jit.compiler import inlined
from zcframe.framework.jit.part import FORCE
from zcframe.framework.packet.address import AddrType
from zcframe.framework.packet.view import constant_type, is_octets, view_maker, viewed
from zcframe.framework.state.compiled import LookupType
from zcframe.framework.state.kinds import Octets

from .prefixes import WORDS as PREFIXES
from .search import find_number, find_pattern, find_prefix, pattern_length, shorter_pattern

HIT_WORDS: Final = ("index", "start", "end", "state")
PATTERNS, PREFIXES_KIND = "Patterns", "Prefixes"


class HitType(types.Type):
    """numba type of a hit: which pattern, where it begins and ends in the view, the state behind it."""

    def __init__(self) -> None:
        super().__init__(name="zcframe.Hit")


hit_type = HitType()


@register_model(HitType)
class _HitModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, [(word, types.int64) for word in HIT_WORDS])


for _word in HIT_WORDS:
    make_attribute_wrapper(HitType, _word, _word)
make_attribute_wrapper(LookupType, "address", "_address")

make_constant_view = view_maker(constant_type)


@intrinsic
def make_hit(typingctx, index, start, end, state):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        hit = cgutils.create_struct_proxy(hit_type)(context, builder)
        for word, value in zip(HIT_WORDS, args, strict=True):
            setattr(hit, word, value)
        return hit._getvalue()

    return hit_type(*[types.int64] * 4), codegen


@overload(bool, jit_options=FORCE)
def _bool(hit):  # type: ignore[no-untyped-def]
    if isinstance(hit, HitType):
        return lambda hit: hit.index >= 0


@inlined
def first_hit(at, view, start, state):  # type: ignore[no-untyped-def]
    octets = viewed(view)
    index, end, state = find_pattern(at, octets._address, octets._length, start, state)
    return make_hit(index, end - pattern_length(at, index) if index >= 0 else end, end, state)


@inlined
def next_hit(at, view, hit):  # type: ignore[no-untyped-def]
    index = shorter_pattern(at, hit.index) if hit.index >= 0 else -1
    if index >= 0:
        return make_hit(index, hit.end - pattern_length(at, index), hit.end, hit.state)
    return first_hit(at, view, hit.end, hit.state)


def check_find(lookup: LookupType, given: list[Any]) -> None:
    """Raises TypingError for values that `find` of a lookup does not take."""
    verb, what = f"zcframe: {lookup.layout.name}.find()", given[0]
    if lookup.layout.kind == PREFIXES_KIND:
        if len(given) > 1 or not isinstance(what, AddrType):
            raise TypingError(f"{verb} takes an address, as pkt.src")
    elif not is_octets(what) or not all(isinstance(one, types.Integer) for one in given[1:]):
        raise TypingError(f"{verb} takes a view, or bytes, then whole numbers: where to start, and a state")


def check_next(lookup: LookupType, view: Any, hit: Any) -> None:
    """Raises TypingError for values that `next` of a lookup does not take."""
    if lookup.layout.kind != PATTERNS:
        raise TypingError(f"zcframe: the Prefixes {lookup.layout.name} have no next: they have find")
    if not is_octets(view) or not isinstance(hit, HitType):
        raise TypingError(f"zcframe: {lookup.layout.name}.next() takes a view, or bytes, and the hit found last")


@inlined
def found_place(at, word):  # type: ignore[no-untyped-def]
    """(address, length) of the bytes that a word of a lookup stands for."""
    return at + load_u64(at + PREFIXES.octets * 8) + shift_right(word, 16), word & 0xFFFF


@overload_method(LookupType, "find", jit_options=FORCE)
def _find(lookup, what, start=0, state=0):  # type: ignore[no-untyped-def]
    more = [one for one in (start, state) if not isinstance(one, int | Omitted)]
    check_find(lookup, [what, *more])
    if lookup.layout.kind == PATTERNS:
        return lambda lookup, what, start=0, state=0: first_hit(lookup._address, what, start, state)
    if isinstance(lookup.layout.value, Octets):

        def octets(lookup, what, start=0, state=0):  # type: ignore[no-untyped-def]
            word = find_prefix(lookup._address, what.hi, what.lo)
            address, length = found_place(lookup._address, word)
            return make_constant_view(address, length)

        return octets
    return lambda lookup, what, start=0, state=0: find_prefix(lookup._address, what.hi, what.lo)


@overload(operator.contains, jit_options=FORCE)
def _contains(lookup, address):  # type: ignore[no-untyped-def]
    if isinstance(lookup, LookupType) and lookup.layout.kind == PREFIXES_KIND and isinstance(address, AddrType):
        return lambda lookup, address: find_number(lookup._address, address.hi, address.lo) != 0


@overload_method(LookupType, "next", jit_options=FORCE)
def _next(lookup, view, hit):  # type: ignore[no-untyped-def]
    check_next(lookup, view, hit)
    return lambda lookup, view, hit: next_hit(lookup._address, view, hit)
