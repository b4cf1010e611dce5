"""The columnar form of a recording: a Parquet file, one row a record, in the order of the text.

The header line is in the file's metadata, so row r, counted from 0, is line r + 2 of the text.
COLUMNS says what the columns hold. A row has request and address only if they say exactly what
the line said; what is written unusually goes into `text`. That makes the form lossless both ways,
line for line. Rows are written and read in groups, and memory stays at one.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from archcalc.host import output
from archcalc.host.extras import needed
from archcalc.traces.reader import COLUMNAR_MAGIC, VERSIONS, Header, fault, parse_header, pieces

if TYPE_CHECKING:
    import pyarrow as pa

WHAT = "the columnar form of recordings"
SUFFIX = ".parquet"
PACKED = ".gz"
NAMES = ("*.trace.gz", "*.trace.parquet", "*.trace")  # of recordings
HEADER_KEY = b"archtrace.header"
FORM_KEY = b"archtrace.columns"
FORM = b"1"

COLUMNS = {
    "record": "the record's letters, as in the tables above; `?` for a line that is none of the format",
    "request": "of `m s S f x p q Q X`: the fields but the address, as the text has them",
    "address": "of those records, the address: what was returned, or what was freed",
    "text": "of all others, the fields; of a `?`, the whole line",
}

RECORDS = (
    "m", "s", "S", "f", "x", "T", "R", "Y", "F", "I", "p", "u", "k", "z", "P", "y", "g", "r", "b", "w", "e",
    "v", "M", "O", "U", "V", "q", "Q", "X", "H", "K", "D", "E", "L", "!", "Z", "Zs", "Zb", "?",
)  # fmt: skip
# What else versions 2 and 3 have. Only version 1 is replayed from columns, which knows the codes above.
NEWER = (
    "(", ")", "@", "+", "-", "*", "/", "<", ">", "=", "A", "B", "C", "G", "J", "N", "V", "c", "h", "i",
    "l", "n", "o", "Za", "Zc", "Zh", "Zt", "Zv",
)  # fmt: skip
CODE = {record: code for code, record in enumerate(RECORDS)}
OTHER = CODE["?"]
WRITTEN = (*RECORDS, *(record for record in NEWER if record not in RECORDS))
WRITTEN_CODE = {record: code for code, record in enumerate(WRITTEN)}
ENDS_IN_ADDRESS = frozenset("msfxpqQX")
ROWS = 1 << 18  # of a group
FEW = 1 << 12  # rows that the library validates sooner than arrays of them are looked at
ROWS_AT_ONCE = 1 << 17  # that are read: what is computed of them fits into a processor's cache
MAX_KEYS = 1 << 18  # remembered while writing
MOST_ASCII = 127
DICTIONARY_BYTES = 1 << 24  # of the requests of a group, before they are written out one by one


def recordings_in(folder: Path) -> list[Path]:
    """The recordings of either form in a folder, by their names."""
    return sorted(path for name in NAMES for path in folder.glob(name))


def is_columnar(path: Path) -> bool:
    """Whether a file is Parquet, by its first bytes. A file that cannot be read is not, nor is a pipe."""
    try:
        if not path.is_file():
            return False  # what is read of a pipe is gone
        with path.open("rb") as file:
            return file.read(4) == COLUMNAR_MAGIC
    except OSError:
        return False


def schema(header_line: str | None = None) -> pa.Schema:
    """The columns, with a header line as the file's metadata where one is given."""
    pa = needed("pyarrow", WHAT)
    words = pa.dictionary(pa.int32(), pa.string())
    fields = [
        pa.field("record", words, nullable=False),
        pa.field("request", words),
        pa.field("address", pa.uint64()),
        pa.field("text", pa.string()),
    ]
    metadata = None
    if header_line is not None:
        metadata = {HEADER_KEY: header_line.encode(), FORM_KEY: FORM}
    return pa.schema(fields, metadata)


_plain_schema = functools.cache(schema)


# From lines to rows.


