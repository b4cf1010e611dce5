"""What a scenario file may not say, and the words in which it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcalc.reading.errors import ScenarioFault
from archcalc.scenarios import judge, load

HEAD = "schema: 1\nabout: a test\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "it.yaml"
    path.write_text(HEAD + text)
    return path


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "expect: {outcome: booted}\n",
            ":1:1: the scenario names no platform; expected platform: goos/goarch",
        ),
        ("platform: linux/amd64\n", ":1:1: it expects nothing; expected an expect: with at least one key"),
        ("platform: linux/amd46\nexpect: {outcome: booted}\n", ":3:11: there is no platform linux/amd46"),
        (
            "platform: linux/amd64\nexpect: {outcome: died}\n",
            ':4:19: expect.outcome is the text "died"; expected booted, throw, exit, panic, signal '
            "or refused",
        ),
        (
            "platform: linux/amd64\nsteps: [malloc, boot]\nexpect: {outcome: booted}\n",
            ':4:9: steps[0] is the text "malloc"; expected one of boot, malloc',
        ),
        (
            "platform: linux/amd64\nsteps: [collect, boot]\nexpect: {outcome: booted}\n",
            ":4:18: step 2: boot comes late",
        ),
        (
            "platform: linux/amd64\nsteps: [{malloc: {count: 1}}]\nexpect: {outcome: booted}\n",
            ":4:18: no size in steps[0].malloc",
        ),
        (
            "platform: linux/amd64\nos: [{answer: 0x1000}]\nexpect: {outcome: booted}\n",
            ":4:6: an answer to no call; expected call, chance or after",
        ),
        (
            "platform: linux/amd64\nos: [{chance: 0.5, nth: 1}]\nexpect: {outcome: booted}\n",
            ":4:25: nth beside chance",
        ),
        (
            "platform: linux/amd64\nos: [{call: sysMap, answer: no memory}]\nexpect: {outcome: booted}\n",
            ':4:29: os[0].answer is the text "no memory"; expected an address, refused, or errno=N',
        ),
        (
            "platform: linux/amd64\nos: [{call: sysmap}]\nexpect: {outcome: booted}\n",
            ':4:13: os[0].call is the text "sysmap"; expected sysAlloc, sysReserve',
        ),
        (
            "platform: linux/amd64\nmachine: {page_size: 5000}\nexpect: {outcome: booted}\n",
            ":4:22: machine.page_size is the number 5000; expected a power of two",
        ),
        (
            "platform: linux/amd64\nexpect: {outcome: booted}\nvariants: [{name: a}, {name: a}]\n",
            ":5:30: a second variant a; expected another name",
        ),
        (
            "platform: linux/amd64\nprofile: p.yaml\nexpect: {outcome: booted}\n",
            ":3:11: a platform beside a profile's file",
        ),
    ],
)
def test_faults_are_located(text: str, fault: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ScenarioFault) as caught:
        load.load(path)
    assert caught.value.located[0].startswith(f"{path}{fault}")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "platform: linux/amd64\nsteps: [{collect: {keep: gone}}]\nexpect: {outcome: booted}\n",
            ":4:26: step 1: collect: nothing is called gone",
        ),
        (
            "platform: linux/amd64\nsteps: [{malloc: {size: 8, p: 3}}]\nexpect: {outcome: booted}\n",
            ":4:31: step 1: malloc: P 3; expected 0 to 0",
        ),
        (
            "platform: linux/386\nsteps: [{malloc: {size: 5g}}]\nexpect: {outcome: booted}\n",
            ":4:10: step 1: malloc: an object of 5368709120 bytes",
        ),
        (
            "platform: linux/amd64\nexpect: {figures: {_PageSise: 8192}}\n",
            ":4:31: unknown name _PageSise",
        ),
        (
            "platform: linux/amd64\nexpect: {memstats: {HeapSize: 0}}\n",
            ":4:31: unknown name HeapSize",
        ),
        (
            "platform: linux/amd64\nset: {_PageShit: 14}\nexpect: {outcome: booted}\n",
            ":4:6: unknown name _PageShit",
        ),
        (
            "platform: linux/arm\nmachine: {segment_alignment: 512}\nexpect: {allocated: 0}\n",
            ":4:30: segment_alignment is 512",
        ),
    ],
)
def test_mistakes_that_only_running_shows_are_located_too(text: str, fault: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ScenarioFault) as caught:
        for scenario in load.load(path):
            judge.carry_out(scenario)
    assert caught.value.located[0].startswith(f"{path}{fault}")


def test_a_profile_of_the_user_can_be_named_or_written_inline(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "schema: 1\nplatform: linux/arm64\nname: board\ninherit: linux/arm64\n"
    )
    named = write(
        tmp_path, "profile: mine.yaml\nmachine: {va_bits: 39}\nexpect: {arena: {arena_start: 0x4420000000}}\n"
    )
    (verdict,) = [judge.carry_out(scenario) for scenario in load.load(named)]
    assert verdict.ok
    inline = write(
        tmp_path,
        "platform: linux/arm64\nprofile: {arch: {cache_line_size: 128}}\n"
        "expect: {figures: {sys.CacheLineSize: 128}}\n",
    )
    (verdict,) = [judge.carry_out(scenario) for scenario in load.load(inline)]
    assert verdict.ok


def test_variants_lay_the_machine_over_and_replace_the_rest(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "platform: linux/amd64\nmachine: {ulimit_v: 500m, page_size: 4k}\nsteps: [{malloc: {size: 8}}]\n"
        "expect: {outcome: booted, allocated: 1}\n"
        "variants:\n  - {name: b, machine: {ulimit_v: 100m}, steps: [], expect: {allocated: 0}}\n",
    )
    first, second = load.load(path)
    assert (first.name, second.name) == ("it", "it/b")
    assert dict(second.section("machine")) == {"ulimit_v": 100 << 20, "page_size": 4096}
    assert (len(first.steps), len(second.steps)) == (1, 0)
    assert dict(second.section("expect")) == {"allocated": 0}


def test_maps_are_read_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "maps").write_text("c000000000-c000001000 rw-p 00000000 00:00 0\n")
    path = write(
        tmp_path,
        "platform: linux/amd64\nmachine: {maps: maps}\nexpect: {attempts: {answers: [0, 0x1c000000000]}}\n",
    )
    (verdict,) = [judge.carry_out(scenario) for scenario in load.load(path)]
    assert [e.message for e in verdict.expectations if not e.ok] == []
