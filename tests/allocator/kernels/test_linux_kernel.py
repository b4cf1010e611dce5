"""The linux policy beside the kernel that the tests run on, both asked the same.

Needs an x86 linux and a C compiler; the probe is a freestanding program, so that its address space
holds nothing that was not asked for, and runs without randomised addresses.
"""

from __future__ import annotations

import ctypes
import platform
import random
import resource
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from allocator.kernels.address_space import MAPPED, RESERVED
from allocator.kernels.calls import HUGEPAGE, NOHUGEPAGE
from allocator.kernels.linux import HUGE_PAGES, NO_HUGE_PAGES, Linux
from allocator.kernels.machine import Machine
from allocator.kernels.maps import parse_maps, ranges
from allocator.kernels.posix import ENOMEM
from allocator.kernels.system import Errno

COMPILER = shutil.which("cc") or shutil.which("gcc")
FLAGS = ["-O1", "-nostdlib", "-static", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-no-pie"]
ADDR_NO_RANDOMIZE = 0x0040000
MMAP, MUNMAP, MADVISE, MINCORE, PRLIMIT, MAPS = 1, 2, 3, 4, 5, 6
MAP_PRIVATE_ANONYMOUS, MAP_FIXED = 0x22, 0x10
ADVICE = {HUGE_PAGES: 14, NO_HUGE_PAGES: 15}
NAMES = {HUGE_PAGES: HUGEPAGE, NO_HUGE_PAGES: NOHUGEPAGE}
END = {4: 0xFFFF_E000, 8: 0x7FFF_FFFF_F000}
HEAP = {4: 0x2000_0000, 8: 0xC0_0000_0000}


class Kernel:
    """The probe process; every method is one system call in it."""

    def __init__(self, probe: Path) -> None:
        self._process = subprocess.Popen(
            [probe],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=lambda: ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE),
        )
        assert self._process.stdin and self._process.stdout
        self._requests, self._answers = self._process.stdin, self._process.stdout

    def ask(self, operation: int, *arguments: int) -> int:
        """The kernel's answer: an address or 0, or a negative errno."""
        self._requests.write(struct.pack("<5Q", operation, *arguments, *[0] * (4 - len(arguments))))
        self._requests.flush()
        (answer,) = struct.unpack("<q", self._answers.read(8))
        return int(answer)

    def mmap(self, v: int, n: int, kind: int, fixed: bool = False) -> int:
        """As the runtime's assembly hands it on: an errno is a small positive number."""
        flags = MAP_PRIVATE_ANONYMOUS | (MAP_FIXED if fixed else 0)
        return abs(self.ask(MMAP, v, n, 3 if kind & MAPPED else 0, flags))

    def maps(self) -> str:
        self._requests.write(struct.pack("<5Q", MAPS, 0, 0, 0, 0))
        self._requests.flush()
        text = b""
        while size := struct.unpack("<Q", self._answers.read(8))[0]:
            text += self._answers.read(size)
        return text.decode()

    def close(self) -> None:
        self._requests.close()
        self._process.wait(10)
        self._answers.close()


@pytest.fixture(scope="module", params=[8, 4], ids=["64-bit", "32-bit"])
def probe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """The word size in bytes and the probe compiled for it."""
    ptr_size: int = request.param
    if COMPILER is None or platform.system() != "Linux" or platform.machine() != "x86_64":
        pytest.skip("needs an x86 linux and a C compiler")
    path = tmp_path_factory.mktemp("probe") / f"probe{ptr_size}"
    source = Path(__file__).with_name("kernel_probe.c")
    command = [COMPILER, *FLAGS, f"-m{ptr_size * 8}", "-o", str(path), str(source)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip(f"the compiler makes no {ptr_size * 8}-bit programs")
    try:
        subprocess.run([path], stdin=subprocess.DEVNULL, check=True, timeout=10)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"this kernel runs no {ptr_size * 8}-bit programs")
    return ptr_size, path


@pytest.fixture
def kernel(probe: tuple[int, Path]) -> Iterator[Kernel]:
    process = Kernel(probe[1])
    yield process
    process.close()