def _address(text: str) -> int | None:
    """An address written as recordings write it; None for anything else."""
    if 0 < len(text) <= 16:
        try:
            value = int(text, 16)
        except ValueError:
            return None
        if value >= 0 and f"{value:x}" == text:
            return value
    return None


class Rows:
    """Lines on their way to a file, as columns. Records and requests are numbers of words."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Starts the next group."""
        # The record and the request of a line, by the line without its last field.
        self._known: dict[str, tuple[int, int] | None] = {}
        self._requests: dict[str, int] = {}
        self.record: list[int] = []
        self.request: list[int | None] = []
        self.address: list[int | None] = []
        self.text: list[str | None] = []

    def __len__(self) -> int:
        return len(self.record)

    def add(self, line: str) -> None:
        """One line."""
        key, _, last = line.rpartition(" ")
        known = self._known
        try:
            found = known[key]
        except KeyError:
            if len(known) > MAX_KEYS:
                known.clear()
            kind, space, request = key.partition(" ")
            found = (CODE[kind], self._number(request)) if space and kind in ENDS_IN_ADDRESS else None
            known[key] = found
        address = None
        if found is not None:
            address = _address(last)
        elif line[:2] == "S ":
            first, space, request = line[2:].partition(" ")
            address = _address(first)
            if space and address is not None:
                found = CODE["S"], self._number(request)
        if found is not None and address is not None:
            self.record.append(found[0])
            self.request.append(found[1])
            self.address.append(address)
            self.text.append(None)
            return
        kind, space, rest = line.partition(" ")
        code = WRITTEN_CODE.get(kind, OTHER)
        self.record.append(code)
        self.request.append(None)
        self.address.append(None)
        self.text.append(line if code == OTHER else rest if space else None)

    def _number(self, request: str) -> int:
        return self._requests.setdefault(request, len(self._requests))

    def batch(self, to: pa.Schema) -> pa.RecordBatch:
        """The lines as one batch."""
        pa = needed("pyarrow", WHAT)
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(self.record, pa.int32()), pa.array(WRITTEN)),
            pa.DictionaryArray.from_arrays(
                pa.array(self.request, pa.int32()), pa.array(list(self._requests), pa.string())
            ),
            pa.array(self.address, pa.uint64()),
            pa.array(self.text, pa.string()),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=to)


def write(path: Path, header_line: str, lines: Iterator[Sequence[str]], force: bool = False) -> int:
    """Writes the lines after a header line, a group of rows at a time, whole or not at all; how many."""
    pq = needed("pyarrow.parquet", WHAT)
    to = schema(header_line)
    count = 0
    with (
        output.replacing(path, force) as raw,
        pq.ParquetWriter(
            raw,
            to,
            compression={"record": "lz4", "request": "lz4", "address": "lz4", "text": "zstd"},
            use_dictionary=["record", "request"],
            dictionary_pagesize_limit=DICTIONARY_BYTES,
            column_encoding={"address": "BYTE_STREAM_SPLIT", "text": "PLAIN"},
            write_statistics=["address"],
            write_page_checksum=True,
        ) as out,
    ):
        rows = Rows()
        for piece in lines:
            for line in piece:
                rows.add(line)
                if len(rows) == ROWS:
                    out.write_batch(rows.batch(to), row_group_size=ROWS)
                    count += ROWS
                    rows.clear()
        if len(rows):
            out.write_batch(rows.batch(to), row_group_size=ROWS)
            count += len(rows)
    return count


# From rows to lines.


