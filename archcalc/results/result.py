"""What a command found out, before anything is printed.

A command computes a `Result` and returns it; a renderer of `archcalc.render` turns it
into text. A result has four forms, and each format takes the one that it needs:

- `document()`: one mapping, the shape that `--format json` promises (also yaml);
- `records()`: the same as a stream of flat objects (jsonl);
- `sheet()`: one table, a row for each fact (csv);
- `view()`: sections, tables and prose for people (table, markdown).

`judged.Judged` adds findings, for results that hold or fail, and with them the formats of CI systems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from archcalc.results.tables import Block, Column, Prose, Section, Table, Value, plain

FORMATS = ("table", "json", "jsonl", "csv", "markdown", "yaml")
CI_FORMATS = ("github", "junit", "sarif")
PICTURES = ("svg", "html")

OK, FAILED, USAGE, BUG, INTERRUPTED = 0, 1, 2, 3, 130


class Result:
    """The base of all results; `exit_code` is what the process ends with."""

    formats: ClassVar[tuple[str, ...]] = FORMATS
    generation: str = ""
    """The generation's name in outputs, where a command takes one: 7aefdfded, go1.27."""
    what_ifs: Mapping[str, int | bool | str] = MappingProxyType({})
    """What --set has set. Renderers show it, by `what_ifs.py`."""

    @property
    def exit_code(self) -> int:
        """0 all held, 1 a check, an expectation or a replay failed, 130 interrupted."""
        return OK

    def document(self) -> Mapping[str, object]:
        """The JSON document, with exact ints; keys stay as they are published."""
        raise NotImplementedError

    def whole(self) -> Mapping[str, object]:
        """The document with the generation that it is of and what was set, as json and yaml print it."""
        document = self.document()
        about: dict[str, object] = {}
        if self.generation and "generation" not in document:
            about["generation"] = self.generation
        if self.what_ifs and "set" not in document:
            about["set"] = dict(self.what_ifs)
        if not about:
            return document
        first = {"ok": document["ok"]} if "ok" in document else {}
        return {**first, **about, **document}

    def view(self) -> Iterable[Section | Block]:
        """The result for people."""
        raise NotImplementedError

    def records(self) -> Iterable[Mapping[str, object]]:
        """The document's one list of objects, item by item; override where there is more than one."""
        document = self.document()
        lists = [value for value in document.values() if isinstance(value, list)]
        return lists[0] if len(lists) == 1 else [document]

    def sheet(self) -> Table:
        """The first table of the view; override where the facts are in several tables."""
        for item in self.view():
            for block in item.blocks if isinstance(item, Section) else (item,):
                if isinstance(block, Table):
                    return block
        return Table((), ())

    def to_pandas(self) -> Any:
        """The sheet as a pandas.DataFrame. Raises UsageFault where pandas is not installed."""
        from archcalc.host.extras import needed

        pandas = needed("pandas", "a table as a DataFrame")
        table = self.sheet()
        rows = [[plain(value) for value in row] for row in table.rows]
        return pandas.DataFrame(rows, columns=[column.name for column in table.columns])

    # The renderer for notebooks: html.notebook sets it, since a result knows no renderer.
    as_html: ClassVar[Callable[[Result], str] | None] = None

    def _repr_html_(self) -> str | None:
        """What notebooks show; without a renderer that is the object's name."""
        return None if Result.as_html is None else Result.as_html(self)


class Pictured(Result):
    """A result that can be drawn."""

    formats: ClassVar[tuple[str, ...]] = (*FORMATS, *PICTURES)

    def svg(self) -> str:
        """One SVG document."""
        raise NotImplementedError

    def html(self) -> str:
        """One self-contained HTML page."""
        raise NotImplementedError


class TextResult(Result):
    """A result that is itself a document: a completion script, a profile, a schema."""

    formats: ClassVar[tuple[str, ...]] = ("table",)

    def __init__(self, text: str) -> None:
        self.text = text

    def document(self) -> Mapping[str, object]:
        return {"text": self.text}

    def view(self) -> Sequence[Block]:
        return (Prose(self.text, verbatim=True),)


class Listing(Result):
    """A result that is one table and one list of objects: most lists are no more than this.

    `key` names the list in the JSON document; `extra` adds keys beside it.
    """

    def __init__(
        self,
        key: str,
        columns: Sequence[Column],
        rows: Sequence[Sequence[Value]],
        *,
        title: str = "",
        notes: Sequence[str] = (),
        extra: Mapping[str, object] | None = None,
    ) -> None:
        self.key = key
        self.table = Table(columns, rows, title=title, notes=notes)
        self.extra = dict(extra or {})

    def document(self) -> Mapping[str, object]:
        names = [column.name for column in self.table.columns]
        items = [dict(zip(names, row, strict=True)) for row in self.table.rows]
        return {**self.extra, self.key: items}

    def view(self) -> Sequence[Block]:
        return (self.table,)
