"""Names of instructions for compiled code, that bring numba in only where something is compiled."""

from __future__ import annotations

from functools import cached_property
from typing import Any


class Instruction:
    """An intrinsic of `emit.address`, by its name."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    @cached_property
    def _numba_type_(self) -> Any:
        """What numba takes it for that it meets in the code of a function: the intrinsic itself."""
        from numba.core.registry import cpu_target

        from .emit import address

        return cpu_target.typing_context.resolve_value_type(getattr(address, self.__name__))

    def __deepcopy__(self, memo: Any) -> Instruction:
        """numba copies statements, with what they call."""
        return self

    def __call__(self, *arguments: Any) -> Any:
        """For type checkers. Raises NotImplementedError: Python has no such instruction."""
        raise NotImplementedError(f"{self.__name__} is for compiled code only")
