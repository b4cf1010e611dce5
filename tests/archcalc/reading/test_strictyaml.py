"""The strict YAML reader: the tree of what is well, and every fault in the words that a person sees."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from archcalc.reading import strictyaml
from archcalc.reading.strictyaml import Document, Mapping, Node, Scalar, Sequence


@pytest.fixture(params=["libyaml", "python"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both parsers: PyYAML can be installed without libyaml."""
    name: str = request.param
    if name == "libyaml" and not yaml.__with_libyaml__:
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(strictyaml, "_LOADER", yaml.CSafeLoader if name == "libyaml" else yaml.SafeLoader)
    return name


def parse(data: bytes | str) -> tuple[Mapping | None, list[str]]:
    document = Document("f.yaml", "test", [])
    tree = strictyaml.parse(data.encode() if isinstance(data, str) else data, document)
    return tree, [str(fault) for fault in strictyaml.in_order(document.faults)]


def plain(node: Node) -> Any:
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.entries}


@pytest.mark.usefixtures("engine")
class TestTree:
    def test_scalars_stay_text_and_know_whether_they_were_quoted(self) -> None:
        tree, faults = parse(
            "a: 010\nb: '010'\nc: [yes, {d: |-\n  two\n  lines\n}]\n".replace("|-\n  two\n  lines\n", '"x"')
        )
        assert faults == []
        assert tree is not None
        assert plain(tree) == {"a": "010", "b": "010", "c": ["yes", {"d": "x"}]}
        assert [value.quoted for _, value in tree.entries[:2] if isinstance(value, Scalar)] == [False, True]

    def test_a_block_scalar_is_quoted_text(self) -> None:
        tree, _ = parse("a: |-\n  010\n")
        assert tree is not None
        ((_, value),) = tree.entries
        assert isinstance(value, Scalar)
        assert (value.text, value.quoted) == ("010", True)

    def test_places_count_from_one_and_in_characters(self) -> None:
        tree, _ = parse("# a comment\nä: {b: 1}\n")
        assert tree is not None
        ((key, value),) = tree.entries
        assert (key.line, key.column) == (2, 1)
        assert (value.line, value.column) == (2, 4)

    def test_an_alias_is_the_node_it_names(self) -> None:
        tree, faults = parse("a: &x [1]\nb: *x\n")
        assert faults == []
        assert tree is not None
        assert tree.entries[0][1] is tree.entries[1][1]


