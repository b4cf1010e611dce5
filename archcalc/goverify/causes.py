"""Which differences of a port follow from which."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc import goexpr
from archcalc.calculator import structs
from archcalc.goexpr import ExprError
from archcalc.goverify.comparison import Difference
from archcalc.goverify.port import ComparedPort
from archcalc.goverify.tree import PackageScope


def told(port: ComparedPort, differences: list[Difference]) -> list[Difference]:
    """Differences, each with those that it follows from."""
    causes = _Causes(port, differences)
    return [causes.told(difference) for difference in differences]


class _Causes:
    """Which differences of a port follow from which."""

    def __init__(self, port: ComparedPort, differences: list[Difference]) -> None:
        self.differing = {difference.name for difference in differences}
        self.engine = port.figures.engine
        self.port = port

    def told(self, difference: Difference) -> Difference:
        """A difference with the others that its own formula mentions."""
        own = difference.name.partition(" ")[0]
        found = [name for name in self._mentioned(own) if name in self.differing and name != own]
        return difference._replace(follows_from=tuple(dict.fromkeys(found)))

    def _mentioned(self, name: str) -> Iterator[str]:
        runtime = self.port.runtime
        struct = name.partition(".")[0]
        if struct in runtime.declarations:
            for needed in structs.needs(runtime.declarations[struct], runtime.declarations):
                yield from needed
            return
        if name.startswith("sys."):
            yield from (
                f"sys.{one}"
                for one in self._names(
                    self.port.port.package(self.port.figures.generation.packages["sys"]), name[4:]
                )
            )
            return
        if name in runtime.consts:
            yield from self._names(runtime, name)
            return
        for known in self.engine.follows_from(f"layout.{name}"):
            yield known.removeprefix("layout.").removeprefix("runtime.")

    def _names(self, scope: PackageScope, name: str) -> tuple[str, ...]:
        const = scope.consts.get(name)
        try:
            return goexpr.names(const.formula) + goexpr.composites(const.formula) if const is not None else ()
        except ExprError:
            return ()
