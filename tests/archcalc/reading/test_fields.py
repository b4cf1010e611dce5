"""Declared fields: what each kind takes and refuses, in the words that a person sees, and its JSON Schema."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc.reading.fields import (
    INVALID,
    Address,
    Anything,
    Bool,
    Checked,
    Choice,
    Either,
    Field,
    FixedKeys,
    Int,
    Kind,
    ListOf,
    MapOf,
    Null,
    Number,
    PowerOfTwo,
    Size,
    Text,
    meaning,
    nearest,
    read_file,
)
from archcalc.reading.strictyaml import Document, Scalar, in_order


def read(kind: Kind, value: str) -> tuple[Any, list[str]]:
    """A kind's reading of one value, and its faults without their place."""
    document = Document("f.yaml", "test", [])
    group = read_file(f"key: {value}\n".encode(), FixedKeys({"key": Field(kind, "")}), document)
    assert group is not None
    return group.get("key", INVALID), [fault.message for fault in in_order(document.faults)]


GOOD = [
    (Int(), "0", 0),
    (Int(), "18446744073709551615", (1 << 64) - 1),
    (Int(-5, 5), "-5", -5),
    (Int(), "0xc000000000", 0xC000000000),
    (Int(), "0o17", 15),
    (PowerOfTwo(512, 1 << 30), "4096", 4096),
    (PowerOfTwo(0, 1 << 30), "0", 0),
    (Size(), "64k", 65536),
    (PowerOfTwo(512, 1 << 30), "16k", 16384),
    (PowerOfTwo(0, 1 << 34), "2m", 1 << 21),
    (PowerOfTwo(512, 1 << 30), "0x4000", 16384),
    (Size(), "1.5g", 3 << 29),
    (Size(), "100", 100),
    (Size(), '"64 KB"', 65536),
    (Address(), "0x10000000000000000", 1 << 64),
    (Bool(), "true", True),
    (Bool(), "false", False),
    (Text(), "plain words", "plain words"),
    (Text(), '"010"', "010"),
    (Text(), "2017-01-06", "2017-01-06"),
    (Choice(("up", "down")), "up", "up"),
    (Choice((4, 8)), "8", 8),
    (Null(), "~", None),
    (Null(), "", None),
    (Number(), "0.25", 0.25),
    (Number(), "3", 3),
    (ListOf(Int()), "[1, 2]", [1, 2]),
    (ListOf(Text(), alone=True), "one", ["one"]),
    (MapOf(Int(), "_[A-Z]+"), "{_A: 1}", {"_A": 1}),
    (Either(Int(), ListOf(Int())), "[1]", [1]),
    (Either(Int(), ListOf(Int())), "1", 1),
    (Checked(Int(), lambda n: "" if n % 2 == 0 else "an even number"), "2", 2),
    (Anything(), "{a: [1, x, 2.5, true, ~]}", {"a": [1, "x", 2.5, True, None]}),
    (FixedKeys({"a": Field(Int(), "")}), "{a: 1}", {"a": 1}),
]


@pytest.mark.parametrize(
    ("kind", "value", "expected"), GOOD, ids=[f"{type(k).__name__} {v}" for k, v, _ in GOOD]
)
def test_taken(kind: Kind, value: str, expected: Any) -> None:
    found, faults = read(kind, value)
    assert faults == []
    assert found == expected
    assert type(found) is type(expected) or isinstance(expected, dict)
    assert_schema_agrees(kind, value, True)


