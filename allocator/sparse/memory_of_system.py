"""What a system's mem_*.go offers: the helpers without counters (sysAllocOS and its kin)."""

from __future__ import annotations

from typing import ClassVar


class MemoryOfSystem:
    """One subclass for each family of systems. Addresses and sizes in bytes; 0 is a refusal.

    `printed` has the lines that the runtime prints before it dies.
    """

    # Whether memory may keep its contents after `unused` (needZeroAfterSysUnusedOS).
    unused_may_keep: ClassVar[bool] = True

    # The settings of GODEBUG that the system's file looks at, and those that are on where it says nothing.
    SETTINGS: ClassVar[frozenset[str]] = frozenset()
    USUAL: ClassVar[dict[str, int]] = {}

    def __init__(self) -> None:
        self.printed: list[str] = []

    def set_debug(self, name: str, value: int) -> None:
        """GODEBUG has one of SETTINGS from now on."""

    @property
    def overwrote_program(self) -> bool:
        """Whether a fixed mapping replaced what is the program's own: its code or data read as zeros now."""
        return bool(getattr(getattr(self, "kernel", None), "overwritten", ()))

    def alloc(self, n: int, name: str) -> int:
        """Zeroed readable and writable memory (sysAllocOS)."""
        raise NotImplementedError

    def free(self, v: int, n: int) -> None:
        """Gives back memory or a reservation (sysFreeOS)."""
        raise NotImplementedError

    def reserve(self, v: int, n: int, name: str) -> int:
        """Addresses without access, at the hint v if possible (sysReserveOS)."""
        raise NotImplementedError

    def map(self, v: int, n: int, name: str) -> None:
        """Makes a reservation usable; throws where the system refuses (sysMapOS)."""
        raise NotImplementedError

    def map_at_once(self, v: int, n: int, name: str) -> bool:
        """As `map` where the system is known to grant it; else False, and nothing was asked."""
        return False

    def alloc_at_once(self, n: int, name: str) -> int:
        """As `alloc` where the system is known to have so much; else 0, and nothing was asked."""
        return 0

    def unused(self, v: int, n: int) -> None:
        """The contents are not needed (sysUnusedOS)."""

    def used(self, v: int, n: int) -> None:
        """The memory is needed again (sysUsedOS)."""

    @property
    def used_is_nothing(self) -> bool:
        """Whether `used` does nothing at all, so that it can be left out."""
        return type(self).used is MemoryOfSystem.used and not self.is_counted("used")

    def is_counted(self, helper: str) -> bool:
        """Whether calls of a helper are counted, so that none may be left out: counting replaces it."""
        return helper in vars(self)

    def fault(self, v: int, n: int) -> None:
        """Takes access away (sysFaultOS)."""

    def huge_page(self, v: int, n: int) -> None:
        """Recommends huge pages (sysHugePageOS)."""

    def no_huge_page(self, v: int, n: int) -> None:
        """Advises against huge pages (sysNoHugePageOS)."""

    def huge_page_collapse(self, v: int, n: int) -> None:
        """Makes huge pages at once (sysHugePageCollapseOS)."""

    def sbrk0(self) -> int:
        """Where the break is; 0 on systems that do not tell (sbrk0)."""
        return 0

    def reserve_aligned_sbrk(self, size: int, align: int) -> tuple[int, int]:
        """Aligned memory below the break, of systems that have nothing else (sysReserveAlignedSbrk)."""
        raise NotImplementedError
