"""The published JSON Schemas: of the files that archcalc reads, and of the JSON that its commands print.

Those of files follow from the declarations that read them; those of commands are under `schemas/`.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.names import closest

DRAFT = "https://json-schema.org/draft/2020-12/schema"
FILES = ("profile", "scenario", "sweep-file", "config")


@cache
def names() -> tuple[str, ...]:
    """All schemas: files first, then commands."""
    folder = files("archcalc") / "schemas"
    found = sorted(
        entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")
    )
    return (*FILES, *found)


def load(name: str) -> dict[str, Any]:
    """One schema (JSON Schema, draft 2020-12). Raises UsageFault for a name that there is not."""
    if name == "profile":
        from archcalc.profiles.profile_tools import json_schema

        return json_schema()
    if name == "scenario":
        from archcalc.scenarios.fields import FILE

        return {"$schema": DRAFT, "title": "a scenario file of archcalc run", **FILE.schema()}
    if name == "sweep-file":
        from archcalc.sweeps.load import FILE as SWEEP

        return {"$schema": DRAFT, "title": "a sweep file of archcalc sweep", **SWEEP.schema()}
    if name == "config":
        from archcalc.config import section

        return {"$schema": DRAFT, "title": "archcalc.yaml, or [tool.archcalc]", **section().schema()}
    if name not in names():
        raise UsageFault(Fault(f"no schema {name!r}", "one of " + ", ".join(names()), closest(name, names())))
    text = (files("archcalc") / "schemas" / f"{name}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def about(name: str) -> str:
    """What a schema describes."""
    return str(load(name).get("title", "a platform's profile"))