OF_64_BITS = "an integer from 0 to 0xffffffffffffffff"
BAD = [
    (Int(), "eight", f'key is the text "eight"; expected {OF_64_BITS}'),
    (Int(), '"8"', f'key is the text "8"; expected {OF_64_BITS}; did you mean 8 without quotes?'),
    (Int(), "8.0", f"key is the number 8.0; expected {OF_64_BITS}"),
    (Int(), "true", f"key is true; expected {OF_64_BITS}"),
    (Int(), "", f"key is nothing; expected {OF_64_BITS}"),
    (Int(), "[8]", f"key is a list; expected {OF_64_BITS}"),
    (Int(), "{a: 8}", f"key is a mapping; expected {OF_64_BITS}"),
    (
        Int(),
        "010",
        f"key is 010, a number that YAML readers read differently; expected {OF_64_BITS}; did you mean 10?",
    ),
    (
        Int(),
        "1_000",
        f"key is 1_000, a number that YAML readers read differently; expected {OF_64_BITS}; did you "
        "mean 1000?",
    ),
    (
        Int(),
        "0xc0_0000",
        f"key is 0xc0_0000, a number that YAML readers read differently; expected {OF_64_BITS}; did "
        "you mean 0xc00000?",
    ),
    (
        Int(),
        "0b101",
        f"key is 0b101, a number that YAML readers read differently; expected {OF_64_BITS}; did you "
        "mean 0x5?",
    ),
    (
        Int(),
        "-0x10",
        f"key is -0x10, a number that YAML readers read differently; expected {OF_64_BITS}; did you "
        "mean -16?",
    ),
    (
        Int(),
        "+8",
        f"key is +8, a number that YAML readers read differently; expected {OF_64_BITS}; did you mean 8?",
    ),
    (
        Int(),
        "1:30",
        f'key is 1:30, a number in base 60 to some YAML readers; expected {OF_64_BITS}; did you mean "1:30"?',
    ),
    (Int(1, 16), "17", "key is 17; expected an integer from 1 to 16"),
    (Int(1, 16), "-1", "key is -1; expected an integer from 1 to 16"),
    (Int(), "9" * 5000, f"key is a number of 5000 digits; expected {OF_64_BITS}"),
    (
        PowerOfTwo(512, 65536),
        "5000",
        "key is 5000; expected a power of two from 512 to 65536; did you mean 4096?",
    ),
    (
        PowerOfTwo(512, 65536),
        "7000",
        "key is 7000; expected a power of two from 512 to 65536; did you mean 8192?",
    ),
    (PowerOfTwo(512, 65536), "0", "key is 0; expected a power of two from 512 to 65536"),
    (
        Size(0, 1 << 20),
        "64q",
        'key is the text "64q"; expected a size such as 64k, 1.5g or plain bytes, from 0 to 1048576',
    ),
    (
        Size(0, 1 << 20),
        "1.1b",
        'key is the text "1.1b"; expected a size such as 64k, 1.5g or plain bytes, from 0 to 1048576',
    ),
    (
        Size(0, 1 << 20),
        "2m",
        "key is 2m; expected a size such as 64k, 1.5g or plain bytes, from 0 to 1048576",
    ),
    (
        Bool(),
        "yes",
        "key is yes, a boolean to some YAML readers only; expected true or false; did you mean true?",
    ),
    (
        Bool(),
        "Off",
        "key is Off, a boolean to some YAML readers only; expected true or false; did you mean false?",
    ),
    (
        Bool(),
        "TRUE",
        "key is TRUE, a boolean to some YAML readers only; expected true or false; did you mean true?",
    ),
    (Bool(), "1", "key is the number 1; expected true or false"),
    (Text(), "386", 'key is the number 386; expected text; did you mean "386"?'),
    (Text(), "no", 'key is no, a boolean to some YAML readers only; expected text; did you mean "no"?'),
    (Text(), "", "key is nothing; expected text"),
    (Text("[a-z]+", "small letters"), "ABC", 'key is the text "ABC"; expected small letters'),
    (Text(longest=3), "abcd", 'key is the text "abcd"; expected text'),
    (Choice(("linux", "bsd")), "linx", 'key is the text "linx"; expected linux or bsd; did you mean linux?'),
    (Choice((4, 8)), "6", "key is the number 6; expected 4 or 8"),
    (Choice((4, 8)), "[4]", "key is a list; expected 4 or 8"),
    (Choice((1,)), "true", "key is true; expected 1"),
    (Null(), "0", "key is the number 0; expected nothing"),
    (Number(0, 1), "1.5", "key is the number 1.5; expected a number from 0 to 1"),
    (Number(0, 1), ".nan", "key is .nan; expected a number from 0 to 1"),
    (Number(0, 1), "x", 'key is the text "x"; expected a number from 0 to 1'),
    (ListOf(Bool(), 1), "[]", "key has 0 items; expected a list of at least 1, each true or false"),
    (ListOf(Bool()), "true", "key is true; expected a list, each true or false"),
    (ListOf(Bool()), "[true, 2]", "key[1] is the number 2; expected true or false"),
    (MapOf(Int(0, 9), "_[A-Z]+", "a Go name"), "{a: 1}", 'key "a" in key; expected a Go name'),
    (MapOf(Int(0, 9), "_[A-Z]+"), "{_A: 10}", "key._A is 10; expected an integer from 0 to 9"),
    (MapOf(Int(0, 9)), "1", "key is the number 1; expected a mapping from a name to an integer from 0 to 9"),
    (
        Either(Bool(), ListOf(Bool())),
        "{}",
        "key is a mapping; expected true or false, or a list, each true or false",
    ),
    (
        Checked(Int(), lambda n: "" if n % 2 == 0 else "an even number"),
        "3",
        "key is the number 3; expected an even number",
    ),
    (
        Anything(),
        "[1, yes]",
        "key[1] is yes, a boolean to some YAML readers only; expected a value that every YAML reader "
        "reads the same way; "
        "did you mean true?",
    ),
    (
        FixedKeys({"size": Field(Int(), "")}),
        "{sise: 1}",
        'unknown key "sise" in key; expected one of size; did you mean size?',
    ),
    (FixedKeys({"size": Field(Bool(), "", True)}), "{}", "no size in key; expected size: true or false"),
    (FixedKeys({"size": Field(Bool(), "")}), "1", "key is the number 1; expected a mapping with size"),
]


