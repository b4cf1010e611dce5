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


def test_one_that_works_has_nothing_to_say(cli: Any) -> None:
    run = cli("boot", "linux/amd64", "--why", "--format", "json")
    assert run.code == 0
    assert "why" not in run.json["boots"][0]
