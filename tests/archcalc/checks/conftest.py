"""Figures with something wrong in them: a what-if where one does it, else a figure replaced by hand."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from archcalc import generations
from archcalc.calculator import figures as calculator
from archcalc.calculator.figures import Figures
from archcalc.calculator.layout import Layout
from archcalc.profiles import platforms

Doctor = Callable[..., Any]


def doctored(
    platform: str = "linux/amd64",
    sets: Mapping[str, int] | None = None,
    constants: Mapping[str, int] | None = None,
    structs: Mapping[str, Mapping[str, Any]] | None = None,
    layout: Callable[[Layout], Layout] = lambda layout: layout,
    size_classes: Mapping[str, Any] | None = None,
    machine: Mapping[str, Any] | None = None,
    go: str = generations.CURRENT,
) -> Any:
    """A platform's figures of a release with what is given in place of their own.

    In `structs`, `size` and `align` replace a struct's own and any other key is a field, whose value
    replaces parts of it: {"mspan": {"size": 90, "divMul": {"size": 1}}}.
    """
    whole: Figures = calculator.compute(platforms.load(platform, go), sets)
    changed = {}
    for name, parts in (structs or {}).items():
        struct = whole.structs[name]
        own = {key: value for key, value in parts.items() if key in ("size", "align")}
        fields = tuple(
            field._replace(**parts[field.name]) if field.name in parts else field for field in struct.fields
        )
        changed[name] = replace(struct, fields=fields, **own)
    profile = replace(
        whole.profile,
        machine={**whole.profile.machine, **(machine or {})},
        facts={**whole.profile.facts, **(machine or {})},
    )
    return SimpleNamespace(
        profile=profile,
        platform=whole.platform,
        constants=ChainMap(dict(constants or {}), dict(whole.constants)),
        sys=whole.sys,
        structs=ChainMap(changed, dict(whole.structs)),
        layout=layout(whole.layout) if go == generations.CURRENT else None,  # of a heap in one piece
        size_classes=replace(whole.size_classes, **(size_classes or {})),
        sets=whole.sets,
        generation=whole.generation,
        engine=whole.engine,
        origin=whole.origin,
    )


@pytest.fixture
def doctor() -> Doctor:
    return doctored
