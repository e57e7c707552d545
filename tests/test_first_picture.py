"""The first photograph of a run is read, and searched for faces, while torch is imported."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import types
from dataclasses import replace

import numpy as np
import pytest
from photos import PHOTOS

import odekit
from odekit.chains.chain import Chain
from odekit.parts.faces import ahead, detector
from odekit.parts.faces.detector import BuiltinFaceDetector
from odekit.parts.faces.options import BuiltinDetector
from odekit.runs import first_picture
from odekit.runs.first_picture import read_first
from odekit.runs.summary import RunOptions
from odekit.testing import StandaloneTools

PHOTO = PHOTOS / "astronaut.jpg"
OPTIONS = BuiltinDetector()


@pytest.fixture(scope="module")
def builtin():
    return BuiltinFaceDetector(OPTIONS, StandaloneTools())


@pytest.fixture
def searches(monkeypatch):
    """How often the detector itself searched."""
    calls = []
    search = detector.search
    monkeypatch.setattr(detector, "search", lambda *given: calls.append(given) or search(*given))
    return calls


def test_what_was_found_ahead_is_what_the_detector_finds(builtin, searches):
    photo = odekit.read(PHOTO)
    expected = builtin.detect_and_reject(photo)
    assert len(searches) == 1 and expected[0]
    ahead.run_search(ahead.announce_search(photo.pixels, OPTIONS, builtin.network), builtin.network)
    assert builtin.detect_and_reject(photo) == expected
    assert len(searches) == 1
    assert builtin.detect_and_reject(photo) == expected
    assert len(searches) == 2, "it counts once"


def test_it_counts_for_these_pixels_and_this_search_only(builtin, searches):
    photo = odekit.read(PHOTO)
    other = replace(photo, pixels=np.ascontiguousarray(photo.pixels[:, :, ::-1]))
    for options, asked in ((OPTIONS, other), (OPTIONS.model_copy(update={"largest_side": 640}), photo)):
        ahead.run_search(ahead.announce_search(photo.pixels, options, builtin.network), builtin.network)
        builtin.detect_and_reject(asked)
    assert len(searches) == 2


def test_an_error_ahead_is_left_to_the_detector(builtin, searches, monkeypatch):
    photo = odekit.read(PHOTO)
    begun = ahead.announce_search(photo.pixels, OPTIONS, builtin.network)
    monkeypatch.setattr(ahead, "search", lambda *given: 1 / 0)
    ahead.run_search(begun, builtin.network)
    assert builtin.detect(photo) and len(searches) == 1


RUN = """
import sys, threading
from pathlib import Path
from odekit.chains.chain import Chain
from odekit.parts.faces import search
from odekit.runs.runner import Runner
from odekit.runs.silent import Silent
from odekit.runs.summary import RunOptions
names = []
coarse = search.search_scaled
def watched(*given):
    names.append(threading.current_thread().name)
    return coarse(*given)
search.search_scaled = watched
photo, out = sys.argv[1:]
runner = Runner(Chain.load("photo"), RunOptions(Path(out)), Silent())
summary = runner.run([photo])
print(len(summary.restored), *set(names), sep=chr(10))
"""


def test_a_run_searches_its_first_photograph_while_torch_is_imported(tmp_path):
    command = [sys.executable, "-c", RUN, str(PHOTO), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["1", first_picture.THREAD], done.stderr
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode and "exists; use --resume" in again.stderr


def test_a_file_that_cannot_be_read_fails_as_always(tmp_path):
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(PHOTO.read_bytes()[:67_000])
    command = [sys.executable, "-m", "odekit", "run", "photo", str(cut), "-o", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3 and "truncated" in done.stderr + done.stdout, done.stderr


@pytest.mark.parametrize(("chain", "processors", "begins"), [("photo", 2, True), ("photo", 1, False), ("odedit-plus", 2, False)])  # fmt: skip
def test_nothing_begins_where_nothing_is_gained(tmp_path, monkeypatch, chain, processors, begins):
    assert read_first(Chain.load(chain), RunOptions(tmp_path), str(PHOTO)) is None, "torch is there"
    monkeypatch.setattr(first_picture, "sys", types.SimpleNamespace(modules={}, getswitchinterval=lambda: 0.005, setswitchinterval=lambda _: None))  # fmt: skip
    monkeypatch.setattr(first_picture, "usable_processors", lambda: processors)
    reading = read_first(Chain.load(chain), RunOptions(tmp_path), str(PHOTO))
    assert (reading is not None) == begins
    if reading is not None:
        assert reading.result()[0].width == odekit.read(PHOTO).width


def test_the_thread_ends_with_the_program(tmp_path, monkeypatch):
    """One that is in OpenCV when Python ends would abort the process."""
    ends = []
    monkeypatch.setattr(first_picture, "sys", types.SimpleNamespace(modules={}, getswitchinterval=lambda: 0.005, setswitchinterval=lambda _: None))  # fmt: skip
    monkeypatch.setattr(first_picture, "usable_processors", lambda: 2)
    monkeypatch.setattr(first_picture, "atexit", types.SimpleNamespace(register=ends.append))
    read_first(Chain.load("photo", ["faces.detect.tile=256"]), RunOptions(tmp_path), str(PHOTO))
    started = time.monotonic()
    ends[0]()
    assert first_picture.THREAD not in [thread.name for thread in threading.enumerate()]
    assert time.monotonic() - started < first_picture.LONGEST_END