# What a person wrote, and the line that they get back.
FAULTS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "f.yaml:1:1: the file is empty; expected a mapping, `key: value`"),
    "comment only": ("# nothing\n", "f.yaml:1:1: the file is empty; expected a mapping, `key: value`"),
    "list": ("- 1\n", "f.yaml:1:1: the document is a list; expected a mapping, `key: value`"),
    "scalar": ("\nhello\n", "f.yaml:2:1: the document is a single value; expected a mapping, `key: value`"),
    "two documents": (
        "a: 1\n---\nb: 2\n",
        "f.yaml:2:1: a second document begins here; expected one document a file",
    ),
    "duplicate key": (
        "a: 1\nb: 2\na: 3\n",
        "f.yaml:3:1: key a is given a second time; expected it once; the first is on line 1",
    ),
    "list as key": ("? [1, 2]\n: 3\n", "f.yaml:1:3: a list as a key; expected a name"),
    "mapping as key": ("{a: 1}: 3\n", "f.yaml:1:1: a mapping as a key; expected a name"),
    "python tag": (
        "a: !!python/object/apply:os.system [ls]\n",
        "f.yaml:1:4: the tag tag:yaml.org,2002:python/object/apply:os.system; "
        "expected a plain value: tags are not read",
    ),
    "int tag": (
        "a: !!int '3'\n",
        "f.yaml:1:4: the tag tag:yaml.org,2002:int; expected a plain value: tags are not read",
    ),
    "no anchor": ("a: *x\n", "f.yaml:1:4: the alias *x; expected an anchor &x before it"),
    "alias within itself": (
        "a: &x [1, *x]\n",
        "f.yaml:1:11: the alias *x inside what it names; expected no loop",
    ),
    "utf-16": ("a: 1".encode("utf-16"), "f.yaml:1:1: the file is UTF-16; expected UTF-8"),
    "byte order mark": (
        b"\xef\xbb\xbfa: 1",
        "f.yaml:1:1: the file begins with a byte order mark; expected UTF-8 without one",
    ),
    "latin-1": ("a: 1\nb: ü\n".encode("latin-1"), "f.yaml:2:4: byte 0xfc is not UTF-8; expected UTF-8"),
    "nul": (b"a: 1\r\nb: \x00\n", "f.yaml:2:4: character U+0000 is not printable; expected plain text"),
    "escape character": (
        b"\x1b[31m: 1\n",
        "f.yaml:1:1: character U+001B is not printable; expected plain text",
    ),
    "line separator": (
        "a: ä\u2028b: 1\n",
        "f.yaml:1:5: character U+2028 is not printable; expected plain text",
    ),
    "deep list": (
        "a: " + "[" * 100_000,
        "f.yaml:1:35: more than 32 levels of nesting; expected a few levels",
    ),
    "deep mapping": (
        "".join(f"{' ' * i}a:\n" for i in range(1, 200)),
        "f.yaml:33:34: more than 32 levels of nesting; expected a few levels",
    ),
    "large": (
        "a: " + "x" * (1 << 20),
        "f.yaml:1:1: the file is larger than 1 MB; expected a few KB of facts",
    ),
    "many values": (
        "a: [" + "1," * 100_000 + "]",
        "f.yaml:1:199999: more than 100000 values, aliases unfolded; expected a few hundred",
    ),
}


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("what", FAULTS)
def test_fault(what: str) -> None:
    data, message = FAULTS[what]
    assert parse(data)[1] == [message]


@pytest.mark.usefixtures("engine")
def test_an_alias_bomb_is_counted_unfolded() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
    )
    tree, faults = parse(bomb)
    assert tree is None
    assert faults == ["f.yaml:5:45: more than 100000 values, aliases unfolded; expected a few hundred"]


# Text that is no YAML, and what a person is told, whichever parser found it.
BROKEN = {
    "list not closed": (
        "a: [1\n",
        "f.yaml:2:1: the file ends inside a value; expected a closing bracket or quote before the end",
    ),
    "quote not closed": (
        "a: 'x\n",
        "f.yaml:2:1: the file ends inside a value; expected a closing bracket or quote before the end",
    ),
    "tab": ("a:\n\t- 1\n", "f.yaml:2:1: a tab in the indentation; expected spaces"),
    "at sign": ("a: @x\n", "f.yaml:1:4: a value begins with @; expected quotes around the value"),
    "backquote": ("a: `x`\n", "f.yaml:1:4: a value begins with `; expected quotes around the value"),
    "two colons": (
        "a: b: c\n",
        "f.yaml:1:5: a second colon in `key: value`; expected quotes around a value that contains a colon",
    ),
    "after a list": ("a: [1] 2\nb: 3\n", "f.yaml:1:8: not YAML from here on; expected valid YAML"),
}


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("what", BROKEN)
def test_what_is_not_yaml_is_reported_in_words_of_our_own(what: str) -> None:
    data, message = BROKEN[what]
    assert parse(data) == (None, [message])


@pytest.mark.usefixtures("engine")
def test_an_error_of_the_parser_without_a_place_is_a_fault_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stops(_: object) -> Mapping:
        raise yaml.YAMLError("words that the next version may change")

    monkeypatch.setattr(strictyaml._Composer, "root", stops)
    assert parse("a: 1\n") == (None, ["f.yaml:1:1: not YAML; expected valid YAML"])


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("opening", ["[", "{a: ", "{a: [", "? ["])
@pytest.mark.parametrize("levels", [33, 900, 5_000])
def test_depth_is_limited_by_us_and_not_by_a_library(opening: str, levels: int) -> None:
    tree, faults = parse(f"a: 1\nb:\n {opening * levels}")
    assert tree is None
    assert len(faults) == 1
    assert faults[0].startswith("f.yaml:3:")
    assert faults[0].endswith(": more than 32 levels of nesting; expected a few levels")


