"""The orders of stacks, and which of them a tree's stackalloc keeps in caches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from archcalc import goexpr
from archcalc.goexpr import ExprError
from archcalc.goverify import gofile
from archcalc.goverify.given import Given
from archcalc.goverify.port import ComparedPort, number
from archcalc.goverify.tree import Missing

if TYPE_CHECKING:
    from tree_sitter import Node


def compare(port: ComparedPort) -> None:
    """Each order's size, and whether it is cached."""
    engine = port.figures.engine
    sizes = [number(v.value) for v in engine.family_values("layout.stack_order")]
    cached = [v.value is True for v in engine.family_values("layout.stack_order_cached")]
    func = port.runtime.funcs.get("stackalloc")
    condition = next(_conditions(func, "_NumStackOrders"), None) if func is not None else None
    try:
        orders = number(port.runtime.value("_NumStackOrders").value)
        smallest = next(name for name in ("fixedStack", "_FixedStack") if name in port.runtime.consts)
        fixed = number(port.runtime.value(smallest).value)
    except (ExprError, Missing, StopIteration) as error:
        port.found.skip("stack_order", str(error) or "the tree has no smallest stack")
        return
    const = port.runtime.consts[smallest]
    at = f"{const.file}:{const.line}"
    for i in range(min(max(len(sizes), orders), 64)):
        size = fixed << i
        port.found.value(
            f"stack_order{i}", sizes[i] if i < len(sizes) else None, size if i < orders else None, at
        )
        if condition is None or func is None or i >= len(cached) or i >= orders:
            continue
        try:
            held = goexpr.evaluate(gofile.text(condition), Given(port.runtime, {"n": size})).value is True
        except (ExprError, Missing) as error:
            port.found.skip(f"stack_order_cached{i}", str(error))
            continue
        where = f"{func.file}:{gofile.line(condition)}"
        port.found.value(f"stack_order_cached{i}", cached[i], held, where, gofile.text(condition))


def _conditions(func: gofile.Func, word: str) -> Iterator[Node]:
    """The conditions in a function that mention a name."""
    waiting = [func.node]
    while waiting:
        node = waiting.pop()
        if node.type == "if_statement":
            condition = node.child_by_field_name("condition")
            if condition is not None and word in gofile.text(condition):
                yield condition
        waiting += reversed(node.named_children)
