"""A user's mistakes: what was found, where, what was expected instead.

They end a command with exit code 2 and never with a traceback. Deaths of the
simulated runtime are in `allocator.common.throw`; a failed check is a result.
"""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """One mistake; line and column count from 1, and are 0 where there is no file or no place in it.

    `id` never changes for one kind of mistake, so that scripts can match it.
    """

    found: str
    expected: str = ""
    suggestion: str = ""
    id: str = "usage"
    file: str = ""
    line: int = 0
    column: int = 0

    @property
    def message(self) -> str:
        """The fault without its place: what was found; what was expected; did you mean …?"""
        parts = [self.found]
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.suggestion:
            parts.append(f"did you mean {self.suggestion}?")
        return "; ".join(parts)

    def __str__(self) -> str:
        if not self.file:
            return self.message
        if not self.line:
            return f"{self.file}: {self.message}"
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class UsageFault(Exception):
    """The input or the usage is wrong: exit code 2. Holds every fault found, not only the first.

    Takes faults, or plain words for a mistake that is in no file.
    """

    def __init__(self, *faults: Fault | str) -> None:
        self.faults: tuple[Fault, ...] = tuple(Fault(f) if isinstance(f, str) else f for f in faults)
        super().__init__("\n".join(self.located))

    @property
    def located(self) -> list[str]:
        """One line for each fault, `FILE:LINE:COLUMN: found; expected …; did you mean …?`."""
        return [str(fault) for fault in self.faults]


class ProfileFault(UsageFault):
    """A profile that cannot be used, or a platform without a profile."""


class ScenarioFault(UsageFault):
    """A scenario file that cannot be used."""


class ConfigFault(UsageFault):
    """An archcalc.yaml or pyproject.toml that cannot be used."""