class ColumnarFile:
    """A columnar recording, opened. Raises TraceFault for a file that is not one, or is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        pa, pq = needed("pyarrow", WHAT), needed("pyarrow.parquet", WHAT)
        self._file = self._guarded(
            # An opened file: of a path the library first finds out which file system it is on.
            lambda: pq.ParquetFile(pa.OSFile(str(path)), page_checksum_verification=True, pre_buffer=False),
            0,
        )
        found = self._file.schema_arrow
        metadata = found.metadata or {}
        form = metadata.get(FORM_KEY, FORM)
        if HEADER_KEY in metadata and form != FORM:
            told = f"columns of version {form.decode(errors='replace')}"
            raise fault(self.name, 0, told, f"version {FORM.decode()}, or a newer archcalc")
        if HEADER_KEY not in metadata or FORM_KEY not in metadata or not found.equals(_plain_schema()):
            raise fault(
                self.name, 0, "a Parquet file that is not a recording", "one of archcalc trace convert"
            )
        self.header_line = self._text(metadata[HEADER_KEY])
        self.rows: int = self._file.metadata.num_rows

    def header(self) -> Header:
        """The header, or TraceFault."""
        return parse_header(self.name, self.header_line, VERSIONS)

    def _text(self, data: bytes) -> str:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise fault(self.name, 1, "a header that is not UTF-8") from None
        if "\n" in text:
            raise fault(self.name, 1, "a header of more than one line")
        return text

    def _guarded(self, work: Callable[[], Any], line: int) -> Any:
        """Whatever the library finds wrong, as a fault of the file near that line."""
        pa = needed("pyarrow", WHAT)
        try:
            return work()
        except (pa.ArrowException, OSError, ValueError, UnicodeDecodeError) as broken:
            words = " ".join(str(broken).split())
            raise fault(
                self.name, line, f"a Parquet file that is damaged or cut short ({words[:200]})"
            ) from None

    def batches(
        self, columns: Sequence[str] | None = None, rows: int = ROWS_AT_ONCE
    ) -> Iterator[pa.RecordBatch]:
        """The rows, so many at a time, with all columns or only some."""
        # For a small file threads cost more than they save.
        found = self._file.iter_batches(batch_size=rows, columns=columns, use_threads=self.rows > ROWS // 2)
        line = 2
        while True:
            batch = self._guarded(lambda: next(found, None), line)
            if batch is None:
                return
            if columns is None:
                full = batch.num_rows <= FEW or not _plain(batch)
                self._guarded(functools.partial(batch.validate, full=full), line)
            line += batch.num_rows
            yield batch

    def kinds(self) -> Iterator[Counter[str]]:
        """How many records of each kind there are, some rows at a time, without making lines of them."""
        for batch in self.batches(["record", "text"]):
            records, texts = batch.columns
            words = records.dictionary.to_pylist()
            codes = records.indices
            counts = codes.value_counts()
            found = Counter(
                {
                    words[code]: count
                    for code, count in zip(
                        counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True
                    )
                }
            )
            if found.pop("?", 0):
                others = zip(_words(records), texts.to_pylist(), strict=True)
                found.update((text or "").partition(" ")[0] for record, text in others if record == "?")
            yield found

    def lines(self) -> Iterator[list[str]]:
        """The text's lines, the header first."""
        yield [self.header_line]
        for batch in self.batches():
            yield lines_of(batch)


def _plain(batch: pa.RecordBatch) -> bool:
    """Whether all words of a batch exist and all texts are ASCII; the library takes longer to find out.

    Of what it says about others nothing is known.
    """
    np = needed("numpy", WHAT)
    records, requests, _, texts = batch.columns
    for column in (records, requests):
        indices = np.frombuffer(column.indices.buffers()[1], np.uint32)[column.offset :][: len(column)]
        if not len(indices) or indices.max() >= len(column.dictionary):
            return False
    for column in (records.dictionary, requests.dictionary, texts):
        _, offsets, data = column.buffers()
        ends = np.frombuffer(offsets, np.int32)[column.offset :][: len(column) + 1]
        if not (ends[1:] >= ends[:-1]).all() or ends[0] < 0 or ends[-1] > (data.size if data else 0):
            return False
        if ends[0] < ends[-1] and np.frombuffer(data, np.uint8)[ends[0] : ends[-1]].max() > MOST_ASCII:
            return False
    return True


def lines_of(batch: pa.RecordBatch) -> list[str]:
    """The lines that the rows say."""
    records, requests, addresses, texts = batch.columns
    numbers = addresses.fill_null(0).to_numpy().tolist()  # read only where there is a request
    return list(map(line_of, _words(records), _words(requests), numbers, texts.to_pylist()))


