"""Keeps typer from importing pydantic, which costs more than all the rest of a short command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archcalc.reading.errors import Fault, UsageFault


class PlainParam:
    """Turns what was typed into a value, with the parameter's own parser or none.

    Stands in for typer's own coercion, which would import pydantic (as long as all the rest of
    a short command) to hand text through, and says which option was wrong in our own words.
    """

    def __init__(self, parser: Callable[[str], Any] | None) -> None:
        self._parser = parser

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """typer's hook: one value, or all values of a repeated option."""
        many = param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        return [self._parse(item, param) for item in value] if many else self._parse(value, param)

    def _parse(self, text: Any, param: Any) -> Any:
        if self._parser is None or not isinstance(text, str):
            return text
        try:
            return self._parser(text)
        except UsageFault as fault:
            name = param.opts[0] if param.param_type_name == "option" else param.metavar or param.name.upper()
            raise UsageFault(
                *(Fault(f"{name}: {f.found}", f.expected, f.suggestion, f.id) for f in fault.faults)
            ) from fault


def spare(params: list[Any]) -> list[Any]:
    """The same parameters; those that are texts, switches or have a parser get by without typer's coercion.

    Releases of typer that coerce otherwise have no such attribute and are left alone.
    """
    for param in params:
        if param.param_type_name == "argument":
            # `PLATFORM <list[str]>` says nothing to who is not a Python programmer.
            param.display_type_rich = _untyped
        if getattr(param, "_runtime_param", param) is None:
            info = param.type_descriptor
            if info.parameter_info.parser is not None or info.annotation in (str, bool, list[str]):
                param._runtime_param = PlainParam(info.parameter_info.parser)
    return params


def _untyped(ctx: Any) -> str:
    """No type beside an argument's name in help."""
    return ""
