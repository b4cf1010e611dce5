"""A falling `ulimit -v`: the same ends as real processes come to, at the same limits.

How it is measured. A process under RLIMIT_AS is charged its image (text, data and bss by whole pages),
the stack that execve makes (132 KB), vvar and vdso, and then each mapping that the runtime makes or
reserves; threads cost nothing, since their stacks come from the heap. For linux/amd64 a program of the
modelled commit is run under limits on both sides of every border that the model has, where
$ARCHCALC_GO_PROGRAM names one (which keeps 200 objects and prints "kept 200"); for linux/386, a small C
program makes the mappings that the runtime makes (runtime386.c), which needs a compiler with -m32 and a
kernel that runs such programs.
`python tests/borders/test_ulimit.py` measures all borders to the kilobyte.
"""

from __future__ import annotations

import os
import platform as host
import re
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from allocator.common.throw import Death
from archcalc import machines
from archcalc.calculator import figures
from archcalc.machines.options import MachineOptions
from archcalc.profiles import platforms

HERE = Path(__file__).parent
KB = 1 << 10

pytestmark = pytest.mark.skipif(
    host.system() != "Linux" or host.machine() != "x86_64", reason="runs programs for linux on x86"
)

End = tuple[int, str]  # reservations tried, and the words; "alive" where there are none


def modelled(platform: str, limit: int, image: int | None, data_end: int | None = None) -> End:
    """How a simulated program ends that allocates one object under a limit in bytes."""
    options = MachineOptions(ulimit_v=limit, image_size=image, data_end=data_end)
    computed = figures.compute(platforms.load(platform))
    rt = machines.prepare(computed, options)
    try:
        rt.start()
        rt.malloc(8)
    except Death as death:
        return len(rt.attempts), death.words
    return len(rt.attempts), "alive"


def borders(
    end_at: Callable[[int], End], low: int, high: int, step: int = 128 * KB
) -> Iterator[tuple[int, End, End]]:
    """The limits at which the end changes, to a page: (limit, the end below it, the end from it on)."""
    below = end_at(low)
    for limit in range(low + step, high + 1, step):
        here = end_at(limit)
        if here != below:
            first, last = limit - step, limit
            while last - first > 4 * KB:
                middle = (first + last) // 2 // KB * KB
                if end_at(middle) == below:
                    first = middle
                else:
                    last = middle
            yield last, below, end_at(last)
            below = here


def run(program: Path, limit: int) -> str:
    """What a process prints under a limit. One that hangs once it has spoken is killed."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    process = subprocess.Popen(
        [program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=limited, env={"GOGC": "off"}
    )
    try:
        return process.communicate(timeout=2)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0].decode(errors="replace")


# linux/amd64: a real program.


@pytest.fixture(scope="module")
def go_program() -> Path:
    named = os.environ.get("ARCHCALC_GO_PROGRAM")
    if not named:
        pytest.skip("$ARCHCALC_GO_PROGRAM names no program of commit 7aefdfded for linux/amd64")
    return Path(named)


def end_of_go(program: Path, limit: int) -> str:
    """The words of a Go program's death, or alive."""
    text = run(program, limit)
    if text == "kept 200\n":
        return "alive"
    match = re.search(r"fatal error: (.*)", text)
    return match[1] if match else "killed"


AMD64_BORDERS = list(
    borders(lambda limit: modelled("linux/amd64", limit, None), 1300 * KB, 3500 * KB, 32 * KB)
)


def test_the_model_has_the_borders_of_the_measured_program() -> None:
    """Measured to the kilobyte on linux 6.x: 1356, 1548, 2608 and 2992 KB."""
    found = [(limit // KB, below[1], above[1]) for limit, below, above in AMD64_BORDERS]
    assert [words for _, *words in found] == [
        ["runtime: cannot reserve arena virtual address space", "runtime: cannot allocate memory"],
        ["runtime: cannot allocate memory", "runtime: out of memory"],
        ["runtime: out of memory", "runtime: cannot allocate memory"],
        ["runtime: cannot allocate memory", "alive"],
    ]
    for (limit, *_), measured in zip(found, (1356, 1548, 2608, 2992), strict=True):
        assert abs(limit - measured) <= 8


@pytest.mark.parametrize("border", AMD64_BORDERS, ids=lambda border: f"{border[0] // KB}k")
def test_a_real_program_ends_alike_on_both_sides_of_a_border(
    border: tuple[int, End, End], go_program: Path
) -> None:
    limit, below, above = border
    # Kernels differ by a few pages of vvar; the bands are at least 190 KB wide.
    assert end_of_go(go_program, limit - 40 * KB) == below[1]
    assert end_of_go(go_program, limit + 40 * KB) == above[1]


# linux/386: the same mappings, made by a small program.


@pytest.fixture(scope="module")
def c_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc")
    path = tmp_path_factory.mktemp("c") / "runtime386"
    flags = ["-m32", "-nostdlib", "-static", "-O1", "-fno-pie", "-no-pie", "-fno-stack-protector", "-w"]
    built = subprocess.run(
        [compiler, *flags, "-o", path, HERE / "runtime386.c"], capture_output=True, check=False
    )
    if built.returncode:
        pytest.skip("gcc has no -m32")
    try:
        subprocess.run([path], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this kernel runs no 386 programs")
    return path


def image_of(program: Path) -> tuple[int, int]:
    """What the program has mapped at its start, in bytes, and the end of its data."""
    text = subprocess.run([program, "maps"], check=True, capture_output=True, text=True).stdout
    parts = [re.match(r"([0-9a-f]+)-([0-9a-f]+) .*?(\[.*\])?$", line) for line in text.splitlines()]
    ranges = [(int(m[1], 16), int(m[2], 16), m[3]) for m in parts if m and m[3] != "[vsyscall]"]
    return sum(end - start for start, end, _ in ranges), max(end for _, end, name in ranges if not name)


def end_of_c(program: Path, limit: int) -> End:
    tries, _, words = run(program, limit).strip().partition(" ")
    return (int(tries), words) if tries else (0, "killed")


RUNGS = (270540800, 404758528, 538976256, 807411712)


@pytest.mark.parametrize("rung", RUNGS)
def test_386_ends_alike_around_every_rung(rung: int, c_program: Path) -> None:
    image, data_end = image_of(c_program)

    def model(limit: int) -> End:
        return modelled("linux/386", limit, image, data_end)

    found = list(borders(model, rung + image - 2 * KB * KB, rung + image + 3 * KB * KB, 64 * KB))
    assert len(found) >= 2
    for limit, below, above in found:
        assert end_of_c(c_program, limit - 8 * KB) == below
        assert end_of_c(c_program, limit + 8 * KB) == above


def main() -> None:
    """Prints every border of both, modelled and measured."""
    for limit, below, above in AMD64_BORDERS:
        print(f"linux/amd64 modelled {limit // KB} KB: {below[1]} | {above[1]}")
    named = os.environ.get("ARCHCALC_GO_PROGRAM")
    if named:
        measured = borders(lambda limit: (0, end_of_go(Path(named), limit)), 1280 * KB, 3200 * KB, 64 * KB)
        for limit, low, high in measured:
            print(f"linux/amd64 measured {limit // KB} KB: {low[1]} | {high[1]}")


if __name__ == "__main__":
    main()