def _words(column: pa.DictionaryArray) -> list[str | None]:
    """A dictionary's column as words; its own conversion makes an object of the library's for each."""
    words = [*column.dictionary.to_pylist(), None]
    return [words[i] for i in column.indices.fill_null(len(words) - 1).to_numpy().tolist()]


def line_of(record: str | None, request: str | None, address: int, text: str | None) -> str:
    """The line that a row says."""
    if request is not None:
        return f"S {address:x} {request}" if record == "S" else f"{record} {request} {address:x}"
    if record == "?":
        return text or ""
    return record or "" if text is None else f"{record} {text}"


# Either form.


def lines(path: Path) -> Iterator[list[str]]:
    """The lines of a recording in either form, some at a time, the header first."""
    if is_columnar(path):
        return ColumnarFile(path).lines()
    return pieces(path)


def header_of(path: Path) -> Header:
    """The header of a recording in either form."""
    return opened(path)[0]


def opened(path: Path) -> tuple[Header, Iterator[list[str]]]:
    """The header of a recording in either form, and the lines after it, some at a time."""
    stream = lines(path)
    first = next(stream, None)
    if first is None:
        raise fault(str(path), 1, "an empty file", "a recording")
    return parse_header(str(path), first[0], VERSIONS), itertools.chain([first[1:]], stream)


def convert(
    source: Path, target: Path, progress: Callable[[int], None] | None = None, force: bool = True
) -> int:
    """Writes a recording in the form that the target's name asks for. Returns how many lines it has.

    `*.parquet` is columnar, `*.gz` gzip'd text, everything else plain text. Raises TraceFault for a
    damaged source, UsageFault for a target that cannot be written, or exists and there is no force.
    """
    stream = lines(source)
    try:
        first = next(stream)
    except StopIteration:
        raise fault(str(source), 1, "an empty file", "a recording") from None
    parse_header(str(source), first[0], VERSIONS)

    def body() -> Iterator[Sequence[str]]:
        done = len(first) - 1
        yield first[1:]
        for piece in stream:
            yield piece
            done += len(piece)
            if progress is not None:
                progress(done)

    return 1 + write_as_named(target, first[0], body(), force)


def write_as_named(path: Path, header_line: str, lines: Iterator[Sequence[str]], force: bool = False) -> int:
    """Writes a recording in the form that its name asks for. Returns how many lines follow the header."""
    return (write if path.suffix == SUFFIX else write_text)(path, header_line, lines, force)


def write_text(path: Path, header_line: str, lines: Iterator[Sequence[str]], force: bool = False) -> int:
    """Writes text, gzip'd for `*.gz`, whole or not at all. Returns how many lines follow the header."""
    count = 0
    with output.replacing(path, force) as raw, _packed(raw, path.suffix == PACKED) as out:
        out.write(header_line.encode() + b"\n")
        for piece in lines:
            if piece:
                out.write(("\n".join(piece) + "\n").encode())
                count += len(piece)
    return count


def _packed(raw: IO[bytes], packed: bool) -> AbstractContextManager[IO[bytes]]:
    """What writes into a file, gzip'd or as it is. Equal lines become equal bytes."""
    import gzip

    if not packed:
        return nullcontext(raw)
    return gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0)  # type: ignore[return-value]


def kinds(path: Path) -> tuple[Header, Iterator[Counter[str]]]:
    """A recording's header, and how many records of each kind it has, some at a time. Opens it once."""
    if is_columnar(path):
        file = ColumnarFile(path)
        return file.header(), file.kinds()
    stream = pieces(path)
    first = next(stream, None)
    if first is None:
        raise fault(str(path), 1, "an empty file", "a recording")
    header = parse_header(str(path), first[0], VERSIONS)
    behind = itertools.chain([first[1:]], stream)
    return header, (Counter(line.partition(" ")[0] for line in piece) for piece in behind)
