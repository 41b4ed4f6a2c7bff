"""What `make bench` says and how it ends: failures, missing figures, aims."""

import json
import shutil
import subprocess
import sys

import pytest

from bench import __main__ as bench
from bench import results


@pytest.mark.parametrize(
    ("value", "bounds", "met"),
    [
        (100, {"at_most": 100}, True),
        (100.1, {"at_most": 100}, False),
        (49_152, {"at_least": 49_152}, True),
        (49_151, {"at_least": 49_152}, False),
        (None, {"at_most": 100}, False),
        (None, {"at_least": 0}, False),
    ],
)
def test_an_aim_is_met_up_to_its_bound_and_only_when_measured(value, bounds, met):
    found = results.judged(value, **bounds)
    assert found["met"] is met
    assert found["value"] == value
    assert str(next(iter(bounds.values()))) in found["aim"]


def _outcome(monkeypatch, tmp_path, *programs):
    """Run benches that print a line and end with a status, as `make bench` does."""
    benches = []
    for number, (said, status) in enumerate(programs):
        code = f"import sys; print({said!r}); sys.exit({status})"
        benches.append(bench.Bench(f"made_up_{number}", 1, ("figure",), (code,)))
    monkeypatch.setattr(bench, "RESULTS", tmp_path)
    monkeypatch.setattr(bench.importlib.util, "find_spec", lambda _name: True)
    monkeypatch.setattr(bench, "command", lambda asked: [bench.sys.executable, "-c", *asked[3]])
    return bench.run_all("tried", tuple(benches))


def _said(**figures):
    return json.dumps(figures)


def test_all_figures_there_is_well(monkeypatch, tmp_path):
    assert _outcome(monkeypatch, tmp_path, (_said(figure=0), 0)) == 0


def test_a_missing_figure_is_named_and_fails(monkeypatch, tmp_path, capsys):
    assert _outcome(monkeypatch, tmp_path, (_said(figure=1), 0), (_said(figure=None), 0)) == 1
    assert "missing: figure" in capsys.readouterr().out


def test_a_missed_aim_is_said_and_does_not_fail(monkeypatch, tmp_path, capsys):
    aims = {"figure": results.judged(2, at_most=1)}
    assert _outcome(monkeypatch, tmp_path, (_said(figure=2, aims=aims), 0)) == 0
    assert "aim not met: figure: 2, wanted at most 1" in capsys.readouterr().out


def test_a_broken_promise_fails_and_keeps_its_figures(monkeypatch, tmp_path, capsys):
    assert _outcome(monkeypatch, tmp_path, (_said(figure=7, exactly_once=False), 1)) == 1
    assert "FAILED: exit status 1" in capsys.readouterr().out
    kept = json.loads((tmp_path / "tried.json").read_text())
    assert next(iter(kept.values()))["figure"] == 7


def test_sigterm_ends_a_bench_as_ctrl_c_does_and_leaves_others_alone(tmp_path):
    (tmp_path / "bench").mkdir()
    shutil.copy(bench.RESULTS.with_name("__init__.py"), tmp_path / "bench")
    (tmp_path / "bench" / "waits.py").write_text(
        "import time\ntry:\n    print('begun', flush=True)\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    print('stopped')\n"
    )
    ends = []
    for words in (("-m", "bench.waits"), ("-c", "import bench.waits")):
        with subprocess.Popen(
            [sys.executable, *words], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline() == "begun\n"
            process.terminate()
            ends.append(process.stdout.read())
    assert ends == ["stopped\n", ""]
