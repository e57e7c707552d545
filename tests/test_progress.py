"""Progress of a run: phases, the remaining time, bars on a terminal and lines elsewhere."""

import io
import sys
import time

import numpy as np
import pytest
import slow_parts
from photos import noise
from slow_parts import SlowMixture, photo_chain, write_photos

import odekit
from odekit.cli import progress
from odekit.cli.progress import ProgressBar
from odekit.core.abilities import report_phase
from odekit.runs.remaining import RemainingTime, format_seconds
from odekit.runs.runner import Runner
from odekit.runs.summary import RunOptions


@pytest.fixture(autouse=True)
def frames(monkeypatch):
    monkeypatch.setattr(slow_parts.At, "frames", slow_parts.FRAMES)
    monkeypatch.setattr(SlowMixture, "calls", 0)


class Phases(ProgressBar):
    """Records every phase."""

    def __init__(self):
        super().__init__(quiet=True)
        self.seen = []

    def phase(self, name, done, total):
        self.seen.append((name, done, total))


def of(seen, name):
    return [(done, total) for phase, done, total in seen if phase == name]


@pytest.mark.parametrize("iterations", [4, "auto"])
def test_a_photographs_phases_are_reported_in_order_and_to_the_end(iterations, tmp_path):
    bar = Phases()
    chain = photo_chain()
    if iterations == "auto":
        restore = {"restore": {"inverter": {"use": "ode", "steps": 11, "top": 0.354, "solver": "dpmpp-2m"},
                               "enhancer": {"use": "langevin", "iterations": "auto"}}}  # fmt: skip
        chain = odekit.Chain([{"faces": {"detect": "at", "each": [restore]}}], parts=slow_parts.catalog())
    Runner(chain, RunOptions(tmp_path / "out", batch_size=2, workers=0), bar).run([write_photos(tmp_path / "in", 2)])
    names = list(dict.fromkeys(name for name, _, _ in bar.seen))
    known = ["loading networks", "reading", "searching faces", "restoring faces", "pasting faces", "writing"]
    assert [name for name in names if name in known] == known
    assert of(bar.seen, "searching faces")[:2] == [(0, 2), (1, 2)]  # photographs in one batch
    restoring = of(bar.seen, "restoring faces")
    first = [done for done, total in restoring if total == 4]  # two faces of each
    assert first[0] == 0
    assert first == sorted(first)
    assert first[-1] == 4
    assert len(set(first)) > 10, "it moves with every network call"


def test_the_bytes_are_the_same_with_and_without_progress():
    photos = [noise(140, 210, seed) for seed in (1, 2)]
    chain, seen = photo_chain(), []
    session = chain.open(batch_size=2, on_calls=lambda n: None, on_phase=lambda *phase: seen.append(phase))
    for shown, silent in zip(session.run(photos), chain.run(photos, batch_size=2), strict=True):
        assert np.array_equal(shown.image.pixels, silent.image.pixels)
    assert len(seen) > 10


def test_an_upsampler_gets_groups_of_its_batch_size_and_gives_the_same_bytes():
    from odekit.parts.upsamplers.face_x4 import FaceX4, FaceX4Upsampler
    from odekit.testing import StandaloneTools

    images = [noise(20 + 4 * (i % 2), 20, i) for i in range(5)]
    upsampler = FaceX4Upsampler(FaceX4(batch=2), StandaloneTools())
    seen = []
    chain = odekit.Chain([{"upsample": {"use": "face-x4", "batch": 2}}])
    session = chain.open(batch_size=8, on_phase=lambda *phase: seen.append(phase))
    for result, alone in zip(session.run(images), upsampler.upsample(images, []), strict=True):
        assert np.array_equal(result.image.pixels, alone.pixels)
    assert of(seen, "upsampling") == [(0, 5), (2, 5), (4, 5)]


def test_repairs_of_whole_photographs_are_reported_one_by_one():
    for stage, name in (("mend", "mending"), ("denoise", "denoising")):
        seen = []
        chain = odekit.Chain([{stage: {}}])
        chain.open(on_phase=lambda *phase, seen=seen: seen.append(phase)).run([noise(40, 40), noise(40, 40, 1)])
        assert of(seen, name) == [(0, 2), (1, 2)]


