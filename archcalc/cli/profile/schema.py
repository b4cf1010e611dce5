"""`archcalc profile schema`: the JSON Schema of profiles."""

from __future__ import annotations

import json

from archcalc.profiles import profile_tools
from archcalc.results.result import Text


def command() -> Text:
    """Print the JSON Schema of profiles, for editors."""
    return Text(json.dumps(profile_tools.json_schema(), indent=2) + "\n")
