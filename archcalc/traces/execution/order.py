"""The events of all threads of a trace in one order, each with the P that it happened on.

Go's own reader (internal/trace/order.go) takes the earliest event among the Ms that can be next: where Ps
change hands, numbers say in which order, and the clock only elsewhere. Here the same is done for Ps. Between
two such events of a P its events are in one thread, and so in their own order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import NamedTuple

from archcalc.traces.execution import wire
from archcalc.traces.execution.wire import EventBatch, ExecutionTrace, Timed, TraceGeneration, damaged

RUNNING, IDLE, SYSCALL, ABANDONED = 1, 2, 3, 4  # tracev2.ProcStatus
# What happens to a goroutine between two events of its thread, so that others may run there meanwhile.
SCHEDULING = frozenset(
    (
        wire.GO_START, wire.GO_SYSCALL_BEGIN, wire.GO_SYSCALL_END, wire.GO_SYSCALL_END_BLOCKED,
        wire.GO_SWITCH, wire.GO_SWITCH_DESTROY, wire.PROC_START, wire.PROC_STOP, wire.STW_BEGIN,
        wire.GC_BEGIN,
    )
)  # fmt: skip

# After which no other thread's event can be next that could not before.
KEEPS_OTHERS = frozenset((wire.OBJECT_ALLOC, wire.OBJECT, wire.SPAN, wire.STACK, wire.HEAP_ALLOC))
WORLD_STOPPED = frozenset((wire.PROCS_CHANGE, wire.GC_END))  # what only happens while no other P runs
RUN_AHEAD = 1 << 14  # ticks: events that a batch can have, which count on by one at least


class Happening(NamedTuple):
    """An event in its place: `p` is -1 without a P; `resumed` says that since the thread's last object others
    may have run on the P, so what is reported here may have been done before."""

    time: int
    p: int
    kind: int
    numbers: tuple[int, ...]
    resumed: bool
    offset: int
    generation: TraceGeneration


class _Thread:
    """An M: its events still to come, and the P that it has."""

    __slots__ = ("at", "batches", "events", "next_batch", "p", "resumed")

    def __init__(self) -> None:
        self.p = -1
        self.resumed = True
        self.begin([])

    def begin(self, batches: list[EventBatch]) -> None:
        """Another generation."""
        self.batches = batches
        self.next_batch = 0
        self.events: list[Timed] = []
        self.at = 0

    def peek(self, trace: ExecutionTrace) -> Timed | None:
        """The next event; None where the generation has no more."""
        while self.at == len(self.events):
            if self.next_batch == len(self.batches):
                return None
            self.events = trace.events(self.batches[self.next_batch])
            self.next_batch += 1
            self.at = 0
        return self.events[self.at]


class _Proc:
    """A P: whether it runs, and the number of the last time that it changed hands."""

    __slots__ = ("seq", "status")

    def __init__(self, status: int) -> None:
        self.status = status
        self.seq = 0


class Ordering:
    """All happenings of a trace, in order. `can_be` says whether one of the heap's is not at odds with those
    before it; one that is waits for other threads' of about that time."""

    def __init__(self, trace: ExecutionTrace, can_be: Callable[[Happening], bool]) -> None:
        self.trace = trace
        self.can_be = can_be
        self.threads: dict[int, _Thread] = {}
        self.procs: dict[int, _Proc] = {}

    def happenings(self) -> Iterator[Happening]:
        """Raises TraceFault where the trace is damaged, or Ps cannot have changed hands so in any order."""
        for generation in self.trace.generations():
            for m, batches in generation.batches.items():
                self.threads.setdefault(m, _Thread()).begin(batches)
            yield from self._generation(generation)

    def _generation(self, generation: TraceGeneration) -> Iterator[Happening]:
        ready: list[tuple[int, int]] = []
        held: list[tuple[int, int]] = []
        for m in generation.batches:
            self._line_up(m, ready)
        while ready or held:
            forced = False
            if not ready or (held and held[0][0] + RUN_AHEAD < ready[0][0]):
                forced = True
                heapq.heappush(ready, self._let_go(held))
            one = heapq.heappop(ready)
            m = one[1]
            thread = self.threads[m]
            event = thread.peek(self.trace)
            assert event is not None
            time, kind, numbers, offset = event
            happening = Happening(time, thread.p, kind, numbers, thread.resumed, offset, generation)
            if kind < wire.SPAN:
                if not self._advance(thread, kind, numbers, forced):
                    heapq.heappush(held, one)
                    continue
            elif not forced and not self.can_be(happening):
                heapq.heappush(held, one)
                continue
            thread.at += 1
            if kind in SCHEDULING:
                thread.resumed = True
            elif kind == wire.OBJECT_ALLOC:
                thread.resumed = False
            yield happening
            if held and (happening.resumed or kind not in KEEPS_OTHERS):
                for waiting in held:
                    heapq.heappush(ready, waiting)
                held.clear()
            self._line_up(m, ready)

    def _line_up(self, m: int, ready: list[tuple[int, int]]) -> None:
        """A thread with its next event, if it has one."""
        event = self.threads[m].peek(self.trace)
        if event is not None:
            heapq.heappush(ready, (event[0], m))

    def _let_go(self, held: list[tuple[int, int]]) -> tuple[int, int]:
        """The first of the threads that wait, at odds with the rest as it is. Raises TraceFault."""
        for at, (_, m) in enumerate(sorted(held)):
            event = self.threads[m].peek(self.trace)
            assert event is not None
            kind = event[1]
            if kind >= wire.SPAN or kind in WORLD_STOPPED or self._can(self.threads[m], kind, event[2]):
                found = sorted(held)[at]
                held.remove(found)
                heapq.heapify(held)
                return found
        event = self.threads[held[0][1]].peek(self.trace)
        assert event is not None
        raise damaged(
            self.trace.name,
            event[3],
            f"event {event[1]} of a P that cannot exist then",
            "a complete trace",
        )

    def _can(self, thread: _Thread, kind: int, numbers: tuple[int, ...]) -> bool:
        """Whether an event can be next, by the Ps."""
        procs = self.procs
        if kind == wire.PROC_START:
            proc = procs.get(numbers[0])
            return proc is not None and proc.status == IDLE and numbers[1] == proc.seq + 1 and thread.p < 0
        if kind == wire.PROC_STEAL:
            proc = procs.get(numbers[0])
            return proc is not None and proc.status in (SYSCALL, ABANDONED) and numbers[1] == proc.seq + 1
        if kind == wire.GO_SYSCALL_END_BLOCKED:
            proc = procs.get(thread.p)
            return proc is None or proc.status != SYSCALL
        if kind in WORLD_STOPPED:
            return all(one.status not in (RUNNING, SYSCALL) or p == thread.p for p, one in procs.items())
        return True

    def _advance(self, thread: _Thread, kind: int, numbers: tuple[int, ...], forced: bool) -> bool:
        """Carries out what an event does to Ps; False where it has to wait for others."""
        if not self._can(thread, kind, numbers) and not (forced and kind in WORLD_STOPPED):
            return False
        procs = self.procs
        if kind == wire.PROC_STATUS:
            self._status(thread, *numbers)
        elif kind == wire.PROC_START:
            proc = procs[numbers[0]]
            proc.status, proc.seq = RUNNING, numbers[1]
            thread.p = numbers[0]
        elif kind == wire.PROC_STOP:
            if thread.p in procs:
                procs[thread.p].status = IDLE
            thread.p = -1
        elif kind == wire.PROC_STEAL:
            proc = procs[numbers[0]]
            if proc.status == SYSCALL:
                victim = self.threads.get(numbers[2])
                if victim is not None and victim.p == numbers[0]:
                    victim.p = -1
            proc.status, proc.seq = IDLE, numbers[1]
        elif kind == wire.GO_SYSCALL_BEGIN and thread.p in procs:
            proc = procs[thread.p]
            proc.status, proc.seq = SYSCALL, numbers[0]
        elif kind == wire.GO_SYSCALL_END and thread.p in procs:
            procs[thread.p].status = RUNNING
        elif kind == wire.GO_DESTROY_SYSCALL and thread.p in procs:
            procs[thread.p].status = ABANDONED
            thread.p = -1
        return True

    def _status(self, thread: _Thread, p: int, status: int) -> None:
        proc = self.procs.get(p)
        if proc is None:
            self.procs[p] = _Proc(status)
        else:
            if not (status == ABANDONED and proc.status == SYSCALL):
                proc.status = status
            proc.seq = 0
        if status in (RUNNING, SYSCALL):
            thread.p = p