def test_a_stage_that_reports_nothing_is_shown_by_its_name():
    seen = []
    chain = odekit.Chain([{"unaware": {"steps": 1, "seconds": 0}}], parts=slow_parts.catalog())
    chain.open(on_phase=lambda *phase: seen.append(phase)).run([noise(8, 8), noise(8, 8, 1)])
    assert seen == [("unaware", 0, 2)]


def test_a_context_that_shows_no_progress_is_no_error():
    assert report_phase(object(), "searching", 1, 2) is None


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_with_known_calls_the_remaining_time_comes_from_their_mean_time():
    clock = Clock()
    left = RemainingTime(clock)
    left.begin(4, 100)
    assert left.text_of_run() == ""
    clock.now += 60  # loading counts for nothing
    left.add_calls(1)
    assert left.of_run() is None
    for _ in range(20):
        clock.now += 2
        left.add_calls(1)
    assert left.of_run() == pytest.approx(2 * 79)
    assert left.text_of_run() == "about 3 min left"


def test_with_unknown_calls_it_comes_from_finished_pictures_and_before_from_the_phase():
    clock = Clock()
    left = RemainingTime(clock)
    left.begin(8, None)
    clock.now += 5
    left.add_phase("searching faces", 0, 4)
    assert left.text_of_run() == left.text_of_phase() == ""
    clock.now += 3
    left.add_phase("searching faces", 1, 4)
    assert (left.text_of_run(), left.text_of_phase()) == ("", "about 9 s for this phase")
    clock.now += 32
    left.add_phase("writing", 0, 4)
    left.add_pictures(4)
    assert left.of_run() == pytest.approx(40)
    clock.now += 10
    assert left.of_run() == pytest.approx(30)
    left.add_phase("restoring faces", 0, 4)
    clock.now += 60
    left.add_phase("restoring faces", 1, 4)
    assert left.of_run() == pytest.approx(180), "never less than the phase at work"
    left.add_pictures(4)
    assert left.text_of_run() == ""


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (150, "2 min"), (12000, "3 h 20 min")])
def test_durations(seconds, text):
    assert format_seconds(seconds) == text


def test_without_a_terminal_a_line_now_and_then_shows_life(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_INTERVAL", 0.1)
    with ProgressBar() as bar:
        time.sleep(0.25)
        Runner(photo_chain(0.03), RunOptions(tmp_path / "out", batch_size=1, workers=0), bar).run(
            [write_photos(tmp_path / "in", 2)]
        )
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "odekit: starting"
    working = [line for line in lines if "restoring faces" in line]
    assert len(working) > 3
    assert "odekit: 1 of 2 pictures done, restoring faces 0/2, " in "\n".join(working)
    assert any("calls; about" in line and line.endswith(" for this phase") for line in working)
    assert any("calls; about" in line and line.endswith(" left") for line in working)


def test_a_short_run_without_a_terminal_prints_no_progress(cli, exact, faces, tmp_path):
    assert cli("run", exact, faces, "-o", tmp_path / "out").err == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_the_bar_moves_before_the_first_picture_and_shows_the_phase(tmp_path, monkeypatch):
    stderr, stdout = Terminal(), io.StringIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(sys, "stdout", stdout)
    with ProgressBar(max_lines=9) as bar:
        time.sleep(0.5)
        early = stderr.getvalue()
        Runner(photo_chain(0.02), RunOptions(tmp_path / "out", batch_size=1, workers=0), bar).run(
            [write_photos(tmp_path / "in", 2)]
        )
    assert early.count("starting") > 2, "it is drawn again and again"
    shown = stderr.getvalue()
    assert "restoring faces" in shown
    assert "1/2" in shown
    assert " calls" in shown
    assert "2/2" in shown
    assert stdout.getvalue() == "0.png: 2 faces, 2 restored\n1.png: 2 faces, 2 restored\n", "lines go to stdout alone"


def test_lines_go_above_the_bar_if_both_are_on_the_terminal_or_to_another_stream(monkeypatch):
    stderr, stdout, other = Terminal(), Terminal(), io.StringIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(sys, "stdout", stdout)
    with ProgressBar(max_lines=9) as bar:
        bar.picture("[bold]a.png", "restored")
    assert "[bold]a.png: restored" in stderr.getvalue()
    assert stdout.getvalue() == ""
    with ProgressBar(max_lines=9, stream=other) as bar:
        bar.picture("a.png", "restored")
    assert other.getvalue() == "a.png: restored\n"
