"""Linux: mem_linux.go over mmap, madvise and mprotect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import ClassVar

from allocator.common.throw import Exit, Throw
from allocator.kernels.calls import COLLAPSE, DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE, Kernel
from allocator.kernels.posix import EACCES, EAGAIN, EINVAL, ENOMEM
from allocator.kernels.system import Answer, Errno
from allocator.sparse.config import Config
from allocator.sparse.memory_of_system import MemoryOfSystem

UNSUPPORTED = ""  # no advice left to try


@dataclass(frozen=True, slots=True)
class Debug:
    """The GODEBUG settings that mem_linux.go looks at."""

    madvdontneed: bool = True
    harddecommit: bool = False
    disablethp: bool = False
    decoratemappings: bool = False  # until GODEBUG is read


PREFIX = " Go: "  # of what mappings are called
# As mmap, with what the mapping is to be called, if anything; 0 where that is to be asked call by call.
AtOnce = Callable[[int, int, bool, bool, str], int]


class MemLinux(MemoryOfSystem):
    """The helpers of linux and android. `advise_unused` is what sysUnused still hopes will work."""

    SETTINGS = frozenset(field.name for field in fields(Debug))
    USUAL: ClassVar = {"decoratemappings": 1}

    def __init__(self, config: Config, kernel: Kernel, debug: Debug = Debug()) -> None:
        super().__init__()
        self.config = config
        self.kernel = kernel
        self.debug = debug
        self._simple: AtOnce | None = getattr(kernel, "mmap_named", None)
        self.names = debug.decoratemappings  # whether the kernel is told what mappings are for
        self.advise_unused = FREE
        self.page = config.phys_page_size
        self.huge = config.phys_huge_page_size
        if self.huge > config.max_phys_huge_page_size:
            self.huge = 0

    def set_debug(self, name: str, value: int) -> None:
        on = value > 0 if name == "harddecommit" else bool(value)
        self.debug = replace(self.debug, **{name: on})
        if name == "decoratemappings":
            self.names = on

    @property
    def unused_may_keep(self) -> bool:  # type: ignore[override]
        """MADV_FREE leaves contents until memory is short; MADV_DONTNEED drops them."""
        return not self.debug.madvdontneed

    def alloc(self, n: int, name: str) -> int:
        p = self._mmap(0, n, True, False, name)
        if isinstance(p, Errno):
            if p.number == EACCES:
                self._exit("runtime: mmap: access denied")
            if p.number == EAGAIN:
                self._exit("runtime: mmap: too much locked memory (check 'ulimit -l').")
            return 0
        return p

    def _mmap(self, v: int, n: int, access: bool, fixed: bool, name: str) -> Answer:
        """mmap, and then setVMAName of what that gave; a mapping that insists on v has no name elsewhere."""
        if (
            self.names
            and self._simple is not None
            and (at := self._simple(v, n, access, fixed, PREFIX + name))
        ):
            return at
        p = self.kernel.mmap(v, n, access, fixed)
        if self.names and not isinstance(p, Errno) and (p == v or not fixed):
            # Any other answer than this one is ignored (prSetVMAUnsupported).
            self.names = self.kernel.name_mapping(p, n, PREFIX + name) != Errno(EINVAL)
        return p

    def _exit(self, line: str) -> None:
        self.printed.append(line)
        raise Exit(line)

    def unused(self, v: int, n: int) -> None:
        if self.config.used_advises_huge_pages and self.huge:
            self._keep_broken_edges_small(v, n)
        if (v | n) & (self.page - 1):
            raise Throw("unaligned sysUnused")
        self._drop(v, n)
        if self.debug.harddecommit and self._mmap(v, n, False, True, "unused") != v:
            raise Throw("runtime: cannot disable permissions in address space")

    def _drop(self, v: int, n: int) -> None:
        advice = self.advise_unused
        if self.debug.madvdontneed and advice != UNSUPPORTED:
            advice = DONTNEED
        kernel = self.kernel
        if advice == FREE:
            if kernel.madvise(v, n, FREE) == 0:
                return
            self.advise_unused = advice = DONTNEED
        if advice == DONTNEED:
            if kernel.madvise(v, n, DONTNEED) == 0 or not self.config.unused_falls_back:
                return
            self.advise_unused = UNSUPPORTED
        # madvise is optional in a kernel; a new mapping in place drops the old one's pages.
        self._mmap(v, n, True, True, "unused")

    def _keep_broken_edges_small(self, v: int, n: int) -> None:
        """Advises against huge pages where [v, v+n) breaks one, so that it is not made whole again."""
        huge = self.huge
        head = v & -huge if v % huge else 0
        tail = (v + n - 1) & -huge if (v + n) % huge else 0
        if head and head + huge == tail:
            self.kernel.madvise(head, 2 * huge, NOHUGEPAGE)
            return
        if head:
            self.kernel.madvise(head, huge, NOHUGEPAGE)
        if tail and tail != head:
            self.kernel.madvise(tail, huge, NOHUGEPAGE)

    def used(self, v: int, n: int) -> None:
        if self.debug.harddecommit:
            p = self._mmap(v, n, True, True, "used")
            if p == Errno(ENOMEM):
                raise Throw("runtime: out of memory")
            if p != v:
                raise Throw("runtime: cannot remap pages in address space")
            if not self.config.used_advises_huge_pages:
                return
        if self.config.used_advises_huge_pages:
            self.huge_page(v, n)

    @property
    def used_is_nothing(self) -> bool:
        if self.is_counted("used"):
            return False
        return not (self.debug.harddecommit or self.config.used_advises_huge_pages)

    def huge_page(self, v: int, n: int) -> None:
        huge = self.huge
        if huge:
            begin, end = -(-v // huge) * huge, (v + n) // huge * huge
            if begin < end:
                self.kernel.madvise(begin, end - begin, HUGEPAGE)

    def no_huge_page(self, v: int, n: int) -> None:
        if v & (self.page - 1):
            raise Throw("unaligned sysNoHugePageOS")
        self.kernel.madvise(v, n, NOHUGEPAGE)

    def huge_page_collapse(self, v: int, n: int) -> None:
        if v & (self.page - 1):
            raise Throw("unaligned sysHugePageCollapseOS")
        if self.huge:
            self.kernel.madvise(v, n, COLLAPSE)

    def free(self, v: int, n: int) -> None:
        self.kernel.munmap(v, n)

    def fault(self, v: int, n: int) -> None:
        if self.config.fault_by_mprotect:
            self.kernel.mprotect(v, n, False)
            self.kernel.madvise(v, n, DONTNEED)
        else:
            self.kernel.mmap(v, n, False, True)

    def reserve(self, v: int, n: int, name: str) -> int:
        p = self._mmap(v, n, False, False, name)
        return 0 if isinstance(p, Errno) else p

    def map(self, v: int, n: int, name: str) -> None:
        p = self._mmap(v, n, True, True, name)
        if p != v:
            if p == Errno(ENOMEM):
                raise Throw("runtime: out of memory")
            raise self._not_there(v, n, p)
        if self.debug.disablethp:
            self.no_huge_page(v, n)

    def map_at_once(self, v: int, n: int, name: str) -> bool:
        if self._simple is None or self.debug.disablethp or self.is_counted("map"):
            return False
        return bool(self._simple(v, n, True, True, PREFIX + name if self.names else ""))

    def alloc_at_once(self, n: int, name: str) -> int:
        if self._simple is None or self.is_counted("alloc"):
            return 0
        return self._simple(0, n, True, False, PREFIX + name if self.names else "")

    def _not_there(self, v: int, n: int, p: Answer) -> Throw:
        address, errno = (0, p.number) if isinstance(p, Errno) else (p, 0)
        self.printed.append(f"runtime: mmap({v:#x}, {n}) returned {address:#x}, {errno}")
        return Throw("runtime: cannot map pages in arena address space")

    def sbrk0(self) -> int:
        return self.kernel.brk()
