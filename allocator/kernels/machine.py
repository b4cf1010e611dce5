"""What a machine is like, as far as its memory goes: sizes, limits, habits, neighbours."""

from __future__ import annotations

from dataclasses import dataclass

from allocator.kernels.address_space import Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine and the process on it before its runtime asks for anything.

    Addresses and sizes are in bytes. `None` means no limit, or the habit of the
    operating system where that is what the field is about.
    """

    # The user's part of the address space: [low, high). `va_bits` cuts it at 1<<va_bits.
    low: int = 0x10000
    high: int = 0x7FFF_FFFF_F000
    va_bits: int | None = None
    page_size: int = 4096  # the kernel's; what the runtime believes is given to the System
    taken: tuple[Range, ...] = ()

    # The program itself. Its image [image_start, data_end) is taken when data_end is given.
    image_start: int = 0x40_0000
    data_end: int = 0
    image_size: int | None = None  # counted against ulimit_v; None: the image's own extent
    image_maps: int = 0  # mappings of the process besides the image and the taken ranges
    image_data: int = 0  # of image_size, what counts as data (RLIMIT_DATA)

    # Where the kernel puts what has no hint, or a hint that it does not honour.
    hints_honoured: bool = True
    top_down: bool | None = None
    mmap_base: int | None = None  # where a search starts: downward or upward from it

    ulimit_v: int | None = None  # RLIMIT_AS
    rlimit_data: int | None = None
    memlock_limit: int | None = None  # under mlockall(MCL_FUTURE): RLIMIT_MEMLOCK
    max_map_count: int | None = None

    # Linux: vm.overcommit_memory. Mode 0 refuses only what exceeds ram_and_swap at once, mode 2
    # keeps the sum under commit_limit. Windows and Solaris always keep it under commit_limit.
    overcommit: int = 0
    ram_and_swap: int | None = None
    commit_limit: int | None = None
    committed: int = 0  # what all others had already been promised

    # Windows before 8.1 charges the page tables of what is merely reserved.
    page_tables_charged: bool = False
    # Plan 9: how large the kernel lets one segment become (SEGMAPSIZE * PTEMAPMEM).
    segment_limit: int | None = None
    # Linux: whether names of anonymous mappings are kept (CONFIG_ANON_VMA_NAME).
    names_kept: bool = True

    @property
    def end(self) -> int:
        """The first address that is no longer the user's."""
        return self.high if self.va_bits is None else min(self.high, 1 << self.va_bits)

    @property
    def image(self) -> Range:
        """The pages of the program's image; empty when no data_end is known."""
        if self.data_end <= self.image_start:
            return Range(0, 0)
        page = self.page_size
        return Range(self.image_start // page * page, -(-self.data_end // page) * page)

    @property
    def image_bytes(self) -> int:
        """What the program's own mappings take of ulimit_v."""
        if self.image_size is not None:
            return self.image_size
        start, end = self.image
        return end - start

    @property
    def occupied(self) -> tuple[Range, ...]:
        """Every range that is not free at the start: the image and what others took."""
        return (self.image, *self.taken)
