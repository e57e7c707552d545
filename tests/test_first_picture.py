"""The first photograph of a run is read, and searched for faces, while torch is imported."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import types
import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest
from photos import PHOTOS

import odekit
from odekit.chains.chain import Chain
from odekit.errors import Stopped
from odekit.images.io import without_warnings
from odekit.parts.faces import ahead, detector
from odekit.parts.faces.detector import BuiltinFaceDetector
from odekit.parts.faces.options import BuiltinDetector
from odekit.parts.faces.yunet import YuNet
from odekit.runs import first_picture, runner
from odekit.runs.files import read_input
from odekit.runs.first_picture import read_first
from odekit.runs.silent import Silent
from odekit.runs.summary import RunOptions
from odekit.testing import StandaloneTools

PHOTO = PHOTOS / "astronaut.jpg"
OPTIONS = BuiltinDetector()


@pytest.fixture(scope="module")
def builtin():
    return BuiltinFaceDetector(OPTIONS, StandaloneTools())


def network():
    return YuNet(StandaloneTools())


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
    ahead.run_search(ahead.announce_search(photo.pixels, OPTIONS, network()))
    assert builtin.detect_and_reject(photo) == expected
    assert len(searches) == 1
    assert builtin.detect_and_reject(photo) == expected
    assert len(searches) == 2, "it counts once"


def test_it_counts_for_these_pixels_and_this_search_only(builtin, searches):
    photo = odekit.read(PHOTO)
    other = replace(photo, pixels=np.ascontiguousarray(photo.pixels[:, :, ::-1]))
    for options, asked in ((OPTIONS, other), (OPTIONS.model_copy(update={"largest_side": 640}), photo)):
        begun = ahead.announce_search(photo.pixels, options, network())
        builtin.detect_and_reject(asked)
        assert begun.network.stopped, "nobody else will ask for it"
    assert len(searches) == 2


def test_an_error_ahead_is_left_to_the_detector(builtin, searches, monkeypatch):
    photo = odekit.read(PHOTO)
    begun = ahead.announce_search(photo.pixels, OPTIONS, network())
    monkeypatch.setattr(ahead, "search", lambda *given: 1 / 0)
    ahead.run_search(begun)
    assert builtin.detect(photo) and len(searches) == 1


@pytest.mark.parametrize("urgent", [False, True])
def test_opencv_has_one_thread_until_somebody_waits(monkeypatch, urgent):
    begun, seen = ahead.announce_search(odekit.read(PHOTO).pixels, OPTIONS, network()), []
    monkeypatch.setattr(ahead, "search", lambda *given: seen.append(cv2.getNumThreads()))
    usual = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        if urgent:
            begun.hurry()
        ahead.run_search(begun)
        assert seen == [3 if urgent else 1] and cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(usual)
        ahead.forget_search()


def test_a_search_that_nobody_asks_for_ends_and_frees_its_photograph():
    begun = ahead.announce_search(odekit.read(PHOTO).pixels, OPTIONS, network())
    ahead.forget_search()
    ahead.run_search(begun)
    assert isinstance(begun.found.exception(), Stopped) and not ahead._searches


def test_reading_in_another_thread_leaves_the_filters_of_warnings_alone():
    seen = []

    def read():
        with without_warnings():
            seen.append(warnings.filters[0])

    with warnings.catch_warnings():
        warnings.simplefilter("error", ImportWarning)
        own = warnings.filters[0]
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        assert seen == [own]
        read()
        assert seen[1] != own and warnings.filters[0] == own


RUN = """
import sys, threading
from pathlib import Path
from odekit.chains.chain import Chain
from odekit.parts.faces import search
from odekit.runs.runner import Runner
from odekit.runs.silent import Silent
from odekit.runs.summary import RunOptions
from odekit.runs import first_picture
first_picture.usable_processors = lambda: 2
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


@pytest.fixture
def begins(tmp_path, monkeypatch):
    """Begin as in a process that has not imported torch; the thread has ended when the test has."""
    ends, interval = [], sys.getswitchinterval()
    own = types.SimpleNamespace(modules={}, getswitchinterval=sys.getswitchinterval, setswitchinterval=sys.setswitchinterval)  # fmt: skip
    monkeypatch.setattr(first_picture, "atexit", types.SimpleNamespace(register=ends.append))

    def begin(chain, processors=2, settings=()):
        monkeypatch.setattr(first_picture, "sys", own)
        monkeypatch.setattr(first_picture, "usable_processors", lambda: processors)
        return read_first(Chain.load(chain, settings), RunOptions(tmp_path), str(PHOTO))

    begin.ends = ends
    yield begin
    for end in ends:
        end()
    ahead.forget_search()
    assert first_picture.THREAD not in [thread.name for thread in threading.enumerate()]
    assert sys.getswitchinterval() == interval


@pytest.mark.parametrize(("chain", "processors", "gained"), [("photo", 2, True), ("photo", 1, False), ("odedit-plus", 2, False)])  # fmt: skip
def test_nothing_begins_where_nothing_is_gained(tmp_path, begins, chain, processors, gained):
    assert read_first(Chain.load(chain), RunOptions(tmp_path), str(PHOTO)) is None, "torch is there"
    reading = begins(chain, processors)
    assert (reading is not None) == gained
    if reading is not None:
        assert reading.result()[0].width == odekit.read(PHOTO).width and not reading.cancel()


def test_the_photograph_is_read_before_torch_is_imported(begins):
    """Beside the import, which keeps Python's lock for tenths of a second, reading takes three times as long."""
    assert begins("photo").done()


def test_a_slow_disk_does_not_keep_torch_from_being_imported(begins, monkeypatch):
    answered = threading.Event()

    def read_slowly(*given):
        answered.wait(60)
        return read_input(*given)

    monkeypatch.setattr(first_picture, "read_input", read_slowly)
    monkeypatch.setattr(first_picture, "HEAD_START", 0.05)
    reading = begins("photo")
    assert not reading.done()
    answered.set()
    assert reading.result()[0].width == odekit.read(PHOTO).width


def test_nothing_begins_for_boxes_that_are_given(begins):
    assert begins("photo", settings=["faces.select.boxes=[[9, 9, 99, 99]]"]) is None


def test_the_thread_ends_with_the_program(begins, monkeypatch):
    """One that is in OpenCV when Python ends would abort the process."""
    picture = odekit.read(PHOTO).to_uint8()

    def endless(network, photo, size):
        while True:
            network.propose(picture)

    monkeypatch.setattr(ahead, "search", endless)
    begins("photo").result()
    started = time.monotonic()
    begins.ends[0]()
    assert time.monotonic() - started < first_picture.LONGEST_END


def test_nothing_is_read_for_a_result_that_is_there(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(runner, "read_first", lambda *given: read.append(given))
    (tmp_path / "astronaut.jpg").touch()
    for options, count in ((RunOptions(tmp_path), 0), (RunOptions(tmp_path, overwrite=True), 1), (RunOptions(tmp_path, resume=True), 1)):  # fmt: skip
        made = runner.Runner(Chain.load("photo"), options, Silent())
        made._begin_first(made.jobs([PHOTO]))
        assert len(read) == count
