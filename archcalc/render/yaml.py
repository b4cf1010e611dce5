"""YAML: the JSON document as YAML 1.1, keys in their published order."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from archcalc.render import Page
from archcalc.results.result import Result
from archcalc.results.tables import plain

Dumper: type = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(Dumper):  # type: ignore[misc]  # chosen at run time: libyaml's where it is compiled in
    def ignore_aliases(self, data: object) -> bool:
        return True


def render(result: Result, page: Page) -> Iterator[str]:
    """The result's document."""
    yield yaml.dump(plain(result.whole()), Dumper=_Dumper, sort_keys=False, width=LINE)


LINE = 100
