"""Parameters that take what was typed as it is, or as their own parser reads it.

typer coerces every value by pydantic, whose import costs more than all the rest of a short command. What
typer has made of a function's parameters is therefore carried over into classes of ours, which say
otherwise in the one place where typer asks a parameter how to coerce.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.core import TyperArgument, TyperOption

from archcalc.reading.errors import Fault, UsageFault


class Coercion:
    """From words to values by a parameter's own parser, or by none; says which option was wrong."""

    def __init__(self, parser: Callable[[str], Any] | None) -> None:
        self._parser = parser

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """One value, or all values of what is repeated."""
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


class PlainOption(TyperOption):
    """An option of typer's, with our coercion."""

    def __init__(self, made: TyperOption) -> None:
        vars(self).update(vars(made))

    def get_runtime_param(self) -> Any:
        """What coerces its values. Releases of typer that coerce otherwise do not ask."""
        return Coercion(self.type_descriptor.parameter_info.parser)


class PlainArgument(TyperArgument):
    """An argument of typer's, with our coercion."""

    def __init__(self, made: TyperArgument) -> None:
        vars(self).update(vars(made))

    def get_runtime_param(self) -> Any:
        """What coerces its values."""
        return Coercion(self.type_descriptor.parameter_info.parser)

    def display_type_rich(self, ctx: Any) -> str:
        """No type in help: `PLATFORM <list[str]>` says nothing to who is not a Python programmer."""
        return ""


def plain(param: Any) -> Any:
    """The parameter, with our coercion."""
    return PlainArgument(param) if isinstance(param, TyperArgument) else PlainOption(param)


class HelpOption:
    """What commands and groups have in common: an option for help like all others, its names in one order.

    Stands before a class of typer's among a class's bases.
    """

    help_option: Any = None

    def get_help_option(self, ctx: Any) -> Any:
        """The option, one and the same each time."""
        if self.help_option is None:
            made = super().get_help_option(ctx)  # type: ignore[misc]  # of the class beside
            self.help_option = made and plain(made)
        return self.help_option

    def get_help_option_names(self, ctx: Any) -> list[str]:
        """As they were listed; typer gives them as a set happens to."""
        names = super().get_help_option_names(ctx)  # type: ignore[misc]  # of the class beside
        return [name for name in ctx.help_option_names if name in names]


def parameters_of(function: Callable[..., Any]) -> Sequence[Any]:
    """What typer makes of a function's parameters."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(function)
    return typer.main.get_command(app).params
