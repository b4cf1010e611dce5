"""`boot --why`."""

from __future__ import annotations

from typing import Any


def test_a_failed_boot_says_why(cli: Any) -> None:
    run = cli("boot", "linux/386", "--ulimit-v", "200m", "--why", "--format", "json")
    assert run.code == 1
    (boot,) = run.json["boots"]
    assert [r["size"] for r in boot["why"]["refusals"]] == [807411712, 538976256, 404758528, 270540800]
    (change,) = [change for change in boot["why"]["changes"] if change["what"] == "ulimit_v"]
    assert cli("boot", "linux/386", "--ulimit-v", str(change["value"])).code == 0
    text = cli("boot", "linux/386", "--ulimit-v", "200m", "--why").out
    assert "It would boot with any one of these:" in text


def test_one_that_works_was_refused_nothing(cli: Any) -> None:
    run = cli("boot", "linux/amd64", "--why", "--format", "json")
    assert run.code == 0
    assert "why" not in run.json["boots"][0]


def test_bits_that_cannot_be_are_a_mistake(cli: Any) -> None:
    for bits in ("0", "65", "99999999999999999999"):
        run = cli("boot", "linux/amd64", "--va-bits", bits)
        assert (run.code, "20 to 64" in run.err) == (2, True)


def test_a_nul_is_a_mistake(cli: Any) -> None:
    assert cli("replay", "\0").code == 2


def test_why_is_as_its_schema_says(cli: Any) -> None:
    import jsonschema

    from archcalc import schema

    for limit in ("200m", "900m"):  # which is too little, and which is enough
        run = cli("boot", "linux/386", "--ulimit-v", limit, "--why", "--format", "json")
        jsonschema.validate(run.json, schema.load("boot"))
