"""When to collect, and how fast to sweep: the pacer without its clock (mgcpacer.go).

The runtime measures how much time marking took beside the program. Nothing takes time here, so
that marking is assumed to run at its background share, a quarter.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allocator.sparse.heap_core import HeapCore

UNSET = (1 << 64) - 1
NO_LIMIT = (1 << 63) - 1
UTILIZATION = 0.25
MIN_RUNWAY = 64 << 10
HEADROOM = 1 << 20
HEADROOM_PERCENT = 3
TRIGGER_DEN, MIN_TRIGGER, MAX_TRIGGER = 64, 45, 61
UNLIMITED_PERCENT = 100_000  # what a collection without GOGC is paced by
OVERSHOOT = 1.1  # a heap past its goal may grow so far
LEAST_WORK = 1000
LEAST_INT64 = -(1 << 63)
MARGIN = 1 << 20  # sweeping must end this many bytes before the next cycle


class Pacer:
    """gcController. All in bytes; `gc_percent` is -1 for off."""

    __slots__ = (
        "assist_bytes_per_work", "assist_work_per_byte", "bg_scan_credit", "cons_mark", "core",
        "gc_percent", "globals_scan", "goal_by_percent", "heap_live", "heap_marked", "heap_minimum",
        "heap_scan", "heap_scan_work", "last_cons_mark", "last_heap_goal", "last_heap_scan",
        "last_stack_scan", "memory_limit", "runway", "stack_scan_work", "sweep_dist_min_trigger",
        "total_alloc", "total_free", "triggered",
    )  # fmt: skip

    def __init__(self, core: HeapCore) -> None:
        self.core = core
        self.heap_live = 0
        self.heap_scan = 0
        self.heap_marked = 0
        self.heap_scan_work = 0
        self.stack_scan_work = 0
        self.last_heap_scan = 0
        self.last_stack_scan = 0
        self.globals_scan = 0
        self.total_alloc = 0
        self.total_free = 0
        self.cons_mark = 0.0
        self.last_cons_mark = [0.0] * 4
        self.runway = 0
        # How much marking an allocation owes, and how much background workers have done beyond their share.
        self.assist_work_per_byte = 0.0
        self.assist_bytes_per_work = 0.0
        self.bg_scan_credit = 0
        self.last_heap_goal = 0
        self.triggered = UNSET
        self.goal_by_percent = 0
        self.sweep_dist_min_trigger = 0
        self.heap_minimum = core.config.default_heap_minimum
        self.gc_percent = -1
        self.memory_limit = NO_LIMIT

    def init(self, gc_percent: int, memory_limit: int = NO_LIMIT) -> None:
        """gcControllerState.init, as gcinit calls it."""
        self.set_gc_percent(gc_percent)
        self.memory_limit = memory_limit
        self.commit(True)

    def set_gc_percent(self, percent: int) -> None:
        """GOGC, below zero for off (setGCPercent). A commit has to follow."""
        self.gc_percent = max(percent, -1)
        self.heap_minimum = (self.core.config.default_heap_minimum * (self.gc_percent & UNSET) & UNSET) // 100

    def update(self, live: int, scan: int) -> None:
        """Adds bytes to the live heap, and to what has to be scanned (update)."""
        self.heap_live += live
        if not self.core.marking:
            self.heap_scan += scan
        else:
            self.revise()

    def commit(self, sweep_done: bool) -> None:
        """Takes the goals from what the last cycle found (commit)."""
        self.sweep_dist_min_trigger = (
            0 if sweep_done else self.heap_live + self.core.config.sweep_min_heap_distance
        )
        goal = UNSET
        scanned = self.last_stack_scan + self.globals_scan
        if self.gc_percent >= 0:
            goal = self.heap_marked + (self.heap_marked + scanned) * self.gc_percent // 100
        self.goal_by_percent = max(goal, self.heap_minimum)
        self.runway = int(
            self.cons_mark * (1 - UTILIZATION) / UTILIZATION * float(self.last_heap_scan + scanned)
        )

    def goals(self) -> tuple[int, int]:
        """The heap that this cycle may end with, and the least that may start it (heapGoalInternal)."""
        goal, least = self.goal_by_percent, 0
        limited = self._goal_by_limit()
        if limited < goal:
            return limited, 0
        goal = max(goal, self.sweep_dist_min_trigger)
        least = self.sweep_dist_min_trigger
        if self.triggered != UNSET and goal < self.triggered + MIN_RUNWAY:
            goal = self.triggered + MIN_RUNWAY
        return goal, least

    @property
    def heap_goal(self) -> int:
        """heapGoal."""
        return self.goals()[0]

    def _goal_by_limit(self) -> int:
        """What GOMEMLIMIT leaves for the heap (memoryLimitHeapGoal)."""
        ready = self.core.stats.mapped_ready
        limit = self.memory_limit
        other = ready - self.core.stats.bytes["heap_free"] - (self.total_alloc - self.total_free)
        over = max(ready - limit, 0)
        if other + over >= limit:
            return self.heap_marked
        goal = limit - (other + over)
        headroom = max(goal // 100 * HEADROOM_PERCENT, HEADROOM)
        goal = headroom if goal - headroom < headroom else goal - headroom
        return max(goal, self.heap_marked)

    def trigger(self) -> tuple[int, int]:
        """The live heap at which a cycle begins, and its goal (trigger)."""
        goal, least = self.goals()
        marked = self.heap_marked
        if marked >= goal:
            return goal, goal
        part = (goal - marked) // TRIGGER_DEN
        least = max(least, marked, part * MIN_TRIGGER + marked)
        most = part * MAX_TRIGGER + marked
        minimum = self.core.config.default_heap_minimum
        if goal > minimum and goal - minimum > most:
            most = goal - minimum
        most = max(most, least)
        trigger = least if self.runway > goal else goal - self.runway
        return min(max(trigger, least), most), goal

    def should_start(self) -> bool:
        """Whether the heap has grown enough for a collection (gcTrigger.test)."""
        if self.gc_percent < 0 and self.memory_limit == NO_LIMIT:
            return False  # the goal is beyond all memory
        return self.core.gc_enabled and not self.core.marking and self.heap_live >= self.trigger()[0]

    def start_cycle(self) -> None:
        """Marking begins (startCycle)."""
        self.heap_scan_work = self.stack_scan_work = self.bg_scan_credit = 0
        self.triggered = self.heap_live
        self.revise()

    def revise(self) -> None:
        """How much marking is left for each byte up to the goal, and the other way round (revise)."""
        percent = self.gc_percent if self.gc_percent >= 0 else UNLIMITED_PERCENT
        work = self.heap_scan_work + self.stack_scan_work
        goal = self.heap_goal
        if goal > NO_LIMIT:
            goal -= 1 << 64
        scanned = self.last_stack_scan + self.globals_scan
        expected = self.last_heap_scan + scanned
        most = self.heap_scan + scanned
        if work > expected:
            # More than in the last cycle: the worst is assumed, and the goal moved with it.
            further = _divided(float(goal - self.triggered), float(expected)) * float(most)
            hard = _int64((1.0 + float(percent) / 100.0) * float(goal))
            goal = min(_int64(further) + self.triggered, hard)
            expected = most
        if self.heap_live > goal:
            goal = _int64(float(goal) * OVERSHOOT)
            expected = most
        left = max(expected - work, LEAST_WORK)
        room = max(goal - self.heap_live, 1)
        self.assist_work_per_byte = float(left) / float(room)
        self.assist_bytes_per_work = float(room) / float(left)

    def end_cycle(self) -> None:
        """Marking ends: how fast the program allocated beside it (endCycle)."""
        self.last_heap_goal = self.heap_goal
        scanned = self.heap_scan_work + self.stack_scan_work + self.globals_scan
        if self.heap_live <= self.triggered or not scanned:
            return
        now = float(self.heap_live - self.triggered) * UTILIZATION / (float(scanned) * (1 - UTILIZATION))
        self.cons_mark = max(now, *self.last_cons_mark)
        self.last_cons_mark = [*self.last_cons_mark[1:], now]

    def reset_live(self, bytes_marked: int) -> None:
        """What was marked is what lives (resetLive)."""
        self.heap_marked = self.heap_live = bytes_marked
        self.heap_scan = self.last_heap_scan = self.heap_scan_work
        self.last_stack_scan = self.stack_scan_work
        self.triggered = UNSET

    def commit_all(self) -> None:
        """gcControllerCommit: goals, then the pace of sweeping and of scavenging."""
        core = self.core
        self.commit(core.sweeper.done)
        trigger, goal = self.trigger()
        self.pace_sweeper(trigger)
        core.scavenger.pace(goal, self.last_heap_goal)

    def pace_sweeper(self, trigger: int) -> None:
        """How many pages are swept for each byte, to be done before the next cycle (gcPaceSweeper)."""
        heap = self.core.heap
        if self.core.sweeper.done:
            heap.sweep_pages_per_byte = 0.0
            return
        distance = max(trigger - self.heap_live - MARGIN, self.core.config.page_size)
        pages = heap.pages_in_use - heap.pages_swept
        if pages <= 0:
            heap.sweep_pages_per_byte = 0.0
        else:
            heap.sweep_pages_per_byte = float(pages) / float(distance)
            heap.sweep_heap_live_basis = self.heap_live
            heap.pages_swept_basis = heap.pages_swept


def _divided(a: float, b: float) -> float:
    """A division as floating point units do it."""
    if b:
        return a / b
    return math.nan if not a else math.copysign(math.inf, a)


def _int64(x: float) -> int:
    """A float as an int64 on amd64: what is too large, or not a number, is the least value."""
    return int(x) if math.isfinite(x) and -(2.0**63) <= x < 2.0**63 else LEAST_INT64
