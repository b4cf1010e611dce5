"""Linux: what mm/mmap.c, mm/madvise.c and mm/mincore.c answer.

vm.max_map_count is counted in intervals of like protection, like huge-page advice and like name, as the
kernel splits and merges its mappings (golang/go#12233). Android's kernel is this one, too: what is particular
there is the machine. On Android 5 ART reserves large parts of a 32-bit address space before Go starts
(golang/go#9311), and arm64 kernels give 39 bits.
"""

from __future__ import annotations

from functools import cached_property

from allocator.kernels.address_space import MAPPED, RESERVED
from allocator.kernels.calls import HUGEPAGE, NOHUGEPAGE
from allocator.kernels.machine import Machine
from allocator.kernels.maps import MapsLine
from allocator.kernels.posix import EAGAIN, EBADF, EINVAL, ENOMEM, Posix
from allocator.kernels.system import Answer, Errno

# Advice is part of a mapping's kind: two neighbours that differ in it are two mappings.
NO_HUGE_PAGES = 4
HUGE_PAGES = 8
ADVICE = NO_HUGE_PAGES | HUGE_PAGES
_KINDS = {HUGEPAGE: HUGE_PAGES, NOHUGEPAGE: NO_HUGE_PAGES}
# So is its name, by its place among all that were given.
NAME_SHIFT = 4
WITHOUT_NAME = (1 << NAME_SHIFT) - 1
LONGEST_NAME = 79  # ANON_VMA_NAME_MAX_LEN, less the zero at its end


