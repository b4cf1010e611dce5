"""What CI systems read: workflow commands, JUnit XML, SARIF."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft4Validator

from archcalc.render import Page, render
from archcalc.render.github import annotation
from archcalc.results.findings import Finding, Severity
from archcalc.results.judged import Judged

SCHEMA = Path(__file__).parents[2] / "data/schemas/sarif-2.1.0.json"


def text(result: Judged, format: str) -> str:
    return "".join(render(result, format, Page(80)))


def test_annotations_are_escaped_and_leave_out_what_is_known(checked: Judged) -> None:
    assert text(checked, "github").splitlines() == [
        "::error file=ports/my port%2C1.yaml,line=3,col=7,title=layout.covers"
        "::linux/amd64: bitmap: 1 byte short,%0A50%25 of it",
        "::warning title=stacks.dead::linux/386: order 3 is dead",
        "::notice title=stacks.note::linux/386: a \x1b control character",
    ]


@pytest.mark.parametrize("severity", list(Severity))
def test_an_annotation_is_one_line_whatever_the_message(severity: Severity) -> None:
    line = annotation(Finding("a.b", "", severity, "x\r\ny::z,%", file="a:b\n,c"))
    assert re.fullmatch(r"::(error|warning|notice) file=a%3Ab%0A%2Cc,title=a\.b::x%0D%0Ay::z,%25", line)


def test_junit_has_the_elements_and_attributes_that_its_schemas_ask_for(checked: Judged) -> None:
    root = ElementTree.fromstring(text(checked, "junit"))
    assert root.tag == "testsuites" and [suite.tag for suite in root] == ["testsuite", "testsuite"]
    for number, suite in enumerate(root):
        assert set(suite.attrib) == {
            "id",
            "name",
            "package",
            "tests",
            "failures",
            "errors",
            "skipped",
            "time",
            "timestamp",
            "hostname",
        }
        assert suite.get("id") == str(number)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
        tags = [child.tag for child in suite]
        count = int(suite.attrib["tests"])
        assert tags == ["properties", *["testcase"] * count, "system-out", "system-err"]
        for case in suite.iter("testcase"):
            assert {"name", "classname", "time"} == set(case.attrib)
            assert [child.tag for child in case] in ([], ["failure"], ["skipped"])
            for failure in case:
                assert failure.tag == "skipped" or {"type", "message"} == set(failure.attrib)


def test_junit_counts_and_names_what_failed(checked: Judged) -> None:
    root = ElementTree.fromstring(text(checked, "junit"))
    suites = {suite.get("name"): suite for suite in root}
    assert {name: (s.get("tests"), s.get("failures"), s.get("skipped")) for name, s in suites.items()} == {
        "linux/amd64": ("1", "1", "0"),
        "linux/386": ("5", "0", "1"),
    }
    failure = suites["linux/amd64"].find("testcase/failure")
    assert failure is not None and failure.get("type") == "layout.covers"
    assert failure.text == "bitmap: 1 byte short,\n50% of it"
    output = suites["linux/386"].findtext("system-out")
    assert output is not None and output.splitlines() == [
        "warning: stacks.dead: linux/386: order 3 is dead",
        "info: stacks.note: linux/386: a \ufffd control character",
    ]


def sarif(checked: Judged) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text(checked, "sarif"))
    return document


def test_sarif_is_valid(checked: Judged) -> None:
    Draft4Validator(json.loads(SCHEMA.read_text())).validate(sarif(checked))


def test_sarif_has_each_finding_with_its_rule_place_and_fingerprint(checked: Judged) -> None:
    run = sarif(checked)["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["layout.covers", "stacks.dead", "stacks.note"]
    findings = [finding for case in checked.cases() for finding in case.findings]
    for result, finding in zip(run["results"], findings, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == finding.id
        assert result["partialFingerprints"] == {"archcalcFinding/v1": finding.fingerprint}
        assert result["baselineState"] == ("unchanged" if finding.known else "new")
    place = run["results"][0]["locations"][0]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "ports/my%20port%2C1.yaml"},
        "region": {"startLine": 3, "startColumn": 7},
    }
    assert place["logicalLocations"] == [{"fullyQualifiedName": "linux/amd64/bitmap_size"}]
    assert [result["level"] for result in run["results"]] == ["error", "error", "warning", "note"]
