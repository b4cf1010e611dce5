"""How a recording ends: with the runtime's death, or with the state of its machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from allocator.common.throw import Death
from allocator.contiguous.vocabulary import malloc_flags
from archcalc.traces.cycles import Cycles
from archcalc.traces.end_state import EndState
from archcalc.traces.judgement import ARENA_KEYS
from archcalc.traces.outcome import Stop
from archcalc.traces.reader import fault, shorten

DEATH_KEYS = ("arena_start", "arena_used", "arena_end", "bitmap_mapped", "pages_in_use")


class Ending(Cycles):
    """All inputs, and the end."""

    def __init__(self, path: Path, keep_going: bool) -> None:
        super().__init__(path, keep_going)
        self.end_state = EndState(self)
        self.handlers |= {
            "!": self._death, "Z": self._end, "Zs": self.end_state.span, "Zb": self.end_state.bitmap,
        }  # fmt: skip

    def _death(self, line: str, parts: list[str]) -> None:
        record = self._json(line[2:])
        during, words = record.get("during"), record.get("throw")
        if not isinstance(during, str) or not isinstance(words, str):
            raise ValueError("expected its words under throw, and during: an m record or boot")
        rt = self.rt
        try:
            if during == "boot":
                # mallocinit has ended when it announces the arena, except for the first mcache.
                if not self.booted:
                    rt.boot()
                rt.new_mcache()
            else:
                request = during.split(" ")
                if request[0] != "m" or len(request) != 5:
                    raise ValueError(
                        f"found during {shorten(during)}, expected an m record without its answer"
                    )
                size, typ, needzero, p = self.request(request)
                self.same("!", request[3], malloc_flags(typ is None or typ.noscan, needzero))
                rt.mallocgc(size, typ, needzero, p)
        except Death as death:
            self.died = death
            self.stop_running()
            found = rt.last_words(death)
            self.result.death = found
            self.settle()
            self.same("!", words, found["throw"])
            printed = record.get("printed", [])
            if printed != found["printed"]:
                self.differs("!", json.dumps(printed), json.dumps(found["printed"]))
            return
        self.differs("!", f"the runtime's death: {words}", "the program went on")
        raise Stop

    def stop_running(self) -> None:
        self.running = False
        self.specials.clear()
        self.allow(False)

    def _json(self, text: str) -> dict[str, Any]:
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise ValueError("expected a JSON object")
        return record

    def _end(self, line: str, parts: list[str]) -> None:
        record = self._json(line[2:])
        if self.ended:
            raise ValueError("the end state is given a second time")
        if self.pending:
            self.settle()
        self.ended = True
        self.stop_running()
        if self.event - 1 != self.header.events:
            raise self.miscounted(self.event - 1)
        rt = self.rt
        rt.sync_caches()
        # A machine that died before mallocinit had a place for its heap has none; all is zero then.
        heap = getattr(rt, "heap", None)
        for key in DEATH_KEYS if self.died else ARENA_KEYS:
            if type(record.get(key)) is not int:
                raise ValueError(f"expected a number under {key}")
            value = 0 if heap is None else int(getattr(heap, key))
            self.same("Z", f"{key} {record[key]}", f"{key} {value}")
        if self.died:
            return
        for key in ("heap_live", "heap_scan", "gc_trigger", "next_gc"):
            if type(record.get(key)) is not int:
                raise ValueError(f"expected a number under {key}")
            value = int(getattr(rt.stats, key))
            if key in ("heap_live", "heap_scan") and self.header.collector_off:
                self.same("Z", f"{key} {record[key]}", f"{key} {value}")
            self.result.reported[key] = (record[key], value)

    def finish(self) -> None:
        if not self.ended:
            raise fault(self.name, self.line, "the end of the file", "the end state (Z): it is cut short")
        if not self.died:
            self.end_state.finish()
