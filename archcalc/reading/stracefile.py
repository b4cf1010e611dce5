"""Reads what strace, or qemu with -strace, printed of one program's memory calls.

A line is a call with its answer, behind the number of its thread and a time where they were asked for. A
call of one thread may be cut in two by those of others. Mappings of files are left out, and what other
programs did that this one started. An emulator prints a call and its answer apart, so that the lines of
threads run into each other: the calls end where that begins.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from allocator.kernels.calls import Call
from allocator.kernels.system import Answer, Errno

_TIME = r"(?:\d+:\d+:\d+(?:\.\d+)?|\d+\.\d+|\+\d+\.\d+)"
_LINE = re.compile(rf"(?:\[pid +(\d+)\] +|(\d+) +)?(?:{_TIME} +)?(.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>\s*(.*)")
_CALL = re.compile(r"(\w+)\((.*)\)\s+= (.*)")
_MEMORY = re.compile(r"\b(?:mmap2?|old_mmap|munmap|madvise|mprotect|brk|prctl)\(")
_NAMING = re.compile(r'PR_SET_VMA, PR_SET_VMA_ANON_NAME, (0x[0-9a-f]+), (\d+), "(.*)"')
_VARIABLE = re.compile(r'"(GOGC|GOMEMLIMIT|GODEBUG|GOMAXPROCS)=([^"]*)"')
_STRING = r'"((?:[^"\\]|\\.)*)"'
_STRINGS = rf"\[((?:{_STRING}(?:, )?)*)\]"
_STARTED = re.compile(rf"execve\({_STRING}, {_STRINGS}, {_STRINGS}\)")
PAGE = 4096
_UNFINISHED = "<unfinished ...>"
# What qemu prints of advice is its number.
_ADVICE = {
    "4": "MADV_DONTNEED",
    "8": "MADV_FREE",
    "14": "MADV_HUGEPAGE",
    "15": "MADV_NOHUGEPAGE",
    "25": "MADV_COLLAPSE",
}


class NotReadable(Exception):
    """A line that tells of a memory call and cannot be read; `line` counts from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text


@dataclass(slots=True)
class Traced:
    """Memory calls in order, and of the environment what the trace tells.

    `arguments` counts them with the program's name, `strings` are the bytes of each string of the
    environment: None unless the trace has all of them, to their ends.
    """

    calls: list[Call] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    arguments: int | None = None
    strings: tuple[int, ...] | None = None


@dataclass(slots=True)
class _Line:
    number: int
    thread: str
    text: str


def read(text: str) -> Traced:
    """The calls of the program that was started last by the first process. Raises NotReadable."""
    lines = _joined(text.splitlines())
    begun = [i for i, line in enumerate(lines) if lines[0].thread == line.thread and _starts(line)]
    found = Traced()
    if begun:
        start = lines[begun[-1]].text
        found.environment.update(_VARIABLE.findall(start))
        whole = _STARTED.match(start)
        if whole is not None:
            found.arguments = len(_lengths(whole[2]))
            found.strings = _lengths(whole[4])
        lines = lines[begun[-1] + 1 :]
    strangers = _strangers(lines)
    for line in lines:
        if line.thread in strangers or not _MEMORY.match(line.text):
            continue
        whole = _CALL.fullmatch(line.text)
        if whole is None or _MEMORY.search(whole[2]):
            break
        try:
            if whole[1] == "prctl":
                call = _named(whole[2], whole[3])
            else:
                call = _call(whole[1], [part.strip() for part in whole[2].split(",")], whole[3])
        except (ValueError, IndexError, AttributeError):
            raise NotReadable(line.number, line.text) from None
        if call is not None and _has_anothers_answer(call):
            break
        if call is not None:
            found.calls.append(call)
    return found


def _lengths(strings: str) -> tuple[int, ...]:
    """The bytes of each string of a list; what cannot be printed is written as in C."""
    found = re.findall(_STRING, strings)
    return tuple(len(re.sub(r"\\(?:[0-7]{1,3}|x[0-9a-f]{2}|.)", "?", one)) for one in found)


def _has_anothers_answer(call: Call) -> bool:
    """Whether the answer cannot be the address of a mapping."""
    answer = call.answer
    return call.name == "map" and not isinstance(answer, Errno) and (not answer or answer % PAGE > 0)


def _joined(texts: Iterable[str]) -> list[_Line]:
    """The lines, with what threads cut in two put together where it begins."""
    found: list[_Line] = []
    open_: dict[str, _Line] = {}
    for number, text in enumerate(texts, 1):
        parts = _LINE.fullmatch(text.strip())
        if parts is None or not parts[3]:
            continue
        thread, rest = parts[1] or parts[2] or "", parts[3]
        resumed = _RESUMED.fullmatch(rest)
        if resumed is not None:
            if thread in open_:
                open_.pop(thread).text += resumed[1]
            continue
        line = _Line(number, thread, rest.removesuffix(_UNFINISHED).rstrip())
        found.append(line)
        if rest.endswith(_UNFINISHED):
            open_[thread] = line
    return found


def _starts(line: _Line) -> bool:
    return line.text.startswith("execve(") and re.search(r"\)\s+= 0(?!x)", line.text) is not None


def _strangers(lines: Iterable[_Line]) -> set[str]:
    """The threads of other programs, and of processes that become one: what is not made as a thread."""
    found = {line.thread for line in lines if line.thread and _starts(line)}
    for line in lines:
        made = re.match(r"(?:clone3?|v?fork)\(.*\)\s+= (\d+)", line.text)
        if made is not None and (line.thread in found or "CLONE_THREAD" not in line.text):
            found.add(made[1])
    return found


def _call(name: str, arguments: Sequence[str], answer: str) -> Call | None:
    """The call; None for one that is not of memory without a file."""
    if name == "brk":
        return Call("brk", _number(arguments[0]), 0, "", False, _answer(answer))
    address, size = _number(arguments[0]), int(arguments[1], 0)
    if name in ("mmap", "mmap2", "old_mmap"):
        if "MAP_ANON" not in arguments[3]:
            return None
        fixed = "MAP_FIXED" in arguments[3].split("|")
        return Call("map", address, size, _access(arguments[2]), fixed, _answer(answer))
    if name == "munmap":
        return Call("unmap", address, size, "", False, _answer(answer))
    if name == "madvise":
        advice = _ADVICE.get(arguments[2], arguments[2])
        return Call("advise", address, size, advice, False, _answer(answer))
    return Call("protect", address, size, _access(arguments[2]), False, _answer(answer))


def _named(arguments: str, answer: str) -> Call | None:
    """What a mapping is called; None for another prctl, and where an emulator prints only numbers."""
    naming = _NAMING.fullmatch(arguments)
    if naming is None:
        return None
    return Call("name", int(naming[1], 0), int(naming[2]), naming[3], False, _answer(answer))


def _access(protection: str) -> str:
    return "rw" if "PROT_WRITE" in protection else "-"


def _number(text: str) -> int:
    return 0 if text == "NULL" else int(text, 0)


def _answer(text: str) -> Answer:
    """What the system answered: `0x7f00`, `0`, `-1 ENOMEM (...)`, or an emulator's `-1 errno=12 (...)`."""
    first, _, rest = text.strip().partition(" ")
    if first != "-1":
        return int(first, 0)
    error = re.match(r"(E[A-Z]+)|errno=(\d+)", rest)
    if error is None:
        raise ValueError(text)
    return Errno(int(error[2]) if error[2] else getattr(errno, error[1]))
