"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from archcalc.reading.errors import Fault, UsageFault


def check_writable(path: Path, force: bool) -> None:
    """Refuses early what `write` would refuse after the work. Raises UsageFault."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise _fault(path, "its folder does not exist", "a folder that exists") from None
        return
    except OSError as error:
        raise _fault(path, error.strerror or str(error)) from error
    if stat.S_ISDIR(mode):
        raise _fault(path, "is a folder", "a file name")
    if stat.S_ISREG(mode) and not force:
        raise _fault(path, "exists already", "another name, or --force to replace it")


def write(path: Path, pieces: Iterable[str], force: bool = False) -> None:
    """Writes the pieces as UTF-8, as `replacing` does. Raises UsageFault."""
    with replacing(path, force) as stream:
        for piece in pieces:
            stream.write(piece.encode())


def write_bytes(path: Path, data: bytes, force: bool = False) -> None:
    """The same for what is not text. Raises UsageFault."""
    with replacing(path, force) as stream:
        stream.write(data)


@contextmanager
def replacing(path: Path, force: bool = False) -> Iterator[IO[bytes]]:
    """A file to write to: complete, it takes the path's place; where the block fails, all stays as it was.

    Devices and pipes cannot be replaced and are written to. Raises UsageFault.
    """
    check_writable(path, force)
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:
                yield stream
            return
        with _beside(Path(os.path.realpath(path)), force) as stream:
            yield stream
    except FileExistsError as error:
        raise _fault(path, "exists already", "another name, or --force to replace it") from error
    except OSError as error:
        raise _fault(path, error.strerror or str(error)) from error


@contextmanager
def _beside(path: Path, force: bool) -> Iterator[IO[bytes]]:
    """A temporary file beside the target, which takes its place in one step."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask())
        if force:
            os.replace(name, path)
        elif hasattr(os, "link") and os.name != "nt":
            # Unlike a rename, a link never replaces a file that somebody else made meanwhile.
            try:
                os.link(name, path)
            except FileExistsError:
                raise
            except OSError:
                os.rename(name, path)
        else:
            os.rename(name, path)
    finally:
        if os.path.exists(name):
            os.unlink(name)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _fault(path: Path, found: str, expected: str = "") -> UsageFault:
    return UsageFault(Fault(f"cannot write: {found}", expected, id="output", file=str(path)))
