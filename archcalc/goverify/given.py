"""Variables with values, before the names of a package of a tree."""

from __future__ import annotations

from collections.abc import Mapping

from archcalc import goexpr
from archcalc.goexpr import Value, Within
from archcalc.goverify.tree import PackageScope


class Given(Within):
    """Variables with values, before the names of a package."""

    def __init__(self, package: PackageScope, given: Mapping[str, int]) -> None:
        super().__init__(package)
        self.given = given

    def lookup(self, name: str) -> Value | None:
        if name in self.given:
            value = goexpr.untyped(self.given[name])
            uintptr = goexpr.basic_types(self.ptr_size)["uintptr"]
            return value if name.startswith("fact.") else value._replace(type=uintptr, variable=True)
        return super().lookup(name)
