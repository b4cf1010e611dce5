"""`trace import` and what follows it, of an execution trace."""

from __future__ import annotations

import json
from pathlib import Path

from archcalc.cli.main import main

TRACE = Path(__file__).parents[2] / "data" / "execution" / "one-p-go1.27-linux-amd64.trace.xz"


def run(capsys, *words: str) -> tuple[int, str, str]:
    """A command's exit code, output and words."""
    code = main([*words])
    return (code, *capsys.readouterr())


def test_from_the_trace_to_its_check_and_its_heap(tmp_path, capsys) -> None:
    target = str(tmp_path / "one.trace.gz")
    words = ("trace", "import", str(TRACE), "--platform", "linux/amd64", "--output", target)
    code, _, err = run(capsys, *words)
    assert (code, "--go" in err) == (2, True)
    code, out, _ = run(capsys, *words, "--go", "1.27", "--format", "json")
    assert code == 0
    done = json.loads(out)
    assert done["form"] == "execution trace"
    code, out, _ = run(capsys, "replay", target, "--format", "json")
    assert code == 0
    found = json.loads(out)["traces"][0]
    assert found["checked"]["objects"]["right"] > 0.99 * done["allocations"]
    code, out, _ = run(capsys, "trace", "stats", target, "--format", "json")
    assert json.loads(out)["allocations"] == done["allocations"]
    code, out, _ = run(capsys, "heap", target, "--at-event", "1000", "--format", "json")
    assert code == 0
    assert json.loads(out)["heaps"][0]["totals"]["live"] > 0
    assert run(capsys, "replay", target, "--os", "model")[0] == 2


def test_a_log_takes_no_go(tmp_path, capsys) -> None:
    sizes = tmp_path / "sizes"
    sizes.write_text("24\n")
    words = ("trace", "import", str(sizes), "--platform", "linux/amd64", "--output", str(tmp_path / "o.gz"))
    code, _, err = run(capsys, *words, "--go", "1.27")
    assert (code, "7aefdfded" in err) == (2, True)
