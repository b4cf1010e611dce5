"""`archcalc list-checks`: what `archcalc check` looks at."""

from __future__ import annotations

from archcalc import checks
from archcalc.results.result import Listing
from archcalc.results.tables import Column


def command() -> Listing:
    """List the checks: id, severity and what each is about.

    `archcalc explain ID` tells the rest.
    """
    rules = [entry.rule for entry in checks.every().values()]
    columns = (Column("id"), Column("family"), Column("severity"), Column("title", wrap=True))
    rows = [(rule.id, rule.family, rule.severity.value, rule.title) for rule in rules]
    return Listing("checks", columns, rows)
