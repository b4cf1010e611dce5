"""What is asked on the way, and what does not hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

from allocator.kernels.system import Errno
from archcalc.proofs.answering import SystemCall
from archcalc.proofs.paths import Explorer
from archcalc.proofs.words import Truth, Undecided

SMALL = 64 << 20  # bytes of a request for which any process has memory


@dataclass(frozen=True, slots=True)
class Refutation:
    """A path on which a property does not hold: numbers for all that was unknown, and the outcome.

    `calls_before` of the calls came before the last request.
    """

    property: str
    what: str
    calls: tuple[SystemCall, ...] = ()
    figures: Mapping[str, int] = field(default_factory=dict)  # of the machine, before and after
    requests: tuple[int, ...] = ()
    death: str = ""
    calls_before: int = 0
    computed: Mapping[str, object] = field(default_factory=dict)  # what else follows, as JSON has it


class Judge:
    """Collects the first refutation of each property, and how long each has taken.

    `seen` gives what belongs to a refutation beside its words: the calls so far and figures of the
    machine, all of which may still be symbolic.
    """

    def __init__(self, engine: Explorer, wanted: frozenset[str]) -> None:
        self.engine = engine
        self.wanted = wanted
        self.refuted: dict[str, Refutation] = {}
        self.asked: Counter[str] = Counter()
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: Callable[[], list[SystemCall]] = list
        self.figures: Callable[[], Mapping[str, Any]] = dict
        self.requests: tuple[Any, ...] = ()
        self.calls_before = 0
        self._pending: list[tuple[str, Truth | bool, str]] = []
        self._judgement = 0
        engine.before_narrowing = self.judge

    def require(self, id: str, truth: Truth | bool, what: str) -> None:
        """Asks whether it holds on this path, before that narrows; later code may rely on it either way."""
        if id in self.wanted:
            self.asked[id] += 1
            if truth is not True:
                self._pending.append((id, truth, what))

    def judge(self) -> None:
        """Answers what was asked since the path narrowed last: all at once, and one by one if that fails."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        self._judgement += 1
        engine = self.engine
        if engine.replaying:
            engine.granted(self._judgement)
            return
        open_ = [truth for id, truth, _ in pending if id not in self.refuted]
        whole: Truth | bool = True
        for truth in open_:
            whole = truth & whole
        if len(open_) == len(pending) and engine.holds(whole):
            return
        for id, truth, what in pending:
            start = perf_counter()
            if id not in self.refuted and not engine.holds(truth):
                self._look_for_small_requests(truth)
                self.refuted[id] = self._refutation(id, what)
            self.seconds[id] += perf_counter() - start
        whole = True
        for _, truth, _ in pending:
            whole = truth & whole
        engine.grant(whole, self._judgement)

    def request(self, n: Any) -> None:
        """One more request of the program."""
        self.requests = (*self.requests, n)
        self.calls_before = len(self.calls())

    def begin(self) -> None:
        """A new run, from the first judgement on."""
        self.calls_before = 0
        self._pending = []
        self._judgement = 0

    def died(self, id: str, words: str, known: frozenset[str]) -> None:
        """Asks whether the runtime's last words are permitted."""
        self.judge()
        self.asked[id] += 1
        if words in known or id not in self.wanted or id in self.refuted:
            return
        if not self.engine.holds(False):
            found = self._refutation(id, f"it ends with: {words}")
            self.refuted[id] = replace(found, death=words)

    def _look_for_small_requests(self, truth: Truth | bool) -> None:
        """Makes the model one with small requests, if there is any: processes may be short of memory."""
        small: Truth | bool = True
        for n in self.requests:
            small = (n <= SMALL) & small
        if isinstance(small, Truth):
            # Where the solver gives up, the model stays what it was.
            with suppress(Undecided):
                self.engine.holds(~small | truth)

    def _refutation(self, id: str, what: str) -> Refutation:
        model, number = self.engine.model, self.engine.number

        def plain(value: Any) -> Any:
            return number(value, model)

        calls = tuple(
            SystemCall(
                c.call,
                plain(c.address),
                plain(c.size),
                c.answer if isinstance(c.answer, Errno) else plain(c.answer),
            )
            for c in self.calls()
        )
        figures = {name: plain(value) for name, value in self.figures().items()}
        requests = tuple(plain(n) for n in self.requests)
        return Refutation(id, what, calls, figures, requests, calls_before=self.calls_before)
