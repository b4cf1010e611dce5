"""`archcalc profile schema`: the JSON Schema of profiles."""

from __future__ import annotations

import json

from archcalc.profiles import profile_tools
from archcalc.results.result import TextResult


def command() -> TextResult:
    """Print the JSON Schema of profiles, for editors."""
    return TextResult(json.dumps(profile_tools.json_schema(), indent=2) + "\n")
