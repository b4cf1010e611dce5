"""What a scenario file may say. Reading, the JSON Schema and the documentation follow from this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allocator.common.vocabulary import ADDRESS, BYTES, FLAG
from allocator.common.vocabulary import COUNT as NUMBER
from allocator.kernels.fault_plans import CALLS
from archcalc.machines import vocabulary
from archcalc.profiles import profile_fields
from archcalc.reading import quantities, strictyaml
from archcalc.reading.fields import (
    INVALID,
    Address,
    Bool,
    Checked,
    Choice,
    Either,
    Field,
    FixedKeys,
    Int,
    Kind,
    Limit,
    ListOf,
    MapOf,
    Number,
    Size,
    Text,
    describe,
    meaning,
    nearest,
)
from archcalc.reading.strictyaml import Document, Node, Scalar
from archcalc.reading.words import counted
from archcalc.workloads.programs import MOST_PROCS

SCHEMA_VERSION = 1
MOST_OBJECTS = 10_000_000  # what one step may allocate: a mistake should not run for an hour
MOST_BYTES = (1 << 64) - 1


class OneKey(Kind):
    """A mapping with one key, which says what is to be done; a word alone where nothing more is said."""

    def __init__(self, actions: Mapping[str, Kind], words_alone: frozenset[str]) -> None:
        self.actions = actions
        self.words_alone = words_alone

    def read(self, node: Node, document: Document, path: str) -> Any:
        """(name, value or None, (line, column))."""
        if isinstance(node, Scalar) and not node.quoted and node.text in self.words_alone:
            return node.text, None, (node.line, node.column)
        if isinstance(node, Scalar) or not isinstance(node, strictyaml.Mapping) or len(node.entries) != 1:
            found = node.text if isinstance(node, Scalar) else ""
            near = nearest(found, self.actions) if found else ""
            mapping = node if isinstance(node, strictyaml.Mapping) else None
            what = counted(len(mapping.entries), "key") if mapping else describe(node)
            document.fault(node, "wrong-type", f"{path} is {what}", self.words(), near)
            return INVALID
        key, value_node = node.entries[0]
        kind = self.actions.get(key.text)
        if kind is None:
            document.fault(
                key,
                "unknown-key",
                f"unknown step {key.text} in {path}",
                f"one of {', '.join(self.actions)}",
                nearest(key.text, self.actions),
            )
            return INVALID
        value = kind.read(value_node, document, f"{path}.{key.text}")
        return INVALID if value is INVALID else (key.text, value, (key.line, key.column))

    def words(self) -> str:
        return f"one of {', '.join(self.actions)}"

    def schema(self) -> dict[str, Any]:
        keyed = [
            {
                "type": "object",
                "properties": {name: kind.schema()},
                "required": [name],
                "additionalProperties": False,
            }
            for name, kind in self.actions.items()
        ]
        return {"anyOf": [{"enum": sorted(self.words_alone)}, *keyed]}


class Answer(Kind):
    """What the system says: an address, `refused`, or `errno=N`."""

    def read(self, node: Node, document: Document, path: str) -> Any:
        if isinstance(node, Scalar):
            if node.text == "refused":
                return "refused"
            word, _, number = node.text.partition("=")
            if word == "errno" and number.isascii() and number.isdigit() and 1 <= len(number) <= 5:
                return f"errno={int(number)}"
            if node.text[:1].isdigit() and not node.quoted:
                return Address().read(node, document, path)
        return self.wrong(node, document, path)

    def words(self) -> str:
        return "an address, refused, or errno=N"

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [Address().schema(), {"type": "string", "pattern": "^(?:refused|errno=[0-9]{1,5})$"}]
        }


class Setting(Kind):
    """The value of a constant: a number, a size, true or false, or a Go expression."""

    def read(self, node: Node, document: Document, path: str) -> Any:
        if not isinstance(node, Scalar) or (found := meaning(node)).type not in ("int", "bool", "text"):
            return self.wrong(node, document, path)
        if found.type == "text" and not node.quoted:
            try:
                return quantities.parse_size(node.text)
            except ValueError:
                pass
        return found.value

    def words(self) -> str:
        return "a number, a size, true, false or an expression"

    def schema(self) -> dict[str, Any]:
        return {"type": ["integer", "boolean", "string"]}


COUNT = Int(0, MOST_OBJECTS)
AMOUNT = Size(0, MOST_BYTES)
LIMIT = Limit(0, MOST_BYTES)
LABEL = Text("[A-Za-z_][A-Za-z0-9_-]*", "a name of letters, digits, _ and -", 60)

PAGE = Checked(Size(512, 1 << 30), lambda n: "" if not n & (n - 1) else "a power of two from 512 to 1g")

# The machine. The options of `boot` come beside the facts that a profile has.

TAKEN = ListOf(profile_fields.TAKEN, longest=1000)
OPTIONS = {
    "ulimit_v": Field(LIMIT, "limit of the address space (RLIMIT_AS)"),
    "image_size": Field(AMOUNT, "address space that the program itself takes"),
    "image_data": Field(AMOUNT, "bytes of the program that count as data; default: none"),
    "va_bits": Field(Int(20, 64), "bits of the addresses that the kernel gives a process"),
    "taken": Field(TAKEN, "address ranges that something else already occupies"),
    "maps": Field(
        Text("[^\\x00]+", "the path of a /proc/PID/maps file", 4096), "a maps file, whose ranges are taken"
    ),
    "page_size": Field(PAGE, "bytes of the kernel's page, a power of two"),
    "believed_page_size": Field(
        Size(0, 1 << 30), "the page size that the runtime is told; default: the kernel's own"
    ),
    "data_end": Field(Address(), "end of the program's data segment (firstmoduledata.end)"),
    "commit_limit": Field(LIMIT, "bytes that can be committed on the whole machine"),
    "max_map_count": Field(Int(1, 1 << 31), "mappings that a process can have (vm.max_map_count)"),
    "ignore_hints": Field(Bool(), "whether the kernel puts memory where it likes"),
    "rlimit_data": Field(LIMIT, "limit of the data segment (RLIMIT_DATA)"),
    "overcommit": Field(Choice((0, 1, 2)), "vm.overcommit_memory"),
    "ram_and_swap": Field(LIMIT, "bytes of memory and swap"),
    "heap_base": Field(Address(), "where the heap begins, if the release draws that at random"),
}
MACHINE = FixedKeys(
    {
        **OPTIONS,
        **{
            name: Field(f.kind, f.help)
            for name, f in profile_fields.MACHINE.fields.items()
            if name not in OPTIONS
        },
    }
)
PROFILE = FixedKeys(
    {name: field for name, field in profile_fields.FILE.fields.items() if name not in ("schema", "platform")},
    partial=True,
)

# What the system answers instead of what it would.

ANSWER = FixedKeys(
    {
        "call": Field(
            Choice(CALLS),
            "the OS helper, by its Go name; default: any (chance), or those that take memory (after)",
        ),
        "nth": Field(Int(1, 1 << 40), "which of the calls that match, from 1; default: all of them"),
        "times": Field(Int(1, 1 << 40), "how many calls from the nth on; default: 1"),
        "address": Field(Address(), "only calls at this address"),
        "size": Field(AMOUNT, "only calls of this size in bytes"),
        "answer": Field(Answer(), "what the system says; default: refused"),
        "chance": Field(Number(0, 1), "the probability that a call is refused"),
        "seed": Field(Int(0), "seed of the chance; default: 1"),
        "after": Field(AMOUNT, "memory is refused once so many bytes were given"),
    }
)

# Steps.

TYPE = FixedKeys(
    {
        "size": Field(Size(1, 1 << 40), "bytes of a value of the type", True),
        "pointers": Field(
            Either(Choice(("all",)), ListOf(Int(0, 1 << 20), 1)),
            "which words are pointers, from 0, or all; default: none",
        ),
        "name": Field(Text(longest=200), "the type's name"),
    }
)


class Live(Kind):
    """What survives: all, none, a fraction below 1, or a number of objects."""

    def read(self, node: Node, document: Document, path: str) -> Any:
        if isinstance(node, Scalar) and not node.quoted:
            if node.text in ("all", "none"):
                return node.text
            if "." in node.text:
                return Number(0, 1).read(node, document, path)
            if node.text.isascii() and node.text.isdigit():
                return COUNT.read(node, document, path)
        return self.wrong(node, document, path)

    def words(self) -> str:
        return "all, none, a fraction such as 0.5, or a number of objects"

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [{"enum": ["all", "none"]}, {"type": "number", "minimum": 0, "maximum": MOST_OBJECTS}]
        }


UNITS: Mapping[str, Kind] = {ADDRESS: Address(), BYTES: AMOUNT, NUMBER: Int(), FLAG: Bool()}
P = Field(Int(0, 255), "the P that asks, from 0")
MALLOC = FixedKeys(
    {
        "size": Field(
            ListOf(AMOUNT, 1, 1000, alone=True), "bytes of an object; of several sizes each in turn", True
        ),
        "count": Field(COUNT, "how many objects; default: 1"),
        "noscan": Field(Bool(), "whether they have no pointers; default: true, unless there is a type"),
        "type": Field(TYPE, "their type"),
        "p": P,
        "as": Field(LABEL, "what later steps call them"),
    }
)
COLLECT = FixedKeys(
    {
        "live": Field(Live(), "which objects survive, spread evenly; default: all"),
        "keep": Field(ListOf(LABEL, alone=True), "objects of these names survive in any case"),
        "drop": Field(ListOf(LABEL, alone=True), "objects of these names do not survive"),
        "mode": Field(
            Choice(("block", "force", "background")),
            "block sweeps at once; force and background leave it to allocations",
        ),
    }
)
SCAVENGE = FixedKeys(
    {
        "now": Field(Int(), "time in ns, for a scavenger that spares what was used recently"),
        "limit": Field(Int(), "idle time in ns that a free run needs"),
    }
)
STACKS = FixedKeys(
    {
        "size": Field(Size(1, 1 << 40), "bytes of a stack", True),
        "count": Field(COUNT, "how many; default: 1"),
        "p": P,
    }
)
GROW = FixedKeys(
    {
        "to": Field(
            Either(
                Choice(("death",)),
                None,
                MapOf(AMOUNT, "|".join(vocabulary.GROWING), f"one of {', '.join(vocabulary.GROWING)}"),
            ),
            "a figure that must be reached, or death",
            True,
        ),
        "size": Field(Size(1, MOST_BYTES), "bytes of each object; default: 1 MB"),
        "noscan": Field(Bool(), "whether they have no pointers; default: true"),
        "most": Field(COUNT, "objects after which to give up; default: a million"),
        "as": Field(LABEL, "what later steps call them"),
    }
)
ARENA = Field(LABEL, "the name of the arena", True)
ARENA_ALLOC = FixedKeys(
    {
        "arena": ARENA,
        "type": Field(TYPE, "the type of each value", True),
        "length": Field(
            COUNT, "allocates a slice of so many (arena.MakeSlice); default: one value (arena.New)"
        ),
        "count": Field(COUNT, "how often; default: 1"),
        "as": Field(LABEL, "what later steps call them"),
    }
)
FREE_ARENA = FixedKeys(
    {
        "arena": ARENA,
        "dangling": Field(Bool(), "whether pointers into it stay alive after that; default: false"),
    }
)
NEWARRAY = FixedKeys(
    {
        "element": Field(Size(0, 1 << 40), "bytes of an element, without pointers", True),
        "count": Field(Int(-(1 << 63), (1 << 63) - 1), "how many elements, as make([]T, n) is asked", True),
    }
)

# Expectations.

CALL_COUNTS = MapOf(Int(), "|".join(CALLS), f"an OS helper: {', '.join(CALLS)}")
EXPECT = FixedKeys(
    {
        "outcome": Field(
            Choice(("booted", "throw", "exit", "panic", "signal", "refused")),
            "how it ends: booted and alive, the runtime's death by throw, exit, panic or signal, "
            "or the profile refused before anything ran",
        ),
        "throw": Field(Text(), "the words of the throw, exit or panic"),
        "printed": Field(ListOf(Text(), longest=1000), "every line that the runtime printed, in order"),
        "during": Field(Text(), "the step in which it died: boot, or `step N: NAME`"),
        "faults": Field(ListOf(Text()), "ids of the profile's faults, where it is refused"),
        "findings": Field(ListOf(Text()), "ids of the checks that have findings on these figures, in order"),
        "allocated": Field(Int(), "objects that the steps have allocated"),
        "audit": Field(Int(), "violations that the audit finds"),
        "attempts": Field(
            FixedKeys(
                {
                    "count": Field(Int(), "reservations that mallocinit asked for"),
                    "refused": Field(Int(), "how many of them were refused"),
                    "hints": Field(ListOf(Address()), "where they were asked for, in order"),
                    "sizes": Field(ListOf(AMOUNT), "their sizes in bytes, in order"),
                    "answers": Field(ListOf(Address()), "the answers in order, 0 for a refusal"),
                    "last_hint": Field(Address(), "where the last one was asked for"),
                    "last_size": Field(AMOUNT, "bytes of the last one"),
                    "last_answer": Field(Address(), "the answer to the last one"),
                }
            ),
            "what mallocinit tried",
        ),
        "arena": Field(
            FixedKeys({named.name: Field(UNITS[named.unit], named.what) for named in vocabulary.HEAP}),
            "where the parts of the heap lie",
        ),
        "memstats": Field(
            MapOf(AMOUNT, "[A-Za-z_]+", "a counter's name"),
            "counters, under the names of runtime.MemStats or, read without flushing, of mstats",
        ),
        "os": Field(
            FixedKeys(
                {
                    "calls": Field(CALL_COUNTS, "calls of each helper"),
                    "refused": Field(CALL_COUNTS, "those that did not get what they asked for"),
                    "bytes": Field(
                        MapOf(AMOUNT, "|".join(CALLS), f"an OS helper: {', '.join(CALLS)}"),
                        "bytes that each helper was asked for",
                    ),
                    "last_call": Field(Choice(CALLS), "the last call"),
                    "last_address": Field(Address(), "its address"),
                    "last_size": Field(AMOUNT, "its size in bytes"),
                    "last_answer": Field(Answer(), "the answer to it"),
                    "mappings": Field(Int(), "mappings that the process has"),
                    "reserved": Field(AMOUNT, "bytes of address space that the runtime holds without access"),
                    "mapped": Field(AMOUNT, "bytes that it has mapped or committed"),
                    "page_tables": Field(AMOUNT, "bytes of page tables charged as committed (windows)"),
                    "overwritten": Field(
                        ListOf(
                            FixedKeys(
                                {
                                    "from": Field(Address(), "first address", True),
                                    "to": Field(Address(), "first address after it", True),
                                }
                            )
                        ),
                        "foreign mappings that were replaced",
                    ),
                }
            ),
            "what was asked of the system",
        ),
        "figures": Field(
            MapOf(
                Setting(),
                r"[A-Za-z_][A-Za-z0-9_.\[\]]*",
                "the name of a constant, a struct, a field or a figure of the layout",
            ),
            "figures of the platform, as `archcalc explain` knows them",
        ),
        "checks": Field(
            MapOf(Bool(), "boot-[a-z-]+", "the id of an invariant of mallocinit"),
            "invariants of mallocinit, and whether each held",
        ),
    }
)

STEP = OneKey(
    {
        "boot": FixedKeys({}),
        "malloc": MALLOC,
        "newarray": NEWARRAY,
        "grow": GROW,
        "arena": FixedKeys({"as": ARENA}),
        "arena_alloc": ARENA_ALLOC,
        "free_arena": FREE_ARENA,
        "collect": Either(Live(), None, COLLECT),
        "scavenge": SCAVENGE,
        "stacks": STACKS,
        "free_stacks": FixedKeys({"count": Field(COUNT, "how many, the oldest first; default: all")}),
        "finalizers": FixedKeys({"count": Field(COUNT, "live objects that get a finalizer; default: all")}),
        "run_finalizers": FixedKeys({}),
        "take": profile_fields.TAKEN,
        "answers": ListOf(ANSWER, 0, 100),
        "expect": EXPECT,
    },
    frozenset({"boot", "collect", "scavenge", "free_stacks", "finalizers", "run_finalizers"}),
)

RUNTIME = FixedKeys(
    {
        "gogc": Field(Int(-1, 1 << 31), "GOGC; default: -1, which is off"),
        "procs": Field(Int(1, MOST_PROCS), "GOMAXPROCS; default: 1"),
        "seed": Field(Int(1), "seed of the heap profile's sampling"),
        "mem_profile_rate": Field(Size(0, 1 << 40), "mean bytes between samples; default: 0, no samples"),
        "gomemlimit": Field(Size(0, 1 << 62), "GOMEMLIMIT: what the runtime keeps below; default: none"),
        "godebug": Field(
            MapOf(Int(-(1 << 31), (1 << 31) - 1), "[a-z0-9]+", "a setting of GODEBUG"),
            "settings of GODEBUG that the machine follows: sbrk, on linux also madvdontneed, harddecommit "
            "and disablethp, on the BSDs madvdontneed",
        ),
    }
)

COMMON = {
    "go": Field(Text(r"[0-9a-z.]+", "a release such as 1.27, in quotes", 40), "which Go; default: 7aefdfded"),
    "platform": Field(
        Text(profile_fields.PLATFORM_PATTERN, "goos/goarch, such as linux/amd64"), "GOOS/GOARCH"
    ),
    "profile": Field(
        Either(Text(r".+\.ya?ml", "the path of a profile, *.yaml", 4096), None, PROFILE),
        "a profile's file, or facts to lay over the platform's own, written as in a profile",
    ),
    "set": Field(
        MapOf(Setting(), r"[A-Za-z_][A-Za-z0-9_.]*", "a constant's or a fact's name"),
        "what if a constant had another value",
    ),
    "machine": Field(MACHINE, "what differs from the platform's usual machine"),
    "os": Field(ListOf(ANSWER, 0, 100), "answers of the system, from the start on"),
    "runtime": Field(RUNTIME, "how the runtime was started"),
    "steps": Field(ListOf(STEP, 0, 1000), "what is done, in order; the machine boots before that"),
    "expect": Field(EXPECT, "what must be so in the end"),
}


VARIANT = FixedKeys(
    {
        "name": Field(Text("[A-Za-z0-9][A-Za-z0-9._-]*", "a name", 100), "the variant's own name", True),
        "about": Field(Text(), "how it differs"),
        **COMMON,
    }
)

FILE = FixedKeys(
    {
        "schema": Field(Choice((SCHEMA_VERSION,)), "version of this file format", True),
        "name": Field(
            Text("[A-Za-z0-9][A-Za-z0-9._-]*", "a name", 100), "the scenario's name; default: the file's"
        ),
        "about": Field(Text(), "what happened", True),
        "report": Field(
            ListOf(Text("https?://[^\\s]+", "a web address", 500), alone=True),
            "where that was reported",
        ),
        "source": Field(Text(), "where the source differs from what the report or its table says"),
        "advice": Field(Text(), "what a person in that trouble can do"),
        **COMMON,
        "variants": Field(
            ListOf(VARIANT, 1, 100),
            "further runs: each takes what the file says, except for what it says itself",
        ),
    },
    "archcalc scenario",
)
