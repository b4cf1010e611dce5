"""SARIF 2.1.0: findings for code hosts, each with its rule, place and stable fingerprint."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from archcalc import __version__
from archcalc.render import Page
from archcalc.render.json import lay_out
from archcalc.results.findings import Finding, Rule, Severity, SourceLine
from archcalc.results.judged import Judged
from archcalc.results.result import Result

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def render(result: Result, page: Page) -> Iterator[str]:
    """The log: one run, all findings; those of the baseline are `unchanged`, the others `new`."""
    assert isinstance(result, Judged)
    findings = [finding for case in result.judged() for finding in case.findings]
    rules = {rule.id: rule for rule in result.rules()}
    for finding in findings:
        rules.setdefault(
            finding.id, Rule(finding.id, finding.family, finding.severity, finding.id, finding.id)
        )
    index = {id: at for at, id in enumerate(rules)}
    driver = {
        "name": "archcalc",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [descriptor(rule) for rule in rules.values()],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [entry(finding, index[finding.id]) for finding in findings],
        **({"properties": {"set": dict(result.what_ifs)}} if result.what_ifs else {}),
    }
    yield from lay_out({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, "")
    yield "\n"


def descriptor(rule: Rule) -> dict[str, object]:
    """A rule as the driver declares it."""
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.explanation},
        "help": {"text": f"{rule.explanation}\n\narchcalc explain {rule.id}"},
        "defaultConfiguration": {"level": _LEVEL[rule.severity]},
        "properties": {"tags": [rule.family]} if rule.family else {},
    }


def entry(finding: Finding, rule_index: int) -> dict[str, object]:
    """A finding as a result; its place is a file where there is one, and the figure always."""
    logical = "/".join(part for part in (finding.platform, finding.subject) if part) or finding.id
    location: dict[str, object] = {"logicalLocations": [{"fullyQualifiedName": logical}]}
    if finding.place is not None:
        location |= physical(finding.place)
    message = f"{finding.platform}: {finding.message}" if finding.platform else finding.message
    result: dict[str, object] = {
        "ruleId": finding.id,
        "ruleIndex": rule_index,
        "level": _LEVEL[finding.severity],
        "message": {"text": message},
        "locations": [location],
        "partialFingerprints": {"archcalcFinding/v1": finding.fingerprint},
        "baselineState": "unchanged" if finding.known else "new",
    }
    if finding.related:
        result["relatedLocations"] = [
            {"id": number, "message": {"text": place.message}} | physical(place)
            for number, place in enumerate(finding.related)
        ]
    if finding.known:
        # Without this a code host shows what the project has accepted as an open alert.
        result["suppressions"] = [{"kind": "external", "justification": "known to the baseline"}]
    return result


def physical(place: SourceLine) -> dict[str, object]:
    """A line of a file as a location; a step of the derivation that is in Go's source as its name."""
    if not place.file:
        return {"logicalLocations": [{"fullyQualifiedName": place.message}]}
    found: dict[str, object] = {"artifactLocation": {"uri": quote(place.file.replace("\\", "/"))}}
    if place.line:
        region = {"startLine": place.line}
        if place.column:
            region["startColumn"] = place.column
        found["region"] = region
    return {"physicalLocation": found}
