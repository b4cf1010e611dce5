"""Special records: what is attached to single objects until their span is swept (mheap.go, mgcsweep.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import BadRequest, Throw
from allocator.sparse.fixalloc import FixAlloc

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore
    from allocator.sparse.mspan import MSpan

# The kinds in the order of the records of one object: they are distinguished by name here, as
# their numbers changed from release to release.
TINY_BLOCK = "tiny block"
FINALIZER = "finalizer"
WEAK_HANDLE = "weak handle"
PROFILE = "profile"
REACHABLE = "reachable"
PIN_COUNTER = "pin counter"
CLEANUP = "cleanup"
CHECK_FINALIZER = "check finalizer"
BUBBLE = "bubble"
SECRET = "secret"

ORDER = {
    kind: i
    for i, kind in enumerate(
        (
            TINY_BLOCK, FINALIZER, WEAK_HANDLE, PROFILE, REACHABLE, PIN_COUNTER, CLEANUP, CHECK_FINALIZER,
            BUBBLE, SECRET,
        )
    )
}  # fmt: skip

# The struct of each kind's record, and the counter that its chunks are charged to.
RECORDS = {
    TINY_BLOCK: ("specialTinyBlock", "other_sys"),
    FINALIZER: ("specialfinalizer", "other_sys"),
    WEAK_HANDLE: ("specialWeakHandle", "gc_misc_sys"),
    PROFILE: ("specialprofile", "other_sys"),
    PIN_COUNTER: ("specialPinCounter", "other_sys"),
    CLEANUP: ("specialCleanup", "other_sys"),
    CHECK_FINALIZER: ("specialCheckFinalizer", "other_sys"),
    BUBBLE: ("specialBubble", "other_sys"),
    SECRET: ("specialSecret", "other_sys"),
}
# In Go these records' owners have them, so that there is no fixalloc of them to take from or free to.
OWNED = frozenset({REACHABLE})


class Special:
    """One record: what kind, on which byte of its span, and where the record itself lies (0: its owner's)."""

    __slots__ = ("address", "kind", "offset")

    def __init__(self, kind: str, offset: int, address: int) -> None:
        self.kind = kind
        self.offset = offset
        self.address = address


class Specials:
    """All special records. Queues have addresses of objects whose finalizers, or cleanups, are to run."""

    __slots__ = ("allocs", "cleanup_queue", "core", "finalizer_queue", "reached")

    def __init__(self, core: HeapCore) -> None:
        self.core = core
        sizes = core.config.sizeof
        self.allocs = {
            kind: FixAlloc(core, sizes[struct], stat)
            for kind, (struct, stat) in RECORDS.items()
            if struct in sizes
        }
        self.finalizer_queue: list[int] = []
        self.cleanup_queue: list[int] = []
        self.reached: dict[int, bool] = {}  # of objects with a `reachable` record, once known

    def add(self, p: int, kind: str, force: bool = False) -> bool:
        """Attaches a record to the object at p. False where it has one, unless forced (addspecial)."""
        if kind not in self.allocs and kind not in OWNED:
            raise BadRequest(f"this release has no {kind} records")
        core = self.core
        address = 0 if kind in OWNED else self.allocs[kind].alloc()
        s = core.heap.span_of_heap(p)
        if s is None:
            raise Throw("addspecial on invalid pointer")
        core.sweeper.ensure_swept(s)
        offset = p - s.base
        records = s.specials or []
        key = offset, ORDER[kind]
        at = 0
        while at < len(records) and (records[at].offset, ORDER[records[at].kind]) < key:
            at += 1
        exists = at < len(records) and records[at].offset == offset and records[at].kind == kind
        if exists and not force:
            if address:
                self.allocs[kind].free(address)
            return False
        records.insert(at, Special(kind, offset, address))
        s.specials = records
        core.heap.special.add(s.base >> core.config.page_shift)
        return True

    def remove(self, p: int, kind: str) -> bool:
        """Takes the record of that kind off the object at p; False where there is none (removespecial)."""
        core = self.core
        s = core.heap.span_of_heap(p)
        if s is None:
            raise Throw("removespecial on invalid pointer")
        core.sweeper.ensure_swept(s)
        offset = p - s.base
        for record in s.specials or ():
            if record.offset == offset and record.kind == kind:
                self._unlink(s, record)
                self._free_record(record)
                return True
        return False

    def _unlink(self, s: MSpan, record: Special) -> None:
        assert s.specials is not None
        s.specials.remove(record)
        if not s.specials:
            s.specials = None
            self.core.heap.special.discard(s.base >> self.core.config.page_shift)

    def _free_record(self, record: Special) -> None:
        if record.address:
            self.allocs[record.kind].free(record.address)

    def sweep(self, s: MSpan) -> None:
        """Looks at the records of a span that is being swept (sweepLocked.sweep).

        An unmarked object with a finalizer lives on until that has run; it loses the finalizer and
        its weak handles. Any other unmarked object loses all its records.
        """
        size = s.elemsize
        by_object: dict[int, list[Special]] = {}
        for record in s.specials or ():
            by_object.setdefault(record.offset // size, []).append(record)
        for index, records in by_object.items():
            if s.mark_bits >> index & 1:
                for record in records:
                    if record.kind == REACHABLE:
                        self._unlink(s, record)
                        self.reached[s.base + record.offset] = True
                continue
            revived = any(record.kind == FINALIZER for record in records)
            if revived:
                s.mark_bits |= 1 << index
            for record in records:
                if not revived or record.kind in (FINALIZER, WEAK_HANDLE):
                    self._unlink(s, record)
                    self._dead(s, record)

    def _dead(self, s: MSpan, record: Special) -> None:
        """What happens to a record whose object was not marked (freeSpecial)."""
        p = s.base + record.offset
        if record.kind == FINALIZER:
            self.finalizer_queue.append(p)
        elif record.kind == CLEANUP:
            self.cleanup_queue.append(p)
        elif record.kind == REACHABLE:
            self.reached[p] = False
        elif record.kind == PROFILE:
            self.core.profile_freed(s.elemsize)
        self._free_record(record)

    def sweep_ended(self) -> None:
        """All spans of a cycle were swept: what they queued may run (gcCleanups.flush)."""

    def take(self, queue: list[int]) -> list[int]:
        """Takes everything that is queued."""
        taken = list(queue)
        queue.clear()
        return taken
