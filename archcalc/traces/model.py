"""A recording's inputs with the simulated system's answers (`replay --os model`).

For each call of an OS helper the simulated system is asked first, on a machine as the
recording's header describes it, and its answer is compared with the recorded one (`answers`).

Whether sysMap, sysUsed and sysFree succeed is the simulated system's own judgement throughout, so a recorded
death of theirs comes about by the model or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from allocator.common.cycles import no_garbage_collection
from allocator.common.throw import Death
from allocator.contiguous.config import Config
from allocator.contiguous.mem import System
from allocator.contiguous.recorded import Alloc
from allocator.kernels.system import Answer, Errno
from archcalc.traces.answers import DIFFERENT, ELSEWHERE, NEIGHBOUR, SAME, Agreement
from archcalc.traces.columnar import header_of
from archcalc.traces.machine import ReplayedSystem
from archcalc.traces.outcome import Replay
from archcalc.traces.reader import Header, fault
from archcalc.traces.replayer import Replayer


class ModelledSystem(ReplayedSystem):
    """The simulated system, asked wherever the recorded one was."""

    def __init__(self, goos: str, config: Config, model: System, limited: bool) -> None:
        super().__init__(goos, config)
        self.model = model
        self.answers = Agreement()
        # Under a limit it is the limit that must explain a refusal.
        self.limited = limited

    def account_outside(self, count: Callable[[Alloc], None]) -> None:
        """What other parts of the runtime asked for takes room in the simulated system too."""

        def outside(record: Alloc) -> None:
            self._compare_alloc(record.size, record.stat, record.answer)
            count(record)

        self.outside = outside

    def _force(self, call: str, answer: int, ask: Callable[[], int]) -> int:
        """What a call answers when the kernel is told where to put the memory."""
        self.model.plan = lambda asked, v, n: answer if asked == call else None
        try:
            return ask()
        finally:
            self.model.plan = None

    def _compare_alloc(self, n: int, stat: str, recorded: int) -> int:
        mine = self.model.sys_alloc(n, stat)
        if bool(mine) != bool(recorded):
            self.answers.note(DIFFERENT, "sysAlloc", 0, n, recorded, mine)
            return mine
        if mine != recorded:
            self.answers.note(ELSEWHERE, "sysAlloc", 0, n, recorded, mine)
            self.model.sys_free(mine, n)
            self._force("sysAlloc", recorded, lambda: self.model.sys_alloc(n, stat))
        else:
            self.answers.note(SAME, "sysAlloc", 0, n, recorded, mine)
        return recorded

    def sys_alloc(self, n: int, stat: str) -> int:
        return self._compare_alloc(n, stat, super().sys_alloc(n, stat))

    def sys_reserve(self, v: int, n: int) -> tuple[int, bool | None]:
        recorded, flag = super().sys_reserve(v, n)
        mine, own_flag = self.model.sys_reserve(v, n)
        if mine == recorded:
            self.answers.note(SAME, "sysReserve", v, n, recorded, mine)
            return mine, own_flag
        if mine and recorded and own_flag:
            self.answers.note(ELSEWHERE, "sysReserve", v, n, recorded, mine)
            self.model.sys_free(mine, n)
            self._force("sysReserve", recorded, lambda: self.model.sys_reserve(v, n)[0])
            return recorded, own_flag
        if mine and not recorded and not self.limited:
            self.answers.note(NEIGHBOUR, "sysReserve", v, n, recorded, mine)
            if own_flag:
                self.model.sys_free(mine, n)
            return 0, flag
        self.answers.note(DIFFERENT, "sysReserve", v, n, recorded, mine)
        return mine, own_flag

    def _compare(self, call: str, v: int, n: int, recorded: Answer, mine: Answer) -> Answer:
        if mine == recorded:
            self.answers.note(SAME, call, v, n, recorded, mine)
            return mine
        if v not in (mine, recorded) and not isinstance(mine, Errno) and not isinstance(recorded, Errno):
            # Both kernels put it elsewhere, each at its own choice.
            self.answers.note(ELSEWHERE, call, v, n, recorded, mine)
            return recorded
        self.answers.note(DIFFERENT, call, v, n, recorded, mine)
        return mine

    # Most maps are not recorded: only that they failed is, by an F record in front.

    def sys_map(self, v: int, n: int, reserved: bool) -> None:
        self.judge_map(v, n, reserved, self.map_at(v, n, reserved))

    def sys_used(self, v: int, n: int) -> None:
        self.judge_used(v, n, self.used_at(v, n))

    def map_at(self, v: int, n: int, reserved: bool) -> Answer:
        return self._compare(
            "sysMap", v, n, super().map_at(v, n, reserved), self.model.map_at(v, n, reserved)
        )

    def used_at(self, v: int, n: int) -> Answer:
        return self._compare("sysUsed", v, n, super().used_at(v, n), self.model.used_at(v, n))

    def unused_at(self, v: int, n: int) -> Answer:
        return self._compare("sysUnused", v, n, v, self.model.unused_at(v, n))

    def sys_free(self, v: int, n: int) -> None:
        try:
            self.model.sys_free(v, n)
        except Death:
            self.answers.note(DIFFERENT, "sysFree", v, n, v, 0)
            self.printed.extend(self.model.printed)
            raise
        self.answers.note(SAME, "sysFree", v, n, v, v)


class ModelReplayer(Replayer):
    """A replay whose OS is simulated."""

    def __init__(
        self,
        path: Path,
        config_for: Callable[[Header], Config],
        system_for: Callable[[Header], System],
        keep_going: bool = False,
    ) -> None:
        super().__init__(path, config_for, keep_going)
        self.model_for = system_for
        self.modelled: ModelledSystem | None = None

    def begin(self, header_line: str) -> None:
        super().begin(header_line)
        assert self.modelled is not None
        self.modelled.account_outside(self.system.outside)

    def system_for(self, config: Config) -> ReplayedSystem:
        limited = self.header.ulimit_v is not None
        self.modelled = ModelledSystem(config.goos, config, self.model_for(self.header), limited)
        return self.modelled


def replay_on_model(
    path: Path,
    config_for: Callable[[Header], Any],
    system_for: Callable[[Header], System],
    kernel_for: Callable[[Header], Any],
    *,
    keep_going: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Replay, Agreement]:
    """Replays a recording on a simulated system: of version 1, or by its kernel alone of version 2.

    Raises TraceFault for a damaged file, and for an execution trace, which has no answers.
    """
    version = header_of(path).version
    with no_garbage_collection():
        if version == 1:
            older = ModelReplayer(path, config_for, system_for, keep_going)
            result = older.run(progress)
            return result, older.modelled.answers if older.modelled is not None else Agreement()
        if version != 2:
            raise fault(str(path), 1, f"a recording of version {version}", "one with answers of the system")
        from archcalc.traces.version2.model import ModelSparseReplayer

        newer = ModelSparseReplayer(path, config_for, kernel_for, keep_going)
        return newer.run(progress), newer.answers
