"""Importing: what other logs know of a program's allocations, done again on a simulated machine and recorded.

A log of GODEBUG=allocfreetrace=1 has the size, rounded to its class, and the type of every
allocation that took a block, and tells with each collection which objects its sweeps freed. A
list of sizes (`size[,type]`) has less. Neither has all that a recording needs, so the machine of
the platform carries out what the log has, and its own recording is the result. Whatever had to be
assumed is listed in `Imported.unknown`, and in the recording's header.

A log is read twice: which objects a collection has to free is only known after it. Memory holds
what is alive, and for each allocation the collection that it dies in.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from allocator.common.throw import BadRequest, Death
from allocator.common.types import KIND_NO_POINTERS, Type
from allocator.interface import Allocator
from archcalc.reading.words import counted
from archcalc.traces.logs import ALLOC, FREE, Event, Log
from archcalc.traces.reader import fault
from archcalc.traces.writer import Recorder

# What is known of types by the language alone, as a picture of their words.
_POINTERS = ("*", "map[", "map.hdr[", "chan ", "<-chan ", "chan<- ", "func(", "unsafe.Pointer")
_NO_POINTERS = frozenset(
    (
        "bool", "int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64",
        "uintptr", "float32", "float64", "complex64", "complex128", "byte", "rune",
    )
)  # fmt: skip


@dataclass(slots=True)
class Imported:
    """The outcome of an import. `other_lines` were between the traces: the program's own output."""

    source: str
    platform: str
    form: str
    allocations: int = 0
    frees: int = 0
    collections: int = 0
    bytes: int = 0
    other_lines: int = 0
    events: int = 0
    death: dict[str, Any] | None = None
    unknown: list[str] = field(default_factory=list)


def import_log(
    source: Path,
    boot: Callable[[], Allocator],
    target: Path,
    progress: Callable[[int, int], None] | None = None,
    force: bool = True,
) -> Imported:
    """Carries out a log on a freshly booted, recording machine, and writes what it recorded.

    `progress` gets the allocations carried out and those there are, 0 where that is not known.
    Raises TraceFault, with the line, for a log that is damaged or is not one.
    """
    name = str(source)
    with Log(source) as log:
        rt = boot()
        result = Imported(name, rt.config.platform, log.form)
        recorder = Recorder(rt)
        run = (_LogRun if log.form == "allocfreetrace" else _ListRun)(rt, recorder, result, progress)
        result.unknown = list(run.unknown)
        try:
            run.all(log)
        except Death as death:
            result.death = rt.last_words(death)
            recorder.death(death, run.request)
        except BadRequest as broken:
            raise fault(name, run.line, f"an object that no program can have: {broken}") from None
        result.other_lines = log.other_lines
    about: dict[str, Any] = {
        "workload": "import",
        "n": result.allocations,
        "seed": 0,
        "gc": "stw" if result.collections else "off",
        "gomaxprocs": 1,
        "imported": {"form": result.form, "unknown": result.unknown},
    }
    recorder.save(target, result.death is not None, force, **about)
    result.events = recorder.events
    return result


# Types.


def words_of(name: str) -> str | None:
    """A type's words as a picture, `p` a pointer, where the language tells; "" for no pointers, else None."""
    if name.startswith("[]"):
        return "p.."
    if name.startswith(_POINTERS):
        return "p"
    if name == "string":
        return "p."
    if name in ("interface {}", "error"):
        return "pp"
    return "" if name in _NO_POINTERS else None


# Carrying it out.


class _Run:
    """A log on its way through a machine; `request` is the allocation at hand as a recording names it."""

    unknown: tuple[str, ...] = ()

    def __init__(
        self, rt: Allocator, recorder: Recorder, result: Imported, progress: Callable[[int, int], None] | None
    ) -> None:
        self.rt = rt
        self.recorder = recorder
        self.result = result
        self.progress = progress
        self.types: dict[tuple[str, int], Type | None] = {}
        self.request = ""
        self.line = 0
        self.allocations = 0  # in all; 0 where that is not known

    def all(self, log: Log) -> None:
        """Carries everything out."""
        raise NotImplementedError

    def alloc(self, event: Event, typ: Type | None) -> int:
        """One object."""
        rt, result = self.rt, self.result
        self.request = self.recorder.request(event.size, typ, 0)
        v = rt.malloc(event.size, typ)
        result.allocations += 1
        result.bytes += event.size
        if result.allocations % 4096 == 0:
            self.recorder.flush()
            if self.progress is not None:
                self.progress(result.allocations, self.allocations)
        return v

    def named(self, name: str, words: str, size: int) -> Type:
        """A type of those words, or without pointers and of that size."""
        ptr_size = self.rt.config.ptr_size
        key = name, len(words) * ptr_size or size
        typ = self.types.get(key)
        if typ is None:
            if words:
                typ = Type.of_words(name, words, ptr_size)
            else:
                typ = Type(size, 0, 25 | KIND_NO_POINTERS, min(size & -size, ptr_size), b"", name)
            self.types[key] = typ
        return typ


