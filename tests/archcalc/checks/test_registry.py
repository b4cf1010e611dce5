"""Registering, choosing and overriding checks."""

from __future__ import annotations

import re

import pytest

from archcalc import checks
from archcalc.calculator import figures
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault
from archcalc.results.findings import Severity


def test_ids_are_stable_in_form_and_every_rule_is_reported() -> None:
    for id, entry in checks.every().items():
        assert re.fullmatch(r"[a-z]+\.[a-z0-9]+(-[a-z0-9]+)*", id)
        assert entry.rule.family == id.partition(".")[0] in checks.FAMILIES
        assert len(entry.rule.explanation) > 80
        assert not entry.rule.title.endswith(".")


def test_every_family_has_checks_and_they_stand_together() -> None:
    families = [entry.rule.family for entry in checks.every().values()]
    assert list(dict.fromkeys(families)) == list(checks.FAMILIES)
    assert families == sorted(families, key=list(checks.FAMILIES).index)


@pytest.mark.parametrize(
    ("select", "ignore", "expected"),
    [
        (["stacks.guard"], [], ["stacks.guard"]),
        (["stacks.guard*"], [], ["stacks.guard", "stacks.guard-fits"]),
        (
            ["stacks"],
            ["stacks.*order*"],
            [
                "stacks.fixed-stack",
                "stacks.guard",
                "stacks.guard-fits",
                "stacks.preempt-guard",
                "stacks.span-alignment",
            ],
        ),
        (["stacks.guard", "profile.hint-taken"], [], ["profile.hint-taken", "stacks.guard"]),
    ],
)
def test_checks_are_chosen_by_id_family_and_glob(
    select: list[str], ignore: list[str], expected: list[str]
) -> None:
    assert [entry.rule.id for entry in checks.chosen(select, ignore)] == expected


def test_no_choice_is_all_and_all_faults_are_reported_at_once() -> None:
    assert len(checks.chosen()) == len(checks.registry())
    with pytest.raises(UsageFault) as caught:
        checks.chosen(["stacks.gard"], ["layuot"])
    assert [fault.suggestion for fault in caught.value.faults] == ["'stacks.guard'", "'layout'"]


def test_severities_are_overridden_by_the_last_word_that_matches() -> None:
    rule = checks.registry()["stacks.dead-order"].rule
    assert checks.severity_of(rule, {}) is None
    assert checks.severity_of(rule, {"stacks": "info", "stacks.dead-order": "error"}) is Severity.ERROR
    assert checks.severity_of(rule, {"stacks.dead-order": "error", "stacks.*": "info"}) is Severity.INFO


def test_an_override_makes_an_oddity_fail_and_names_are_checked() -> None:
    darwin = [figures.compute(platforms.load("darwin/arm"))]
    wanted = checks.chosen(["stacks.dead-order"])
    (before,) = checks.run(wanted, darwin)[0].findings
    (after,) = checks.run(wanted, darwin, {"stacks.dead-order": "error"})[0].findings
    assert (before.severity, after.severity) == (Severity.WARNING, Severity.ERROR)
    with pytest.raises(UsageFault):
        checks.run(wanted, darwin, {"stacks.deadorder": "error"})
