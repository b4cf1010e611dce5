"""Are profile files fit for use?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from archcalc.host.repository import within_repository
from archcalc.profiles import profile
from archcalc.reading.errors import ProfileFault
from archcalc.results.findings import Case
from archcalc.results.judged import Judged
from archcalc.results.tables import Block, Column, Table, Value

COLUMNS = (Column("file"), Column("platform"), Column("name"), Column("facts", int))


class Validated(Judged):
    """Profiles that can be used, each with how many facts it has."""

    def __init__(self, rows: Sequence[Sequence[Value]]) -> None:
        self.rows = rows

    def cases(self) -> Iterable[Case]:
        return [Case("readable", within_repository(str(file))) for file, *_ in self.rows]

    def document(self) -> Mapping[str, object]:
        names = [column.name for column in COLUMNS]
        return {"profiles": [dict(zip(names, row, strict=True)) for row in self.rows]}

    def view(self) -> Iterable[Block]:
        return (Table(COLUMNS, self.rows),)


def validate(files: Sequence[Any], release: str, note: Callable[[str], None]) -> Validated:
    """Reads profile files in a generation; `note` hears what a port has to add there.

    Raises ProfileFault with every fault of every file.
    """
    rows = []
    faults = []
    for file in files:
        found, wrong = profile.read(file, release)
        faults += [fault for fault in wrong if fault not in faults]
        if found is not None:
            family = found.facts.get("arch_family")
            if family is not None and family not in profile.families(release):
                newest = profile.latest()
                note(
                    f"{file}: Go {release} does not declare {family}: a port has to add it to arch.go, and"
                    f" until then ArchFamily has no value; Go {newest} has it (--go {newest})"
                )
            rows.append((file, found.platform, found.name, len(found.facts)))
    if faults:
        raise ProfileFault(*faults)
    return Validated(rows)
