"""`python -m benchmarks busy`: busy programs end, rounds keep the least, a job is measured as a user runs it."""

import signal
import subprocess

import pytest

from benchmarks import busy as module
from benchmarks.busy import FACES, SPINNING, busy, busy_programs, faces, keep_least, run


def test_busy_programs_end_with_the_block():
    with busy_programs(2) as started:
        assert [program.poll() for program in started] == [None, None]
    assert [program.returncode for program in started] == [-signal.SIGKILL] * 2


def test_a_busy_program_does_not_ask_the_clock_that_a_system_may_set(monkeypatch):
    monkeypatch.setattr(module, "BUSY", f"import time\ntime.time = None\n{module.BUSY}")
    with busy_programs(1) as started, pytest.raises(subprocess.TimeoutExpired):
        started[0].wait(0.5)


def test_the_fastest_round_counts_for_each_state():
    row = {"job": "a", "idle": 2.0, "idle_processor": 3.0, "loaded": 4.0, "loaded_processor": 3.5}
    keep_least(row, {"job": "a", "idle": 1.0, "idle_processor": 9.0, "loaded": 5.0, "loaded_processor": 1.0})
    assert row == {"job": "a", "idle": 1.0, "idle_processor": 9.0, "loaded": 4.0, "loaded_processor": 3.5}


def test_ratios_become_goals(monkeypatch):
    seconds = {("spinning", 0): 10.0, ("spinning", 2): 50.0, ("odekit", 0): 10.1, ("odekit", 2): 20.2}
    state = {"programs": 0}

    class Programs:
        def __init__(self, count):
            self.count = count

        def __enter__(self):
            state["programs"] = self.count

        def __exit__(self, *_):
            state["programs"] = 0

    def fake(job, inputs, place, variables):
        way = "spinning" if variables == SPINNING else "odekit"
        return seconds[way, state["programs"]], 1.0

    monkeypatch.setattr(module, "usable_processors", lambda: 2)
    monkeypatch.setattr(module, "busy_programs", Programs)
    monkeypatch.setattr(module, "run", fake)
    table = busy(["photo", "odedit restore.inverter.steps=2"], rounds=2)
    assert [row["ratio"] for row in table.rows] == [5.0, 2.0, 5.0, 2.0]
    assert [round(goal.value, 2) for goal in table.goals] == [1.01, 2.0, 1.01, 2.0]
    assert all(goal.reached for goal in table.goals)


def test_a_job_runs_with_its_settings_in_a_process_of_its_own(tmp_path):
    assert len(faces()) == FACES
    few = "odedit restore.inverter.steps=2 restore.enhancer.iterations=1"
    wall, processor = run(few, faces()[:1], tmp_path, {})
    assert min(wall, processor) > 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 1
    with pytest.raises(RuntimeError, match="ended with 2"):
        run("no-such-chain", faces()[:1], tmp_path, {})
