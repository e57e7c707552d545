"""Ctrl-C in the middle of a batch: the batch ends at once, finished results stay, a resume gives the same bytes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import slow_parts
from photos import noise
from slow_parts import SlowMixture, Unaware, photo_chain, write_photos

import odekit
from odekit.cli.progress import ProgressBar
from odekit.errors import Stopped
from odekit.runs.engine import Engine
from odekit.runs.runner import Runner
from odekit.runs.stop import INTERRUPTED, TERMINATED, StopRequest
from odekit.runs.summary import RunOptions

CALLS = 20
"""Network calls of one photograph of `photo_chain` with batch size 2."""


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(SlowMixture, "calls", 0)
    monkeypatch.setattr(slow_parts.At, "frames", slow_parts.FRAMES)


def run(chain, folder, out, **options):
    options = {"batch_size": 2, "workers": 0, "resume": True} | options
    return Runner(chain, RunOptions(out, **options), ProgressBar(quiet=True)).run([folder])


def outputs(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def interrupt_at(monkeypatch, number, signal_number=signal.SIGINT):
    def at_call(call):
        if call == number:
            signal.raise_signal(signal_number)

    monkeypatch.setattr(SlowMixture, "at_call", staticmethod(at_call))


def test_ctrl_c_in_a_photograph_stops_before_the_next_network_call(tmp_path, monkeypatch):
    monkeypatch.setattr("odekit.chains.session.Session.window", 1)  # one photograph at a time
    monkeypatch.setattr("odekit.runs.engine.Engine.window", 1)
    photos = write_photos(tmp_path / "in", 3)
    whole = run(photo_chain(), photos, tmp_path / "whole")
    assert (whole.calls.mean, SlowMixture.calls) == (2 * CALLS, 3 * CALLS)  # a face counts the calls that it shares
    SlowMixture.calls = 0
    interrupt_at(monkeypatch, CALLS + 5)
    stopped = run(photo_chain(), photos, tmp_path / "out")
    assert SlowMixture.calls == CALLS + 5
    assert (stopped.stopped, stopped.restored, stopped.failed, stopped.left) == (INTERRUPTED, ["0.png"], [], 2)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png*")) == ["0.png", "0.png.json"]
    assert not list((tmp_path / "out").glob(".*"))
    monkeypatch.setattr(SlowMixture, "at_call", staticmethod(lambda call: None))
    resumed = run(photo_chain(), photos, tmp_path / "out")
    assert (resumed.skipped, resumed.restored, resumed.left) == (["0.png"], ["1.png", "2.png"], 0)
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")


def test_a_schedulers_sigterm_does_the_same(tmp_path, monkeypatch):
    photos = write_photos(tmp_path / "in", 1)
    interrupt_at(monkeypatch, 3, signal.SIGTERM)
    summary = run(photo_chain(), photos, tmp_path / "out")
    assert (summary.stopped, summary.left, SlowMixture.calls) == (TERMINATED, 1, 3)


def test_a_stage_that_knows_nothing_of_stopping_is_stopped_too(tmp_path, monkeypatch):
    """It takes 20 s, and swallows every `Exception`."""
    timers = [threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))]
    monkeypatch.setattr(Unaware, "at_start", staticmethod(lambda: timers.pop().start()))
    chain = odekit.Chain(["unaware"], parts=slow_parts.catalog())
    began = time.monotonic()
    summary = run(chain, write_photos(tmp_path / "in", 2), tmp_path / "out")
    assert time.monotonic() - began < 10
    assert (summary.stopped, summary.left, summary.restored, summary.failed) == (INTERRUPTED, 2, [], [])


def test_in_a_progress_callback_the_batch_is_stopped_when_the_callback_has_returned():
    returned = []

    def batch(stop):
        with stop.interruptible():
            with stop.callback():
                signal.raise_signal(signal.SIGINT)
                returned.append("callback")
            returned.append("batch")

    with StopRequest() as stop, pytest.raises(Stopped):
        batch(stop)
    assert returned == ["callback"]


def test_while_files_are_read_or_written_nothing_is_raised_until_the_next_batch():
    messages = []
    with StopRequest(on_message=messages.append) as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.should_stop()
        with pytest.raises(Stopped), stop.interruptible():
            raise AssertionError("the batch was begun")
    assert messages == ["stopping; finished results are kept; press Ctrl-C again to stop at once"]


def test_a_second_signal_stops_at_once():
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.reason == INTERRUPTED
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_time_limit_does_not_end_a_running_batch():
    stop = StopRequest(limit=0.0)
    assert stop.should_stop()
    with stop.interruptible(), stop.callback():
        pass


def test_windows_that_are_complete_are_kept():
    class Session:
        batch_size, window, fill, runs = 2, 2, None, 0

        def run(self, images):
            self.runs += 1
            if self.runs == 2:
                raise Stopped
            return [odekit.core.result.Result(image, image, {"stages": []}) for image in images]

    engine = Engine(Session())
    assert len(engine.run([noise(8, 8, i) for i in range(6)])) == 2
    assert engine.images == 2


def test_the_python_interface_leaves_signals_alone(monkeypatch):
    monkeypatch.setattr(Unaware, "at_start", staticmethod(lambda: signal.raise_signal(signal.SIGINT)))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        odekit.Chain(["unaware"], parts=slow_parts.catalog()).run([noise(8, 8)])
    assert signal.getsignal(signal.SIGINT) is before


def test_a_program_that_restores_a_photograph_stops_within_seconds(tmp_path):
    """As a user sees it: ten slow photographs of 2 s each, Ctrl-C in the middle of one."""
    photos = write_photos(tmp_path / "in", 10)
    program = [sys.executable, Path(slow_parts.__file__), 0.1, "run", "photo", photos, "-o", tmp_path / "out"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    process = subprocess.Popen(
        [str(word) for word in [*program, "--batch-size", 1]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (tmp_path / "out" / "0.png.json").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    time.sleep(0.5)  # it is at the second photograph now, for another 1.5 s and more
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out.splitlines()[0] == "0.png: 2 faces, 2 restored"
    assert err.splitlines()[-1].endswith("9 remaining; continue with --resume")
    assert list(outputs(tmp_path / "out")) == ["0.png"]
    assert json.loads((tmp_path / "out" / "0.png.json").read_text())["changed"] is True


def test_a_signal_is_told_after_its_handler_which_may_have_interrupted_the_progress_bar():
    told, inside = [], []
    stop = StopRequest(on_message=told.append)
    with stop, contextlib.suppress(Stopped), stop.interruptible(), stop.callback():
        signal.raise_signal(signal.SIGINT)
        inside.extend(told)
    assert (inside, len(told)) == ([], 1)