def modelled(kernel: Kernel, ptr_size: int, **limits: int) -> Linux:
    """The policy on a machine like the probe's, which has mapped nothing yet."""
    mappings = [m for m in parse_maps(kernel.maps()) if m.end <= END[ptr_size]]
    taken = ranges(mappings)
    machine = Machine(
        high=END[ptr_size],
        taken=taken,
        image_size=sum(m.end - m.start for m in mappings),
        image_maps=len(mappings) - len(taken),
        image_data=sum(m.end - m.start for m in mappings if m.writable_private),
        **limits,  # type: ignore[arg-type]
    )
    return Linux(machine, ptr_size=ptr_size)


def own(kernel: Kernel, linux: Linux) -> list[tuple[int, int, bool]]:
    """What the probe has mapped beyond what it started with, as (start, end, writable)."""
    return [
        (m.start, m.end, m.permissions == "rw-p")
        for m in parse_maps(kernel.maps())
        if m.end <= linux.end and not any(t.start <= m.start < t.end for t in linux.machine.taken)
    ]


def agree(kernel: Kernel, linux: Linux, *, refused: bool = False) -> None:
    """Both have the same mappings, split and merged alike.

    A recent kernel splits the neighbours of a MAP_FIXED before it finds that a limit refuses it,
    those of 2017 asked first; so after a refusal only what is mapped is compared.
    """
    model = [(start, end, bool(kind & MAPPED)) for start, end, kind in linux.space if kind]
    if refused:
        assert joined(own(kernel, linux)) == joined(model)
    else:
        assert own(kernel, linux) == model


def joined(mappings: list[tuple[int, int, bool]]) -> list[tuple[int, int, bool]]:
    result = mappings[:1]
    for start, end, writable in mappings[1:]:
        if result[-1][1:] == (start, writable):
            result[-1] = result[-1][0], end, writable
        else:
            result.append((start, end, writable))
    return result


def mapped(linux: Linux, v: int, n: int, kind: int, fixed: bool = False) -> int:
    """mmap of the policy, an errno as a small positive number."""
    answer = linux.mmap(v, n, bool(kind & MAPPED), fixed)
    return answer.number if isinstance(answer, Errno) else answer


def unmapped(linux: Linux, v: int, n: int) -> int:
    """munmap of the policy: 0 or an errno."""
    answer = linux.munmap(v, n)
    return answer.number if isinstance(answer, Errno) else answer


@pytest.mark.parametrize("seed", range(6))
def test_same_answers_and_mappings(probe: tuple[int, Path], kernel: Kernel, seed: int) -> None:
    ptr_size = probe[0]
    rng = random.Random(seed)
    page = 4096
    limits = {}
    if seed % 3 == 1:
        limits["ulimit_v"] = 40 << 20
        assert kernel.ask(PRLIMIT, 0, limits["ulimit_v"], 0, resource.RLIMIT_AS) == 0
    elif seed % 3 == 2:
        limits["rlimit_data"] = 24 << 20
        assert kernel.ask(PRLIMIT, 0, limits["rlimit_data"], 0, resource.RLIMIT_DATA) == 0
    linux = modelled(kernel, ptr_size, **limits)
    heap = HEAP[ptr_size]
    anywhere: list[tuple[int, int]] = []
    refused = False
    for step in range(700):
        v = heap + rng.randrange(12 << 20) // page * page
        n = rng.choice([page, 64 << 10, 100_000, 1 << 20, 5 << 20])
        kind = rng.choice([MAPPED, RESERVED])
        action = rng.random()
        if action < 0.3:
            hint = v + rng.choice([0, 0, 0, 100])
            assert mapped(linux, hint, n, kind) == kernel.mmap(hint, n, kind), (seed, step)
        elif action < 0.5:
            fixed = v + rng.choice([0, 0, 0, 100])
            p = mapped(linux, fixed, n, kind, fixed=True)
            assert p == kernel.mmap(fixed, n, kind, True), (seed, step)
            refused = refused or p == ENOMEM
        elif action < 0.6:
            n = min(n, 1 << 20)  # recent kernels align larger ones for huge pages
            p = kernel.mmap(0, n, kind)
            assert mapped(linux, 0, n, kind) == p, (seed, step)
            if p >= 4096:
                anywhere.append((p, n))
        elif action < 0.75:
            if anywhere and rng.random() < 0.3:
                v, n = anywhere.pop(rng.randrange(len(anywhere)))
            assert unmapped(linux, v, n) == -kernel.ask(MUNMAP, v, n), (seed, step)
        elif action < 0.9:
            advice = rng.choice([HUGE_PAGES, NO_HUGE_PAGES])
            v &= -(2 << 20)
            kernel.ask(MADVISE, v, 2 << 20, 0, ADVICE[advice])
            linux.madvise(v, 2 << 20, NAMES[advice])
        else:
            n = min(n, 16 * page)
            free = all(kernel.ask(MINCORE, at) == -12 for at in range(v, v + n, page))
            assert linux.mincore(v, n, page) != free, (seed, step)
    agree(kernel, linux, refused=refused)
    assert refused == bool(limits)
    assert linux.space.total(MAPPED) and linux.map_count > 10


