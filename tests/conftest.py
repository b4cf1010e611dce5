"""Settings that all tests share."""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
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

# Where no compiled modules may be written beside the sources, they are kept with what pytest keeps: otherwise
# each worker, and each of the several hundred processes that tests start, would compile both packages anew.
if sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix

# A script that starts the tests in the background has them ignore Ctrl-C, and all that they start; some of
# that is interrupted on purpose.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Files whose tests take longest, each up to tens of seconds. They are begun first, so that of workers side by
# side none is left with one of them when all the others are done; what is behind them others take over.
# Those that share what takes long, a browser, a proof, a built program, stand beside each other: mostly
# one worker has them all.
LONG = (
    *("test_docs.py", "test_program.py", "test_verify.py", "test_mutations.py", "test_sparse.py"),
    *("test_escaping.py", "test_report_page.py", "test_reading.py", "test_what_ifs.py", "test_readme.py"),
    *("test_run.py", "test_schema.py", "test_wheel.py", "test_bulk.py", "test_runs.py"),
)


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """For `-n auto` a worker more than processors: some test always waits, for a browser or a clock."""
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (usable or 1) + 1


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A worker gets a piece of the list, and who is done takes over the end of what another still has.

    So a file mostly stays with one worker, which makes its fixtures once.
    """
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts the files named above to the front; the rest, and each file, keep their order."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


def pytest_collection_finish() -> None:
    """What is there before the first test stays, and is not gone through at each collection of garbage."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """A machine is a circle of few, large objects: left to themselves, those of many files would pile up."""
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
