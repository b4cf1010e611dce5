"""Where machine code is kept: beside the bytecode of the file that it was made of, or in the user's cache.

The code stands by itself: it needs nothing outside, and no address in it has to be mended (`jit` sees to it).
So the file is mapped as the system maps a library, and called. A file that is damaged, or of other sources,
versions or another kind of processor, is as good as none.
"""

from __future__ import annotations

import hashlib
import importlib.util
import mmap
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

MARK = b"archcalc machine code\n"
ALIGNED = 64  # bytes
PACKAGES = ("numba", "llvmlite")  # which make it
FILES = ("jit.py", "machine_code.py", "routine.py")  # how it is made, kept and called


class Made(NamedTuple):
    """Machine code, and where in it each function begins."""

    text: bytes
    offsets: dict[str, int]


class Loaded(NamedTuple):
    """Machine code that can be called: where each function begins, as long as `memory` is kept."""

    address: dict[str, int]
    memory: mmap.mmap


def load(source: str, key: str) -> Loaded | None:
    """The code that was made of that source with that key; None where there is none that can be called."""
    told = _digest(key)
    for path in places(source):
        found = _mapped(path, told) if told is not None else None
        if found is not None:
            return found
    return None


def keep(source: str, key: str, made: Made) -> Loaded | None:
    """Keeps code; None where it cannot be kept, or not be called where it is kept."""
    told = _digest(key)
    if told is None:
        return None
    head = told + b"\n" + " ".join([f"{name}={at}" for name, at in made.offsets.items()]).encode() + b"\n"
    # The sum has 64 digits, and an end of line.
    head += b" " * (-(len(MARK) + 65 + len(head)) % ALIGNED)
    content = head + made.text
    content = MARK + hashlib.sha256(content).hexdigest().encode() + b"\n" + content
    for path in places(source):
        try:
            _write(path, content)
        except OSError:
            continue
        found = _mapped(path, told)
        if found is not None:
            return found
    return None


def _digest(key: str) -> bytes | None:
    """Stands for the key and all else that code depends on; None where code is not kept."""
    if not hasattr(mmap, "PROT_EXEC"):
        return None
    made_by = []
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            return None
        # Asking the packages for their versions would import them.
        made_by.append(Path(spec.origin).with_name("_version.py"))
    made_by += [Path(__file__).with_name(name) for name in FILES]
    try:
        contents = [file.read_bytes() for file in made_by]
    except OSError:
        return None
    about = (key, contents, sys.implementation.cache_tag, sys.platform, platform.machine(), sys.maxsize)
    return hashlib.sha256(repr(about).encode()).hexdigest().encode()


def places(source: str) -> list[Path]:
    """Where code of a source is looked for, and kept in the first that can be written."""
    beside = Path(importlib.util.cache_from_source(source)).with_suffix(".code")
    own = os.environ.get("XDG_CACHE_HOME", "")
    places = [beside]
    with suppress(RuntimeError):  # there is no home
        places.append((Path(own) if own else Path.home() / ".cache") / "archcalc" / beside.name)
    return places


def _mapped(path: Path, told: bytes) -> Loaded | None:
    try:
        with path.open("rb") as file:
            memory = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)
    except (OSError, ValueError):  # none, not to be read or run from there, or empty
        return None
    mark, summed, rest = memory[: len(MARK)], memory[len(MARK) : len(MARK) + 64], memory[len(MARK) + 65 :]
    if mark != MARK or summed != hashlib.sha256(rest).hexdigest().encode():
        return None
    lines = rest.split(b"\n", 2)
    if lines[0] != told:
        return None
    offsets = [each.partition(b"=") for each in lines[1].split(b" ")]
    head = len(memory) - len(lines[2])
    begin = np.frombuffer(memory, np.uint8).ctypes.data + head + -head % ALIGNED
    return Loaded({name.decode(): begin + int(at) for name, _, at in offsets}, memory)


def _write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
    file = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with open(file, "wb") as to:
            to.write(content)
        os.replace(made, path)
    except OSError:
        made.unlink()
        raise
