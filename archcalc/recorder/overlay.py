"""Building a program with the recorder in its runtime: `go build -overlay`, with the user's own Go.

The toolchain is not touched: copies of a few of its runtime's files, with our calls put in, are in a folder
of their own, and the go command is told to read those.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from archcalc.reading.errors import UsageFault
from archcalc.recorder import edits

# Entry points by size do the same as mallocgc; with them off there is one way in.
WITHOUT = "nosizespecializedmalloc"
SANITIZERS = ("race", "msan", "asan")  # each has its own ways of placing and padding objects
# Experiments whose heap is not replayed: marks of pointers beside it, objects freed at once.
ANOTHER_HEAP = ("noallocheaders", "runtimefreegc")
FIRST, LAST = (1, 22), (1, 27)


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A go command and what it says of itself."""

    command: Path
    goroot: Path
    release: str
    goos: str
    goarch: str
    experiment: str
    flags: str = ""  # GOFLAGS

    @property
    def platform(self) -> str:
        """What it builds for."""
        return f"{self.goos}/{self.goarch}"

    @property
    def minor(self) -> tuple[int, int]:
        """1.27.3 as (1, 27). UsageFault for a development version, and for what cannot be recorded."""
        return refuse_other_releases(self.release, f"{self.command} is {self.release}")


def refuse_other_releases(release: str, found: str) -> tuple[int, int]:
    """go1.27.3 as (1, 27). UsageFault, which says what was found, for one that cannot be recorded."""
    match = re.match(r"go(\d+)\.(\d+)", release)
    minor = (int(match[1]), int(match[2])) if match is not None else (0, 0)
    if not FIRST <= minor <= LAST:
        raise UsageFault(f"{found}; releases 1.22 to 1.27 can be recorded")
    return minor


def toolchain(command: Path, env: Mapping[str, str]) -> Toolchain:
    """Asks a go command what it is. UsageFault where it is none, or of a release that cannot be recorded."""
    names = ["GOROOT", "GOVERSION", "GOOS", "GOARCH", "GOEXPERIMENT", "GOFLAGS"]
    try:
        done = subprocess.run(
            [str(command), "env", "-json", *names], capture_output=True, text=True, env=dict(env), check=True
        )
        said = json.loads(done.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError) as broken:
        words = getattr(broken, "stderr", "") or str(broken)
        raise UsageFault(f"{command} is not a go command: {words.strip()}") from None
    found = Toolchain(
        command,
        Path(said["GOROOT"]),
        said["GOVERSION"].split()[0],
        said["GOOS"],
        said["GOARCH"],
        said["GOEXPERIMENT"],
        said["GOFLAGS"],
    )
    refuse_other_releases(found.release, f"{command} is {found.release}")
    if found.goos != "linux":
        raise UsageFault(f"programs for {found.platform} cannot be recorded; expected GOOS=linux")
    for name in found.experiment.split(","):
        if name in ANOTHER_HEAP or (name == "none" and found.minor == (1, 22)):  # it had headers as one
            words = f"{found.release} has another heap with it; expected a build without"
            raise UsageFault(f"GOEXPERIMENT={name}: {words}")
    for flag in found.flags.split():
        if flag.lstrip("-").removesuffix("=true") in SANITIZERS:
            raise UsageFault(f"{flag} in GOFLAGS: with it the heap is another one; expected a build without")
    return found


def write(go: Toolchain, folder: Path) -> Path:
    """Writes the changed files and the overlay's list into a folder. Returns the list's path."""
    runtime = go.goroot / "src" / "runtime"
    try:
        source = {
            path.name: path.read_text() for path in runtime.glob("*.go") if not path.name.endswith("_test.go")
        }
    except OSError as broken:
        raise UsageFault(
            f"{runtime} cannot be read: {broken.strerror}; expected Go's own sources there"
        ) from None
    if "malloc.go" not in source:
        raise UsageFault(f"{runtime} has no malloc.go; expected Go's own sources there")
    changed = edits.apply(source, go.release)
    recorder = Path(__file__).with_name("recorder.go").read_text()
    atomic = re.search(
        r'"((?:internal/runtime|runtime/internal)/atomic)"', source["malloc.go"] + source["mheap.go"]
    )
    changed["archcalc_record.go"] = (
        recorder.replace("internal/runtime/atomic", atomic[1]) if atomic else recorder
    )
    changed["archcalc_release.go"] = _of_release(source)
    replaced = {}
    for name, text in changed.items():
        (folder / name).write_text(text)
        replaced[str(runtime / name)] = str(folder / name)
    path = folder / "overlay.json"
    path.write_text(json.dumps({"Replace": replaced}))
    return path


