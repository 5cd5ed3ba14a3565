"""Parts on disk: the LLVM code of a function that others are compiled with, by the name of all that went into it."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
from numba.core import sigutils
from numba.core.caching import NullCache
from numba.core.compiler import compile_result
from numba.core.environment import Environment
from numba.core.itanium_mangler import mangle
from numba.core.serialize import dumps
from numba.core.typing import signature

from .cache import give_up, least_used, mark_used, write_whole
from .library import PartLibrary
from .part import ENVIRONMENT

KEPT_PARTS = 256

Arguments = tuple[Any, ...]


def _needs_process(library: PartLibrary) -> bool:
    """Whether the code refers to objects of this process: to constants that Python made, to addresses."""
    loads = (line for line in str(library._final_module).splitlines() if " load " in line)
    return library.has_dynamic_globals or bool(library._reload_init) or any(ENVIRONMENT in line for line in loads)


def _bitcode(library: PartLibrary, entry: str, name: str) -> bytes:
    """The code under `name`; all else is private to it.

    numba's names are unique in a process only: LLVM would take two functions of one name for the same.
    """
    module = library._final_module.clone()
    for function in module.functions:
        if not function.is_declaration and function.name != entry:
            function.linkage = "internal"
    module.get_function(entry).name = name
    return module.as_bitcode()  # type: ignore[no-any-return]


class KeptPart(NullCache):  # type: ignore[misc]
    """numba's cache of one part. folder: where its files are; key: a name made of all that goes into the part."""

    def __init__(self, folder: Path, key: str) -> None:
        self._folder, self._key = folder, key

    def _name(self, arguments: Arguments, target: Any) -> str:
        text = repr((self._key, arguments, target.codegen().magic_tuple()))
        return "part_" + hashlib.sha256(text.encode()).hexdigest()[:24]

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The part for these arguments; None where it is not kept, or what is there is damaged."""
        arguments, _ = sigutils.normalize_signature(sig)
        path = self._folder / self._name(arguments, target_context)
        try:
            data = path.read_bytes()
            mark_used(path)
            return _rebuilt(data, tuple(arguments), target_context)
        except Exception:
            # Not there, or cut short by a full disk: pickle and LLVM raise whatever comes to their minds.
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the part for these arguments, where it can be kept."""
        if _needs_process(data.library):
            return
        name = self._name(data.signature.args, data.target_context)
        described = copy.copy(data.fndesc)
        described.typemap = described.calltypes = described.global_dict = None
        described.mangled_name = mangle(f"zcframe.{name}", ())
        code = _bitcode(data.library, data.fndesc.llvm_func_name, described.mangled_name)
        try:
            for old in least_used(self._folder.glob("part_*"), KEPT_PARTS):
                old.unlink(missing_ok=True)
            write_whole(self._folder / name, dumps((code, described, data.signature.return_type)))
        except OSError as error:
            give_up(error.strerror)

    def has(self, arguments: Arguments, target: Any) -> bool:
        """Whether there is a file for these arguments."""
        return (self._folder / self._name(arguments, target)).exists()


def _rebuilt(data: bytes, arguments: Arguments, target: Any) -> Any:
    """What numba's compiler would have returned for these arguments."""
    import pickle

    code, described, returned = pickle.loads(data)
    described.argtypes = arguments
    library = PartLibrary(target.codegen(), described.qualname)
    library._final_module = llvm.parse_bitcode(code)
    library._finalize_final_module()
    environment = Environment.from_fndesc(described)
    return compile_result(
        typing_context=target.typing_context,
        target_context=target,
        entry_point=target.get_executable(library, described, environment),
        signature=signature(returned, *arguments),
        objectmode=False,
        lifted=(),
        fndesc=described,
        library=library,
        environment=environment,
        reload_init=(),
    )
