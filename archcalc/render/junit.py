"""JUnit XML: a suite for each platform (or file), a test case for each check.

Written to satisfy both schemas in use: the strict one (every suite with properties, time stamp
and host name) and Jenkins's. The time stamp is constant, so that equal results are equal files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from archcalc.render import Page
from archcalc.results.findings import Case, Severity
from archcalc.results.judged import Judged
from archcalc.results.result import Result

# XML 1.0 has no way to write these characters, not even escaped.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(result: Result, page: Page) -> Iterator[str]:
    """The document: errors that no baseline knows are failures, the rest is in the case's output."""
    assert isinstance(result, Judged)
    suites: dict[str, list[Case]] = {}
    for case in result.judged():
        suites.setdefault(case.group, []).append(case)
    root = ElementTree.Element("testsuites")
    for number, (group, cases) in enumerate(suites.items()):
        root.append(suite(result, number, group, cases))
    ElementTree.indent(root, " ")
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield ElementTree.tostring(root, encoding="unicode") + "\n"


def suite(result: Judged, number: int, group: str, cases: list[Case]) -> ElementTree.Element:
    """One platform's checks."""
    element = ElementTree.Element(
        "testsuite",
        {
            "id": str(number),
            "name": _text(group or "archcalc"),
            "package": "archcalc",
            "tests": str(len(cases)),
            "failures": str(sum(any(map(result.fails, case.findings)) for case in cases)),
            "errors": "0",
            "skipped": str(sum(bool(case.skipped) for case in cases)),
            "time": f"{sum(case.seconds or 0 for case in cases):.3f}",
            "timestamp": "1970-01-01T00:00:00",
            "hostname": "localhost",
        },
    )
    properties = ElementTree.SubElement(element, "properties")
    for name, value in result.what_ifs.items():
        ElementTree.SubElement(properties, "property", {"name": f"set {name}", "value": _text(str(value))})
    output = []
    for case in cases:
        item = ElementTree.SubElement(
            element,
            "testcase",
            {
                "name": _text(case.id),
                "classname": _text(case.group or "archcalc"),
                "time": f"{case.seconds or 0:.3f}",
            },
        )
        failing = [finding for finding in case.findings if result.fails(finding)]
        output += [
            f"{f.severity.value}: {f.id}: {f.platform}: {f.message}"
            for f in case.findings
            if not result.fails(f) and f.severity is not Severity.ERROR
        ]
        if failing:
            text = "\n".join(finding.message for finding in failing)
            failure = ElementTree.SubElement(
                item, "failure", {"type": _text(failing[0].id), "message": _text(failing[0].message)}
            )
            failure.text = _text(text)
        elif case.skipped:
            ElementTree.SubElement(item, "skipped")
    ElementTree.SubElement(element, "system-out").text = _text("\n".join(output))
    ElementTree.SubElement(element, "system-err").text = ""
    return element


def _text(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)