def fixallocs_of(go: Toolchain) -> list[str]:
    """The same, of a toolchain."""
    return fixallocs({"mheap.go": (go.goroot / "src" / "runtime" / "mheap.go").read_text()})


def fixallocs(source: Mapping[str, str]) -> list[str]:
    """The mheap's fixallocs, in its fields' order: their index is what the raw log says."""
    heap = source["mheap.go"]
    start = heap.index("\ntype mheap struct {")
    return re.findall(r"^\t(\w+)\s+fixalloc\b", heap[start : heap.index("\n}\n", start)], re.M)


def _of_release(source: Mapping[str, str]) -> str:
    """What the recorder needs to know of the release, as Go."""
    cases = "".join(
        f"\tcase &mheap_.{name}:\n\t\treturn {index + 1}\n" for index, name in enumerate(fixallocs(source))
    )
    told = "".join(
        f"\tarchcalcRecord('#', 3, {100 + index}, mheap_.{name}.size, "
        f"archcalcStat(mheap_.{name}.stat), 0, 0, 0)\n"
        for index, name in enumerate(fixallocs(source))
    )
    on_demand = (
        "typ.TFlag&abi.TFlagGCMaskOnDemand != 0" if "TFlagGCMaskOnDemand" in source["type.go"] else None
    )
    no_mask = on_demand or "typ.Kind_&kindGCProg != 0" if "kindGCProg" in source["mbitmap.go"] else on_demand
    imports = '\nimport "internal/abi"\n' if "abi." in (no_mask or "") else ""
    if no_mask is None:
        no_mask, imports = "typ.Kind_&abi.KindGCProg != 0", '\nimport "internal/abi"\n'
    arenas = "heapArenas" if re.search(r"^\theapArenas ", source["mheap.go"], re.M) else "allArenas"
    unrolled = "false"
    if any("abi.TFlagUnrolledBitmap" in text for text in source.values()):
        unrolled = "typ.TFlag&abi.TFlagUnrolledBitmap != 0"
        imports = '\nimport "internal/abi"\n'
    protect = ""
    if "mprotect(" in source["mem_linux.go"]:
        protect = (
            "func archcalcMprotect(addr unsafe.Pointer, n uintptr, prot int32) {\n\tmprotect(addr, n, prot)\n"
            "\tarchcalcRecord('G', 3, uintptr(addr), n, uintptr(prot), 0, 0, 0)\n}\n\n"
        )
        imports += '\nimport "unsafe"\n'
    lot = ""
    if "bootstrapRand()" in source["malloc.go"]:
        lot = (
            "func archcalcLot() uint64 {\n\tlot := bootstrapRand()\n"
            "\tarchcalcWide('J', 2, 0, lot, 0, 0)\n\treturn lot\n}\n\n"
        )
    return (
        f"package runtime\n{imports}\n"
        "//go:nosplit\nfunc archcalcFix(f *fixalloc) uintptr {\n"
        f"\tswitch f {{\n{cases}\t}}\n\treturn 0\n}}\n\n"
        f"func archcalcFixes() {{\n{told}}}\n\n"
        f"func archcalcUnrolled(typ *_type) bool {{\n\treturn {unrolled}\n}}\n\n"
        f"{lot}{protect}//go:nosplit\nfunc archcalcNoMask(typ *_type) bool {{\n\treturn {no_mask}\n}}\n\n"
        f"func archcalcArenas() []arenaIdx {{\n\treturn mheap_.{arenas}\n}}\n\n"
        "func archcalcStopTheWorld() {\n\tstopTheWorld(stwReadMemStats)\n}\n"
    )


def build(
    go: Toolchain,
    target: str,
    output: Path,
    overlay: Path,
    env: Mapping[str, str],
    test: bool,
    folder: Path | None,
    called: str,
) -> None:
    """Builds a program, or a package's tests, in a folder. UsageFault with the go command's own words.

    `target` is what the go command is told there, `called` what the user has said.
    """
    verb = ["test", "-c"] if test else ["build"]
    command = [str(go.command.absolute()), *verb, "-overlay", str(overlay), "-o", str(output), target]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(go, env), cwd=folder)
    if done.returncode:
        raise UsageFault(f"{go.release} does not build {called}:\n{(done.stderr or done.stdout).strip()}")
    if not output.is_file() or output.read_bytes()[:4] != b"\x7fELF":
        raise UsageFault(
            f"{called} has no tests; expected a package that has"
            if test
            else f"{called} is not a program; expected a package main"
        )


def environment(go: Toolchain, env: Mapping[str, str]) -> dict[str, str]:
    """The environment to build in: the user's, with what the recorder needs."""
    found = dict(env)
    if go.minor >= (1, 26):
        found["GOEXPERIMENT"] = ",".join(filter(None, [go.experiment, WITHOUT]))
    return found