@pytest.mark.usefixtures("engine")
def test_brackets_in_quoted_text_are_no_levels() -> None:
    _, faults = parse(f"a: '{'[' * 2_000}'\nb: @\n")
    assert faults == ["f.yaml:2:4: a value begins with @; expected quotes around the value"]


@pytest.mark.usefixtures("engine")
def test_a_syntax_fault_is_located_by_either_parser() -> None:
    tree, faults = parse("a: 1\nb: [1\n")
    assert tree is None
    assert len(faults) == 1
    assert faults[0].startswith("f.yaml:3:1: ")


@pytest.mark.usefixtures("engine")
def test_several_faults_are_all_told() -> None:
    _, faults = parse("a: 1\na: !x 2\n? {}\n: 1\n--- 2\n")
    assert [fault.split(": ")[0] for fault in faults] == [
        "f.yaml:2:1",
        "f.yaml:2:4",
        "f.yaml:3:3",
        "f.yaml:5:1",
    ]


def test_a_surrogate_by_an_escape_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strictyaml, "_LOADER", yaml.SafeLoader)  # libyaml refuses the escape itself
    assert parse('a: "\\ud800"')[1] == ["f.yaml:1:4: an escape names a surrogate; expected whole characters"]
    assert parse('a: "\\UFFFFFFFF"')[1] == ["f.yaml:1:1: not YAML; expected valid YAML"]


def test_what_cannot_be_read_is_a_fault_of_the_file(tmp_path: Any) -> None:
    document = Document("there.yaml", "test", [])
    assert strictyaml.read_bytes(tmp_path / "none.yaml", document) is None
    assert strictyaml.read_bytes(tmp_path, document) is None
    assert strictyaml.read_bytes("nul\0.yaml", document) is None
    assert [str(fault) for fault in document.faults] == [
        "there.yaml: cannot be read: No such file or directory",
        "there.yaml: cannot be read: Is a directory",
        "there.yaml: cannot be read: embedded null byte",
    ]
    assert {fault.id for fault in document.faults} == {"test-unreadable"}


YAML_PIECES = st.lists(
    st.sampled_from(
        [
            "a",
            "b: ",
            "- ",
            "\n",
            "  ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            ": ",
            "? ",
            "&x ",
            "*x",
            "!t ",
            "!!int ",
            '"',
            "'",
            "|\n",
            ">",
            "---\n",
            "...\n",
            "%YAML 1.1\n",
            "#",
            "\t",
            "<<: ",
            "~",
            "1",
            "0x1f",
            "\\",
            "é",
            "\x85",
            "`",
            "@",
        ]
    ),
    max_size=60,
).map("".join)


def _judge(data: bytes) -> None:
    tree, faults = parse(data)
    assert (tree is not None) or faults
    for fault in faults:
        place = fault.split(": ")[0].split(":")
        assert place[0] == "f.yaml"
        line, column = int(place[1]), int(place[2])
        assert 1 <= line <= data.count(b"\n") + data.count(b"\r") + 2
        assert 1 <= column <= len(data) + 2


@settings(deadline=None)
@given(st.binary(max_size=300))
@example(b"\xff\xfe")
@example(b'a: "\\xed\\xa0\\x80"')
def test_any_bytes_are_a_tree_or_located_faults(data: bytes) -> None:
    _judge(data)


@settings(deadline=None)
@given(YAML_PIECES)
def test_anything_like_yaml_is_a_tree_or_located_faults(text: str) -> None:
    _judge(text.encode())


@settings(deadline=None)
@given(
    st.recursive(
        st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=20,
    )
)
def test_what_a_dumper_writes_is_read_back(value: Any) -> None:
    data = yaml.safe_dump({"v": value}, allow_unicode=False, default_style='"').encode()
    tree, faults = parse(data)
    if any(0xD800 <= ord(c) <= 0xDFFF for c in str(value)):
        return
    assert faults == []
    assert tree is not None
    assert plain(tree) == {"v": value}
