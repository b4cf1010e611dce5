"""Whatever says bytes takes a unit: each key of each file, each option, and what programs give."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from archcalc.boot import boot
from archcalc.calculator.figures import compute
from archcalc.machines.options import MachineOptions, machine_options
from archcalc.profiles import platforms, profile_fields
from archcalc.reading.errors import UsageFault
from archcalc.reading.fields import INVALID, FixedKeys, Kind, Limit, Size, SizeChoice
from archcalc.reading.quantities import RLIM_INFINITY
from archcalc.reading.strictyaml import Document, Scalar
from archcalc.scenarios import fields as scenario_fields
from archcalc.sweeps import load as sweep_fields

FILES = {
    "profile": profile_fields.FILE,
    "scenario": scenario_fields.FILE,
    "sweep": sweep_fields.FILE,
}


def kinds(kind: Kind, name: str) -> Iterator[tuple[str, str, Kind]]:
    """All leaves below a kind, each with its path and its line of help."""
    if isinstance(kind, FixedKeys):
        for key, field in kind.fields.items():
            for path, help, leaf in kinds(field.kind, f"{name}.{key}"):
                yield path, help or field.help, leaf
        return
    inner = [value for value in vars(kind).values() if isinstance(value, Kind)]
    inner += [
        one
        for value in vars(kind).values()
        if isinstance(value, tuple)
        for one in value
        if isinstance(one, Kind)
    ]
    if inner:
        for one in inner:
            yield from kinds(one, name)
        return
    yield name, "", kind


LEAVES = [leaf for name, section in FILES.items() for leaf in kinds(section, name)]
BYTES = [
    leaf
    for leaf in LEAVES
    if re.match(r"(mean )?bytes\b|limit of the .* (in bytes|\(RLIMIT)|.*\bin bytes\b", leaf[1])
]


def test_there_are_such_keys_in_each_file() -> None:
    assert {path.partition(".")[0] for path, _, _ in BYTES} == set(FILES) and len(BYTES) > 40


@pytest.mark.parametrize(("path", "help", "kind"), BYTES, ids=[path for path, _, _ in BYTES])
def test_a_key_in_bytes_takes_a_unit(path: str, help: str, kind: Kind) -> None:
    assert isinstance(kind, Size | SizeChoice), help
    document = Document("x.yaml", "test", [], UsageFault)
    sizes = {"4b": 4, "8 B": 8, "4k": 4096, "16 KB": 16384, "64kib": 65536}
    read = {text: kind.read(Scalar(1, 1, text, False), document, path) for text in sizes}
    within = {text: value for text, value in read.items() if value is not INVALID}
    assert within and within.items() <= sizes.items()  # the others are out of this key's range


@pytest.mark.parametrize("path", [path for path, _, kind in LEAVES if isinstance(kind, Limit)])
def test_a_limit_can_be_unlimited(path: str) -> None:
    (kind,) = {id(k): k for p, _, k in LEAVES if p == path}.values()
    document = Document("x.yaml", "test", [], UsageFault)
    assert kind.read(Scalar(1, 1, "unlimited", False), document, path) == RLIM_INFINITY


def test_programs_give_what_command_lines_have() -> None:
    said = machine_options(
        {"ulimit_v": "600m", "rlimit_data": "unlimited", "page_size": "16k", "va_bits": "47",
         "taken": "0xc000000000+1g", "data_end": "0x500000"}
    )  # fmt: skip
    assert said == MachineOptions(
        ulimit_v=600 << 20,
        rlimit_data=RLIM_INFINITY,
        page_size=16384,
        va_bits=47,
        taken=((0xC000000000, 0xC040000000),),
        data_end=0x500000,
    )
    with pytest.raises(UsageFault):
        machine_options({"ulimit_v": "600x"})
    rt = boot("linux/amd64", taken=["0xc000000000+1g"], sets={"_FixAllocChunk": "32k"})
    assert rt.attempts[0].answer != 0xC000000000


def test_a_what_if_with_a_unit_is_a_number() -> None:
    profile = platforms.of("linux/amd64")
    figures = compute(profile, {"_FixAllocChunk": "32k", "phys_page_size": "16kb", "ulimit_v": "unlimited"})
    assert figures.constants["_FixAllocChunk"] == 32768
    assert figures.profile.machine["phys_page_size"] == 16384
    assert figures.profile.machine["ulimit_v"] == RLIM_INFINITY