class Linux(Posix):
    """Linux' mmap, munmap, madvise and mincore, for 32 and 64 bits."""

    name = "linux"
    limit_counts_replaced = False
    # execve makes a stack of 132 KB; vvar and vdso have 32 KB (12 to 24 on kernels before 6.13).
    beside_image = (132 + 32) << 10
    limits = frozenset(
        {"ulimit_v", "rlimit_data", "memlock_limit", "max_map_count", "ram_and_swap", "commit_limit"}
    )
    fixed_out_of_range = ENOMEM

    def __init__(self, machine: Machine, *, ptr_size: int = 8, logs: bool = True) -> None:
        super().__init__(machine, ptr_size=ptr_size, logs=logs)
        self._names = {"": 0}

    @cached_property
    def boundless(self) -> bool:
        """Whether this machine refuses no mapping for its size."""
        m = self.machine
        limits = (m.ulimit_v, m.rlimit_data, m.memlock_limit, m.ram_and_swap, m.commit_limit)
        return all(limit is None for limit in limits)

    def mmap(self, v: int, n: int, access: bool, fixed: bool = False, forced: Answer | None = None) -> Answer:
        limit = self.machine.max_map_count
        if forced is None and (limit is None or self.map_count <= limit):
            at = self._at_once(v, n, MAPPED if access else RESERVED, fixed)
            if at is not None:
                if self.logs:
                    self.note("map", v, n, "rw" if access else "-", at, fixed)
                return at
        return super().mmap(v, n, access, fixed, forced)

    def mmap_named(self, v: int, n: int, access: bool, fixed: bool, name: str) -> int:
        """As `mmap`, and then `name_mapping` of what that gave; 0 where they are to be asked one by one.

        Without a name it is only the first. A growing heap asks for little else.
        """
        limit = self.machine.max_map_count
        number = self._names.get(name)
        if number is None or (limit is not None and self.map_count + 2 > limit):
            return 0
        if number and not self.machine.names_kept:
            return 0
        kind = (MAPPED if access else RESERVED) | number << NAME_SHIFT
        at = self._at_once(v, n, kind, fixed)
        if at is None:
            return 0
        if self.logs:
            self.note("map", v, n, "rw" if access else "-", at, fixed, name)
        return at

    def _at_once(self, v: int, n: int, kind: int, fixed: bool) -> int | None:
        """Where a mapping of this kind goes and now is, where no size is limited and its place is simple.

        None: it is not so, and nothing has changed.
        """
        page = self.page
        if self.plan is not None or not n or v & (page - 1) or not self.boundless:
            return None
        end = v + n if not n & (page - 1) else v + n + page - 1 & -page
        if not v and not fixed:
            at = self._pick_anywhere(end)
            if at is not None:
                self.space.place(at, at + end, kind)
            return at
        if v < self.lowest or end > self.end or not (fixed or self.machine.hints_honoured):
            return None
        return v if self._goes_on(v, end, kind, fixed) else None

    def _goes_on(self, start: int, end: int, kind: int, fixed: bool) -> bool:
        """Makes [start, end) of this kind where it lengthens what lies beside it, or was free and may be."""
        space = self.space
        if fixed and space.move_border(start, end, kind):
            return True
        if space.lengthen(start, end, kind):
            return True
        if fixed:
            return space.cut_head(start, end, kind)
        if space.is_free(start, end):
            space.place(start, end, kind)
            return True
        return False

    @cached_property
    def lowest(self) -> int:
        """The lowest address that a hint can name."""
        return max(self.machine.low, self.page)

    def _search_base(self, top_down: bool) -> int:
        # mmap_base() keeps at least 128 MB for the stack; the old layout starts at a third.
        if top_down:
            return self.end - (128 << 20)
        return -(-(self.end // 3) // self.page) * self.page

    def _pick_anywhere(self, size: int) -> int | None:
        low, page, space = self.machine.low, self.page, self.space
        if not self._top_down:
            return space.find_up(size, self._base, self.end, page)
        at = space.find_down(size, self._base, low, page)
        if at is None:
            # arch_get_unmapped_area_topdown tries upward before it gives up.
            at = space.find_up(size, max(self._search_base(False), low), self.end, page)
        return at

    def _refusal(self, at: int, size: int, kind: int) -> int:
        m = self.machine
        if m.max_map_count is not None and self.map_count > m.max_map_count:
            return ENOMEM
        if m.memlock_limit is not None and self._own_bytes() + size > m.memlock_limit:
            return EAGAIN
        refusal = super()._refusal(at, size, kind)
        if refusal:
            return refusal
        if kind & MAPPED:
            return self._refusal_of_memory(at, size)
        return 0

    def _refusal_of_memory(self, at: int, size: int) -> int:
        """What speaks against `size` writable bytes: RLIMIT_DATA and overcommit."""
        m = self.machine
        if m.rlimit_data is not None:
            used = self._writable_bytes() + m.image_data
            # may_expand_vm is asked again without what MAP_FIXED replaces, whatever that was.
            replaced = sum(end - start for start, end, _ in self.space.pieces(at, at + size))
            if used + size - replaced > m.rlimit_data:
                return ENOMEM
        if m.overcommit == 0 and m.ram_and_swap is not None and size > m.ram_and_swap:
            return ENOMEM
        if m.overcommit == 2 and m.commit_limit is not None:
            pieces = self.space.pieces(at, at + size)
            returned = sum(end - start for start, end, kind in pieces if kind & MAPPED)
            if m.committed + self._writable_bytes() - returned + size > m.commit_limit:
                return ENOMEM
        return 0

    def _writable_bytes(self) -> int:
        return sum(size for kind, size in self.space.totals().items() if kind & MAPPED)

    def _unmap(self, v: int, n: int) -> Answer:
        limit = self.machine.max_map_count
        if limit is not None and self.map_count >= limit:
            at = self.space.at(v)
            if at is not None and at[0] < v and v + n < at[1]:
                return Errno(ENOMEM)  # it would split one mapping in two
        return super()._unmap(v, n)

    def mincore(self, v: int, n: int, step: int) -> bool:
        """Whether mincore finds a mapped page in [v, v+n), asked of one page at v and every `step` on.

        The kernel refuses to look (EINVAL) at what is not a multiple of its page.
        """
        page = self.page
        first = v
        if step < page:
            while first & (page - 1):
                first += step
                if first >= v + page:
                    return False
            step = page
        elif v & (page - 1):
            return False
        for start, end, _ in self.space.pieces(first, v + n):
            asked = first + -(-(start - first) // step) * step
            if asked < end:
                return True
        return False

    def _refusal_of_access(self, at: int, size: int, kind: int) -> int:
        return self._refusal_of_memory(at, size) if kind & MAPPED else 0

    def _take_advice(self, v: int, n: int, advice: str) -> None:
        kind = _KINDS.get(advice)
        if kind is None:
            return
        for start, end, had in self.space.pieces(v, v + n):
            if had and not self._becomes(start, end, had, had & ~ADVICE | kind):
                return  # madvise ends there

    def _becomes(self, start: int, end: int, had: int, new: int) -> bool:
        """Gives [start, end) a new kind; False where split_vma refuses one mapping more."""
        if new != had:
            limit = self.machine.max_map_count
            if limit is not None and self.map_count >= limit and self._splits(start, end, new):
                return False
            self.space.place(start, end, new)
        return True

    # Names, as prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME) gives them.

    def name_mapping(self, v: int, n: int, name: str) -> Answer:
        """0 or an errno. EINVAL: the kernel keeps no names, or the request is none."""
        answer = self._name(v, n, name)
        self.note("name", v, n, name, Errno(answer) if answer else 0)
        return Errno(answer) if answer else 0

    def _name(self, v: int, n: int, name: str) -> int:
        """The errno, or 0."""
        page = self.page
        sound = len(name) <= LONGEST_NAME and all(" " <= c <= "~" and c not in "\\`$[]" for c in name)
        if not self.machine.names_kept or v & (page - 1) or not sound:
            return EINVAL
        number = self._names.setdefault(name, len(self._names)) << NAME_SHIFT
        end = v + n + page - 1 & -page
        at = v  # up to where all is mapped
        for start, stop, had in self.space.pieces(v, end):
            if not had:
                return EBADF  # of a file, as the program's image is
            if not self._becomes(start, stop, had, had & WITHOUT_NAME | number):
                return EAGAIN
            at = stop if start == at else at
        return 0 if at >= end else ENOMEM

    def maps(self) -> list[MapsLine]:
        """What /proc/PID/maps has of the runtime's mappings, in order; nothing of the program's own."""
        names = [f"[anon:{name}]" if name else "" for name in self._names]
        return [
            MapsLine(start, end, "rw-p" if kind & MAPPED else "---p", names[kind >> NAME_SHIFT])
            for start, end, kind in self.space
            if kind
        ]

    def _splits(self, start: int, end: int, kind: int) -> bool:
        """Whether giving [start, end) this kind makes more mappings than there were."""
        before, after = self.space.at(start - 1), self.space.at(end)
        old = self.space.at(start)
        assert old is not None
        more = 0
        if old[0] < start:
            more += 1
        elif before is not None and before[2] == kind:
            more -= 1
        if end < old[1]:
            more += 1
        elif after is not None and after[2] == kind:
            more -= 1
        return more > 0