@pytest.mark.parametrize(
    ("kind", "value", "message"), BAD, ids=[f"{type(k).__name__} {v[:20]}" for k, v, _ in BAD]
)
def test_refused(kind: Kind, value: str, message: str) -> None:
    found, faults = read(kind, value)
    assert faults == [message]
    if not isinstance(kind, (FixedKeys, MapOf)):  # of these, what is well is kept
        assert found is INVALID


def assert_schema_agrees(kind: Kind, value: str, valid: bool) -> None:
    """An editor with the JSON Schema judges as we do. (These values are the same to YAML 1.1 and 1.2.)"""
    if "0o" in value:
        return
    document = yaml.safe_load(f"key: {value}")["key"]
    if document.__class__.__name__ == "date":
        document = value
    jsonschema.Draft202012Validator.check_schema(kind.schema())
    assert jsonschema.Draft202012Validator(kind.schema()).is_valid(document) is valid


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Int(1, 16), "17"),
        (PowerOfTwo(512, 65536), "5000"),
        (PowerOfTwo(512, 65536), "0"),
        (Size(), "64q"),
        (Bool(), "1"),
        (Text(), "386"),
        (Text("[a-z]+"), "ABC"),
        (Choice((4, 8)), "6"),
        (Null(), "0"),
        (Number(0, 1), "1.5"),
        (ListOf(Bool(), 1), "[]"),
        (MapOf(Int(), "_[A-Z]+"), "{a: 1}"),
        (FixedKeys({"a": Field(Int(), "")}), "{b: 1}"),
        (FixedKeys({"a": Field(Int(), "", True)}), "{}"),
    ],
)
def test_the_schema_refuses_it_too(kind: Kind, value: str) -> None:
    assert read(kind, value)[1] != []
    assert_schema_agrees(kind, value, False)


def test_partial_sections_miss_nothing() -> None:
    section = FixedKeys({"a": Field(Int(), "", True)}, "part", partial=True)
    assert read(section, "{}") == ({}, [])
    assert "required" not in section.schema()
    assert section.schema()["title"] == "part"


def test_values_know_their_places() -> None:
    document = Document("f.yaml", "test", [])
    section = FixedKeys({"a": Field(Int(), ""), "b": Field(ListOf(Int()), "")})
    group = read_file(b"# x\na:   1\nb:\n  - 2\n", section, document)
    assert group is not None
    assert group.at == {"a": (2, 6), "b": (4, 3)}
    assert (group.line, group.column) == (2, 1)


def test_all_faults_of_a_file_come_at_once_and_in_order() -> None:
    document = Document("f.yaml", "test", [])
    section = FixedKeys({"a": Field(Int(), ""), "b": Field(Bool(), "", True)})
    read_file(b"x: 1\na: y\na: 2\n", section, document)
    assert [(f.line, f.column, f.id) for f in in_order(document.faults)] == [
        (1, 1, "test-unknown-key"),
        (1, 1, "test-missing-key"),
        (2, 4, "test-wrong-type"),
        (3, 1, "test-duplicate-key"),
    ]


def test_nearest_gives_nothing_where_nothing_is_near() -> None:
    assert nearest("ptr_sise", ["ptr_size", "reg_size"]) == "ptr_size"
    assert nearest("zzz", ["ptr_size"]) == ""


@settings(deadline=None)
@given(st.text(max_size=30))
def test_a_scalar_always_has_a_meaning(text: str) -> None:
    found = meaning(Scalar(1, 1, text))
    assert found.type in ("int", "float", "bool", "null", "text", "unsure")
    assert found.words
    assert meaning(Scalar(1, 1, text, quoted=True)).value == text


@settings(deadline=None)
@given(st.integers(-(1 << 70), 1 << 70))
def test_integers_mean_themselves(number: int) -> None:
    assert meaning(Scalar(1, 1, str(number)))[:2] == ("int", number)
    if number >= 0:
        assert meaning(Scalar(1, 1, hex(number)))[:2] == ("int", number)
        assert meaning(Scalar(1, 1, oct(number)))[:2] == ("int", number)
