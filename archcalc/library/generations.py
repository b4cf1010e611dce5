"""The releases of Go that the tool knows, and the start of the tables of a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from archcalc import generations
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.results.result import Result
from archcalc.results.tables import Block, Column, Prose, Table


class Generations(Result):
    """What the tool knows of Go, the oldest first."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def records(self) -> list[Mapping[str, object]]:
        return [
            {
                "generation": generations.label(name),
                "version": generations.about(name).get("version", ""),
                "commit": generations.about(name).get("commit", ""),
                "era": generations.said(name, "era"),
                "base": generations.about(name).get("base"),
                "ports": list(generations.ports(name)),
                "can": generations.said(name, "can").split(),
            }
            for name in self.names
        ]

    def document(self) -> Mapping[str, object]:
        return {"generations": self.records()}

    def view(self) -> Sequence[Block]:
        columns = (
            Column("generation"),
            Column("version"),
            Column("era"),
            Column("ports", int),
            Column("says what differs from"),
        )
        rows = [
            (
                generations.label(name),
                generations.about(name).get("version", ""),
                generations.said(name, "era"),
                len(generations.ports(name)),
                generations.about(name).get("base", ""),
            )
            for name in self.names
        ]
        eras = (
            "contiguous: the heap is reserved in one piece, with its tables before it. sparse: the heap takes"
            " arenas wherever they fall, and finds their records by a map."
        )
        return (Table(columns, rows), Prose(eras), self._can())

    def _can(self) -> Table:
        """Each command with the generations that it knows; those of the same generations in one row."""
        able: dict[str, list[str]] = {}
        for name in self.names:
            for word in generations.said(name, "can").split():
                able.setdefault(word, []).append(generations.label(name))
        rows: dict[str, list[str]] = {}
        for word, labels in able.items():
            of = "all" if len(labels) == len(self.names) else ", ".join(labels)
            rows.setdefault(of, []).append(word)
        columns = (Column("commands", wrap=True), Column("know", wrap=True))
        return Table(columns, [(" ".join(words), of) for of, words in rows.items()])


class Begun(Result):
    """A folder of tables that was read off a tree, and what a person must still say."""

    def __init__(self, folder: Path, version: str, ports: int, decide: Sequence[str]) -> None:
        self.folder = folder
        self.version = version
        self.ports = ports
        self.decide = decide

    def document(self) -> Mapping[str, object]:
        return {
            "folder": str(self.folder),
            "version": self.version,
            "ports": self.ports,
            "decide": list(self.decide),
        }

    def view(self) -> Sequence[Block]:
        blocks: list[Block] = [Prose(f"wrote {self.folder}: {self.version}, {counted(self.ports, 'port')}")]
        if self.decide:
            rows = [(text,) for text in self.decide]
            blocks.append(Table((Column("a person must decide", wrap=True),), rows))
        return blocks


def begin(root: Path, base: str, into: Path | None) -> Begun:
    """Reads a tree and writes what differs from the base. Raises UsageFault."""
    from archcalc.goverify import shapes, writing

    below = generations.load(generations.named(base) if base else generations.known()[-1])
    found, tree = writing.read(root, below)
    release = ".".join(found.version.removeprefix("go").split(".")[:2]) or "tree"
    folder = into or Path(release)
    if folder.exists() and any(folder.iterdir()):
        raise UsageFault(Fault(f"{folder} is there already", "a folder that is not, with --into"))
    folder.mkdir(parents=True, exist_ok=True)
    decide = writing.write(found, tree, below, writing.words_of(below), folder)
    decide += [str(one) for one in shapes.changed(below, tree.src)]
    return Begun(folder, found.version, len(found.ports), decide)
