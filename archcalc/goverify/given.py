"""Variables with values, before the names of a package of a tree."""

from __future__ import annotations

from collections.abc import Mapping

from archcalc.calculator import goexpr
from archcalc.calculator.goexpr import Scope, Value
from archcalc.goverify.tree import PackageScope


class Given(Scope):
    """Variables with values, before the names of a package."""

    def __init__(self, package: PackageScope, given: Mapping[str, int]) -> None:
        super().__init__(package.ptr_size, signed_shift_counts=True)
        self.package = package
        self.given = given

    def lookup(self, name: str) -> Value | None:
        if name in self.given:
            value = goexpr.untyped(self.given[name])
            uintptr = goexpr.basic_types(self.ptr_size)["uintptr"]
            return value if name.startswith("fact.") else value._replace(type=uintptr, variable=True)
        return self.package.lookup(name)

    def type(self, name: str) -> goexpr.Type | None:
        return self.package.type(name)

    def function(self, name: str) -> goexpr.Function | None:
        return self.package.function(name)
