"""Settings that all tests share."""

from __future__ import annotations

import signal

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

# A script that starts the tests in the background has them ignore Ctrl-C, and all that they start; some of
# that is interrupted on purpose.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