class _LogRun(_Run):
    """A log of allocfreetrace. What dies is what the sweeps freed before the next collection."""

    unknown = (
        "which objects fitted into an open tiny block: such a log only has the blocks, as objects of "
        "16 bytes",
        "the sizes asked for: those here are rounded to their class",
        "where types have pointers: objects of 16 bytes and more are taken as without any, except of types "
        "whose words the language tells; smaller ones have pointers in every word, or they would be tiny",
        "which P allocated: all is done by one",
        "stacks and all else that takes memory beside objects, so addresses are others than the log's",
        "when a collection's spans were swept: all at once, or as allocations need them where the log shows "
        "frees between allocations",
    )

    def all(self, log: Log) -> None:
        deaths, late = self._fates(log)
        rt, result = self.rt, self.result
        self.allocations = len(deaths)
        live: dict[int, int] = {}  # the object's number by its address
        number = 0
        for event in log.events():
            self.line = event.line
            if event.kind == ALLOC:
                v = self.alloc(event, self._type(event))
                live[v] = number
                number += 1
            elif event.kind == FREE:
                result.frees += 1
            else:
                now = result.collections
                result.collections += 1
                live = {v: n for v, n in live.items() if deaths[n] != now}
                rt.collect(list(live), mode="force" if now in late else "block")
                self.recorder.flush()
        # The log shows all of these freed, whoever swept them.
        while late and rt.sweepone() >= 0:
            pass

    def _fates(self, log: Log) -> tuple[array[int], set[int]]:
        """In which collection each object dies, or -1; and of which some are freed between allocations."""
        name = self.result.source
        deaths = array("l")
        late: set[int] = set()
        at: dict[int, tuple[int, int, int]] = {}  # number, size, collections before
        collections = odd = 0
        allocated = False
        for event in log.events():
            where = f"the object at {event.address:x}"
            if event.address >> 8 * self.rt.config.ptr_size:
                raise fault(
                    name, event.line, f"{where}, an address of 64 bits", f"a log of {self.result.platform}"
                )
            if event.kind == ALLOC:
                if event.address in at:
                    raise fault(
                        name, event.line, f"{where} is allocated, and was not freed", "tracefree before"
                    )
                if not event.size or not event.address:
                    raise fault(
                        name, event.line, f"an object of {counted(event.size, 'byte')} at {event.address:x}"
                    )
                at[event.address] = len(deaths), event.size, collections
                deaths.append(-1)
                odd += not self._is_rounded(event.size)
                allocated = True
            elif event.kind == FREE:
                known = at.pop(event.address, None)
                if known is None:
                    raise fault(
                        name, event.line, f"{where} is freed, and was not allocated", "tracealloc before"
                    )
                if known[1] != event.size:
                    raise fault(
                        name,
                        event.line,
                        f"{where} is freed with {counted(event.size, 'byte')}",
                        f"{known[1]}, as allocated",
                    )
                if known[2] == collections:
                    raise fault(
                        name, event.line, f"{where} is freed without a collection", "tracegc() between"
                    )
                deaths[known[0]] = collections - 1
                if allocated:
                    late.add(collections - 1)
            else:
                collections += 1
                allocated = False
        if odd:
            self.result.unknown.append(
                f"how this allocator would have rounded {odd} of the objects: their sizes are none of its "
                "classes, so the log is of another version of Go, and they are rounded up once more"
            )
        return deaths, late

    def _is_rounded(self, size: int) -> bool:
        """Whether an object can have that size, once rounded."""
        config = self.rt.config
        if size > config.max_small_size:
            return bool(size % config.page_size == 0)
        classes = config.size_classes
        return bool(classes.class_to_size[classes.size_to_class(size)] == size)

    def _type(self, event: Event) -> Type | None:
        size, ptr_size = event.size, self.rt.config.ptr_size
        name = event.type
        small = size < self.rt.config.tiny_size
        words = words_of(name) if name is not None else ""
        if small:
            # Without pointers it would be in a tiny block, and the block be 16 bytes.
            if not words or len(words) * ptr_size > size:
                words = "p" * (size // ptr_size)
            return self.named(name or "?", words, size)
        if words and len(words) * ptr_size <= size:
            return self.named(name or "", words, size)
        return None if name is None else self.named(name, "", size)


class _ListRun(_Run):
    """A list of sizes; nothing in it ever dies."""

    unknown = (
        "what dies, and when: nothing does, and there is no collection",
        "where types have pointers: objects are taken as without any, except of types whose words the "
        "language tells",
        "which P allocated: all is done by one",
        "stacks and everything else that takes memory beside objects",
    )

    def all(self, log: Log) -> None:
        ptr_size = self.rt.config.ptr_size
        for event in log.events():
            self.line = event.line
            name, size = event.type, event.size
            words = words_of(name) if name is not None else ""
            if words and size % (len(words) * ptr_size) == 0 and size:
                typ: Type | None = self.named(name or "", words, size)
            else:
                typ = None if name is None or not size else self.named(name, "", size)
            self.alloc(event, typ)
