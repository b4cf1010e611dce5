"""How routines are compiled, where Numba is installed: this file is only imported to do so."""

from __future__ import annotations

import struct
import types
from collections.abc import Callable
from importlib import import_module
from typing import Any

from allocator.common.bulk.machine_code import ALIGNED, Made
from allocator.common.bulk.routine import Code, Routine

numba: Any = import_module("numba")
llvm: Any = import_module("llvmlite.binding")

SYMBOL = struct.Struct(
    "<IBBHQQ"
)  # of an ELF file with 64-bit addresses: name, info, other, section, value, size
Parts = dict[str, Any]  # functions that routines call, by name

ENTRY = "routine"
# Sections of code that needs nothing else: no data, and nothing that a linker would have to mend.
BY_ITSELF = {None, b".text", b".symtab", b".strtab", b".note.GNU-stack"}
ELF64 = b"\x7fELF\x02\x01"  # little-endian


def dispatcher(routine: Routine, parts: Parts) -> Callable[..., int]:
    """The function as Numba calls it, kept on disk by it where it finds a place."""
    function = _with_parts(routine.function, parts)
    try:
        found: Callable[..., int] = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # there is no place
        found = numba.njit(nogil=True, error_model="numpy")(function)
    return found


def code_of(routines: list[Routine], parts: Parts) -> Made | None:
    """Code of all routines that stands by itself; None where some of it would not.

    It is made for any processor of this kind, and without vectors, whose constants would lie elsewhere.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    config = numba.config
    vectors = config.LOOP_VECTORIZE, config.SLP_VECTORIZE
    config.LOOP_VECTORIZE = config.SLP_VECTORIZE = 0
    text, offsets = b"", {}
    try:
        for routine in routines:
            inner = numba.njit(error_model="numpy")(_with_parts(routine.function, parts))
            for code in routine.codes:
                found = _alone(_object(_assembly(inner, code)))
                if found is None:
                    return None
                part, at = found
                text += bytes(-len(text) % ALIGNED)
                offsets[code.name] = len(text) + at
                text += part
    finally:
        config.LOOP_VECTORIZE, config.SLP_VECTORIZE = vectors
    return Made(text, offsets)


def _with_parts(function: Any, parts: Parts) -> Any:
    """The function, with those that it calls compiled."""
    known = dict(function.__globals__)
    for name, part in parts.items():
        compiled = types.FunctionType(part.__code__, known, name)
        known[name] = numba.njit(nogil=True, error_model="numpy")(compiled)
    return types.FunctionType(function.__code__, known, function.__name__)


def _assembly(inner: Any, code: Code) -> str:
    """A function for C that calls the routine, in LLVM's language; it takes arrays as `Code` passes them."""
    taken, values, kinds = [], [], []
    for i, kind in enumerate(code.takes):
        if kind is None:
            taken.append(f"n{i}")
            values.append(f"n{i}")
        else:
            taken += (f"a{i}", f"n{i}")
            values.append(f"carray(a{i}, n{i})")
            kinds.append(numba.types.CPointer(numba.from_dtype(kind)))
        kinds.append(numba.int64)
    known = {"carray": numba.carray, "inner": inner}
    exec(f"def entry({', '.join(taken)}):\n    return inner({', '.join(values)})", known)
    found: str = numba.cfunc(numba.int64(*kinds))(known["entry"]).inspect_llvm()
    return found


def _object(assembly: str) -> bytes:
    """The object file of such a function, named ENTRY, with all that it calls in it."""
    module = llvm.parse_assembly(assembly)
    for function in module.functions:
        if function.name.startswith("cfunc."):
            function.name = ENTRY
        elif not function.is_declaration:
            function.linkage = "internal"
    machine = llvm.Target.from_triple(module.triple).create_target_machine(
        opt=3, reloc="pic", codemodel="small"
    )
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    # What is said where Python failed goes: it cannot fail.
    builder.getModulePassManager().run(module, builder)
    found: bytes = machine.emit_object(module)
    return found


def _alone(content: bytes) -> tuple[bytes, int] | None:
    """An object file's code, and where in it ENTRY is; None where it needs anything outside."""
    if not content.startswith(ELF64):
        return None
    sections = {each.name(): each.data() for each in llvm.ObjectFileRef.from_data(content).sections()}
    if sections.keys() & BY_ITSELF != sections.keys():
        return None
    for name, *_, value, _ in SYMBOL.iter_unpack(sections[b".symtab"]):
        if sections[b".strtab"][name:].startswith(ENTRY.encode() + b"\0"):
            return sections[b".text"], value
    return None