def test_ends_of_the_address_space(probe: tuple[int, Path], kernel: Kernel) -> None:
    ptr_size = probe[0]
    linux = modelled(kernel, ptr_size)
    end = linux.end
    for v, n, fixed in [
        (end - 4096, 8192, True),
        (end - 4096, 8192, False),
        (end, 4096, True),
        (end, 4096, False),
        (HEAP[ptr_size] + 1, 4096, True),
        (0, 0, False),
        (0, (1 << 8 * ptr_size) - 1, False),
        (0, end, False),
        (1, 4096, False),
        (HEAP[ptr_size], 1 << 30, False),
    ]:
        assert mapped(linux, v, n, RESERVED, fixed) == kernel.mmap(v, n, RESERVED, fixed), (hex(v), n, fixed)
    agree(kernel, linux)


def test_reservation_probe_and_maps_as_the_runtime_asks(probe: tuple[int, Path], kernel: Kernel) -> None:
    """What mallocinit and the first growth ask for, up to the limit (mem_linux.go:183-232)."""
    ptr_size = probe[0]
    if ptr_size == 4:
        v, n = 0x0870_0000, 807_411_712
    else:
        v, n = HEAP[8], 64 << 10
    limit = 900 << 20
    assert kernel.ask(PRLIMIT, 0, limit, 0, resource.RLIMIT_AS) == 0
    linux = modelled(kernel, ptr_size, ulimit_v=limit)
    assert mapped(linux, v, n, RESERVED) == kernel.mmap(v, n, RESERVED) == v
    if ptr_size == 8:
        assert unmapped(linux, v, n) == kernel.ask(MUNMAP, v, n) == 0
    at = v + (256 << 20)
    granted = 0
    while True:
        p = kernel.mmap(at, 1 << 20, MAPPED, fixed=ptr_size == 4)
        assert mapped(linux, at, 1 << 20, MAPPED, fixed=ptr_size == 4) == p
        if p != at:
            break
        granted += 1
        at += 1 << 20
    # What was reserved is not counted again when it is mapped: 514 MB of that, then 129 new ones.
    assert 640 < granted < 645 if ptr_size == 4 else 895 < granted < 900
    agree(kernel, linux)


def test_number_of_mappings(probe: tuple[int, Path], kernel: Kernel) -> None:
    """vm.max_map_count: no further mapping, no split by advice, no hole in a mapping."""
    limit = int(Path("/proc/sys/vm/max_map_count").read_text())
    if probe[0] == 4 or limit > 100_000:
        pytest.skip("one word size is enough, and a larger limit takes too long to reach")
    linux = modelled(kernel, 8, max_map_count=limit)
    heap = HEAP[8]
    assert mapped(linux, heap, 8 << 20, MAPPED) == kernel.mmap(heap, 8 << 20, MAPPED) == heap
    at = heap + (16 << 20)
    while True:
        kind = MAPPED if at & 4096 else RESERVED
        p = kernel.mmap(at, 4096, kind)
        if p != at:
            break
        assert mapped(linux, at, 4096, kind) == at
        at += 4096
    assert mapped(linux, at, 4096, kind) == p == ENOMEM
    assert kernel.ask(MADVISE, heap + (2 << 20), 2 << 20, 0, ADVICE[NO_HUGE_PAGES]) < 0
    linux.madvise(heap + (2 << 20), 2 << 20, NOHUGEPAGE)
    assert unmapped(linux, heap + 4096, 4096) == -kernel.ask(MUNMAP, heap + 4096, 4096) == ENOMEM
    assert unmapped(linux, at - 4096, 4096) == kernel.ask(MUNMAP, at - 4096, 4096) == 0
    agree(kernel, linux)
