"""Settings that all tests share."""

from __future__ import annotations

from effort import EFFORT
from hypothesis import HealthCheck, settings

settings.register_profile(
    "archcalc",
    deadline=None,
    derandomize=EFFORT == 1,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("archcalc")
