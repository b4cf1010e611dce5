"""Reads what a real program asked its system for: JSON, one file for each program; every fault at its place.

In JSON, `release`, `platform`, `data_end` and `calls` must be there; `emulated`, `image`, `environment` and
`borders` may be. What strace printed is taken as well (`stracefile`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from allocator.kernels.calls import NAMES, Call
from allocator.kernels.system import Answer, Errno
from archcalc.reading import stracefile
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.fields import (
    INVALID,
    Address,
    Anything,
    Bool,
    Field,
    FixedKeys,
    Group,
    Int,
    Kind,
    ListOf,
    MapOf,
    Text,
    meaning,
    read_file,
)
from archcalc.reading.strictyaml import Document, Node, Scalar, Sequence, in_order, read_bytes

ERRNOS = {name: number for number, name in NAMES.items()}
_EXPECTED = (
    '["map", address, bytes, "rw" or "-", "fixed" or "-", answer], ["unmap", address, bytes, answer], '
    '["advise", address, bytes, advice, answer], ["protect", address, bytes, "rw" or "-", answer], '
    '["brk", "NULL" or address, answer] or ["name", address, bytes, name, answer]'
)
_LENGTHS = {"map": 6, "unmap": 4, "advise": 5, "protect": 5, "name": 5, "brk": 3}


class CallsFault(UsageFault):
    """A fault of a file of calls."""


@dataclass(frozen=True, slots=True)
class ProgramCalls:
    """One program's memory calls in order. `data_end` is where its data segment ends, `image` what it takes
    of the address space before its first instruction (bytes; None: not told), `environment` the variables
    such as GOGC that it had. A trace tells neither of the two. Not every tracer shows what mappings were
    called; where one did not, no call is a `name`. `arguments` counts them with the program's name,
    `strings` are the bytes of each of the environment's strings; None: not told.
    """

    file: str
    release: str
    platform: str
    emulated: bool
    data_end: int | None
    image: int | None
    calls: tuple[Call, ...]
    borders: tuple[dict[str, Any], ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: int | None = None
    strings: tuple[int, ...] | None = None

    @property
    def told_names(self) -> bool:
        """Whether names of mappings are among the calls."""
        return any(call.name == "name" for call in self.calls)

    @property
    def unnamed(self) -> tuple[Call, ...]:
        """The calls without names of mappings, which change nothing."""
        return tuple(call for call in self.calls if call.name != "name")


class OneCall(Kind):
    """A call, as a list. A name that does not say of what, or what it was answered, is None."""

    def read(self, node: Node, document: Document, path: str) -> Any:
        if not isinstance(node, Sequence) or not node.items or not isinstance(node.items[0], Scalar):
            return self.wrong(node, document, path)
        name = node.items[0].text
        if name == "name" and len(node.items) != _LENGTHS[name]:
            return None
        if _LENGTHS.get(name) != len(node.items):
            return self.wrong(node, document, path)
        values: list[Any] = [_value(item) for item in node.items[1:]]
        if any(value is INVALID for value in values):
            return self.wrong(node, document, path)
        call = _call(name, values)
        return self.wrong(node, document, path) if call is None else call

    def words(self) -> str:
        return _EXPECTED

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "minItems": 3, "maxItems": 6}


def _value(item: Node) -> Any:
    if not isinstance(item, Scalar):
        return INVALID
    found = meaning(item)
    return found.value if found.type in ("int", "text") else INVALID


def _number(value: Any) -> int | None:
    """An address, `0x...` in quotes or a number; None for anything else."""
    if isinstance(value, int):
        return value if value >= 0 else None
    try:
        return int(value, 16) if value.startswith("0x") else int(value)
    except ValueError:
        return None


def _answer(value: Any) -> Answer | None:
    if value in ERRNOS:
        return Errno(ERRNOS[value])
    return _number(value)


def _call(name: str, values: list[Any]) -> Call | None:
    """The call of a name with what comes after it; None where that makes none."""
    if name == "brk":
        address = 0 if values[0] == "NULL" else _number(values[0])
        answer = _answer(values[1])
        return None if address is None or answer is None else Call("brk", address, 0, "", False, answer)
    address, size, answer = _number(values[0]), values[1], _answer(values[-1])
    if address is None or not isinstance(size, int) or size < 0 or answer is None:
        return None
    access = str(values[2]) if name != "unmap" else ""
    if name in ("map", "protect") and access not in ("rw", "-"):
        return None
    if name == "map" and values[3] not in ("fixed", "-"):
        return None
    return Call(name, address, size, access, name == "map" and values[3] == "fixed", answer)


class _Hexadecimal(Address):
    """An address, as a number or in quotes."""

    def read(self, node: Node, document: Document, path: str) -> Any:
        if isinstance(node, Scalar) and node.quoted:
            number = _number(node.text)
            return self.wrong(node, document, path) if number is None else number
        return super().read(node, document, path)


FILE = FixedKeys(
    {
        "release": Field(Text(r"(go)?[0-9]+\.[0-9]+.*", "a release such as go1.27.3"), "the toolchain", True),
        "platform": Field(Text(r"[^/\s]+/[^/\s]+", "goos/goarch"), "what it was built for", True),
        "emulated": Field(Bool(), "whether it ran under an emulator"),
        "data_end": Field(_Hexadecimal(), "where its data segment ends", True),
        "image": Field(Int(0), "bytes of address space that it has before its first instruction"),
        "calls": Field(ListOf(OneCall()), "its memory calls in order", True),
        "environment": Field(MapOf(Text()), "variables such as GOGC that it had"),
        "borders": Field(ListOf(Anything()), "how it ended under RLIMIT_AS"),
    },
    "calls",
)


def load(path: Path, platform: str | None = None, release: str | None = None) -> ProgramCalls:
    """The program of a file. Raises CallsFault with every mistake in it.

    `platform` and `release` are those of the program whose file is what strace printed, which tells neither.
    """
    faults: list[Fault] = []
    document = Document(str(path), "calls", faults, CallsFault)
    data = read_bytes(path, document)
    if data is not None and data.lstrip()[:1] != b"{":
        return _traced(path, data, platform, release)
    group: Group | None = read_file(data, FILE, document) if data is not None else None
    if group is None or faults:
        raise CallsFault(*in_order(faults))
    calls: list[Call | None] = group["calls"]
    if None in calls:  # a name that cannot be compared; the others would then come too early
        calls = [call for call in calls if call is not None and call.name != "name"]
    return ProgramCalls(
        str(path),
        group["release"],
        group["platform"],
        group.get("emulated", False),
        group["data_end"],
        group.get("image"),
        tuple(call for call in calls if call is not None),
        tuple(group.get("borders", ())),
        group.get("environment", {}),
    )


def _traced(path: Path, data: bytes, platform: str | None, release: str | None) -> ProgramCalls:
    """The program that strace looked at."""
    text = data.decode("utf-8", "replace")
    try:
        traced = stracefile.read(text)
    except stracefile.NotReadable as wrong:
        found = f"{wrong.text[:60]} is not a call as strace prints it"
        raise CallsFault(Fault(found, id="call", file=str(path), line=wrong.line, column=1)) from None
    if not traced.calls:
        found = "there is no call for memory in it"
        raise CallsFault(Fault(found, "JSON, or what strace -f printed", id="call", file=str(path)))
    if platform is None or release is None:
        found = "what strace printed tells neither the platform nor the release"
        raise CallsFault(Fault(found, "both, as in: boot linux/amd64 --go 1.27", id="call", file=str(path)))
    calls = tuple(traced.calls)
    return ProgramCalls(
        str(path), release, platform, False, None, None, calls, (), traced.environment,
        traced.arguments, traced.strings,
    )  # fmt: skip
