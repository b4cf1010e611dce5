"""mem_bsd.go: freebsd, netbsd, openbsd, dragonfly, solaris and nacl. It is what all systems with mmap share.

For a 64-bit arena sysReserve asks nothing, so a neighbour is only noticed in sysMap. There dragonfly insists
(MAP_FIXED) on addresses that were not reserved, so a foreign mapping in the arena's way is silently
replaced. Nacl reserves nothing, whatever the size, and its munmap is empty (os_nacl.go).
"""

from __future__ import annotations

from allocator.common.throw import Throw
from allocator.contiguous.mem import System, as_word, judge_mapping
from allocator.kernels.posix import Posix
from allocator.kernels.system import Answer, Errno

# A store to a bad address while the runtime allocates: sigpanic's canpanic says no.
CRASH = "unexpected signal during runtime execution"
# The GOARCHes of a GOOS whose assembly stores to a bad address when madvise fails.
ADVICE_FAILURE_CRASHES = {
    "darwin": frozenset({"arm", "arm64"}),
    "netbsd": frozenset({"arm"}),
    "openbsd": frozenset({"386", "arm"}),
}
LARGE = 1 << 32  # what 64 bits reserve nothing for, when it is larger


class MemBsd(System):
    """The helpers over mmap, munmap and madvise. `phys_page_size` is what the runtime believes, in bytes."""

    minds_huge_pages = False

    def __init__(
        self, kernel: Posix, name: str, *, goarch: str = "", phys_page_size: int = 0, huge_page_size: int = 0
    ) -> None:
        super().__init__(kernel, name)
        self.kernel: Posix = kernel
        self.ptr_size = kernel.ptr_size
        self.phys_page_size = phys_page_size or kernel.page
        # sys.HugePageSize, 0 where the architecture has none, and where nothing asks for it.
        self.huge_page_size = huge_page_size if self.minds_huge_pages else 0
        self.advice_failure_crashes = goarch in ADVICE_FAILURE_CRASHES.get(name, ())
        # Most assembly stores to a bad address when munmap fails, too; sysvicall2 drops the answer.
        self.unmap_failure_crashes = name != "solaris"
        self.unmap_is_empty = self.reserves_nothing = name == "nacl"
        self.insists_unreserved = name == "dragonfly"

    def mmap(self, v: int, n: int, access: bool, fixed: bool = False, forced: Answer | None = None) -> int:
        """mmap as its callers have it: an address, or an errno below 4096."""
        return as_word(self.kernel.mmap(v, n, access, fixed, forced))

    def unmap(self, v: int, n: int, forced: Answer | None = None) -> None:
        """munmap, whose failure crashes on purpose on most systems."""
        if self.unmap_is_empty:
            return
        answer = forced if isinstance(forced, Errno) else self.kernel.munmap(v, n)
        if isinstance(answer, Errno) and self.unmap_failure_crashes:
            raise Throw(CRASH)

    def reserve(self, v: int, n: int) -> int:
        """mmap without access, which settles a sysReserve; 0 when refused."""
        p = self.mmap(v, n, False, forced=self.planned("sysReserve", v, n))
        return p if p >= 4096 else 0

    def sys_alloc(self, n: int, stat: str) -> int:
        p = self.mmap(0, n, True, forced=self.planned("sysAlloc", 0, n))
        return p if p >= 4096 else 0

    def sys_free(self, v: int, n: int) -> None:
        self.unmap(v, n, self.planned("sysFree", v, n))

    def unused_at(self, v: int, n: int) -> Answer:
        # MADV_FREE changes no mapping.
        forced = self.planned("sysUnused", v, n)
        return v if forced is None else forced

    def judge_unused(self, v: int, n: int, answer: Answer) -> None:
        if isinstance(answer, Errno) and self.advice_failure_crashes:
            raise Throw(CRASH)

    def sys_fault(self, v: int, n: int) -> None:
        # The answer is ignored.
        self.mmap(v, n, False, True, self.planned("sysFault", v, n))

    def sys_reserve(self, v: int, n: int) -> tuple[int, bool | None]:
        if self.reserves_nothing or (self.ptr_size == 8 and n > LARGE):
            return v, False
        p = self.reserve(v, n)
        return (p, True) if p else (0, None)

    def map_at(self, v: int, n: int, reserved: bool) -> Answer:
        fixed = reserved or self.insists_unreserved
        p = self.mmap(v, n, True, fixed, self.planned("sysMap", v, n))
        return p if p >= 4096 else Errno(p)

    def judge_map(self, v: int, n: int, reserved: bool, answer: Answer) -> None:
        judge_mapping(v, reserved, answer, self.printed)
