"""What all parts of a machine share: its configuration, the system's memory, the heap's address space.

The parts hold this and reach each other through it.
"""

from __future__ import annotations

from allocator.sparse.arenas import Arenas
from allocator.sparse.config import Config
from allocator.sparse.growth import Growth
from allocator.sparse.mem import Mem
from allocator.sparse.memory_of_system import MemoryOfSystem
from allocator.sparse.page_alloc import PageAlloc
from allocator.sparse.persistentalloc import PersistentAlloc
from allocator.sparse.steps import Steps
from allocator.sparse.summary_memory import SummaryMemory
from allocator.sparse.sysstats import SysStats


class Core:
    """The shared state of one simulated process's allocator.

    `current_p` is the number of the P that runs now, None while there is none; `printed` has the
    lines that the runtime printed. `seed` is the random number that the heap's base is drawn from.
    """

    arenas: Arenas
    growth: Growth
    tables: SummaryMemory
    pages: PageAlloc

    def __init__(self, config: Config, os: MemoryOfSystem, *, seed: int = 0) -> None:
        self.config = config
        self.seed = seed
        self.stats = SysStats()
        self.mem = Mem(config, os, self.stats)
        self.printed = os.printed
        self.persistent = PersistentAlloc(self)
        self.current_p: int | None = None
        self.steps: Steps | None = None

    def init_heap(self) -> None:
        """mheap.init: the heap of mallocinit, still without memory."""
        self.arenas = Arenas(self, self.seed)
        self.growth = Growth(self)
        self.tables = SummaryMemory(self)
        config = self.config
        in_arena = self.arenas.by_index
        self.pages = PageAlloc(config, self.tables, lambda p: config.arena_index(p) in in_arena)
