"""Devices, pipes and numbers that are none: refused in one line, at once, wherever a file or a limit is named."""

import json
import math
import os
import threading
import time

import PIL.Image
import pytest
from conftest import picture

import odekit
from odekit.core.files import MAX_TEXT, read_bounded, read_json, read_text
from odekit.errors import ConfigError, InputError, OdekitError
from odekit.parts.enhancers.calibration import load_calibration
from odekit.parts.enhancers.spectrum import load_spectrum
from odekit.parts.faces.select import read_boxes
from odekit.parts.repair.colour import load_colour_correction
from odekit.parts.upsamplers.worth import load_worth
from odekit.runs.summary import RunOptions


@pytest.fixture(params=["zero", "pipe", "sparse", "folder"])
def special(request, tmp_path):
    """/dev/zero, a pipe to which nobody writes, a sparse file of a terabyte, and a folder."""
    path = tmp_path / "special.png"
    if request.param == "zero":
        path.symlink_to("/dev/zero")
    elif request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)
    return path


@pytest.fixture(autouse=True)
def at_once():
    began = time.process_time()
    alarm = threading.Timer(30, lambda: os._exit(99))  # a pipe would be waited for without end
    alarm.start()
    yield
    alarm.cancel()
    assert time.process_time() - began < 10


def test_pictures(special):
    with pytest.raises(InputError, match=r"regular file|larger than any|is a folder") as caught:
        odekit.read(special)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "load", [load_calibration, load_spectrum, load_worth, load_colour_correction], ids=lambda f: f.__name__
)
def test_calibrations(special, load):
    with pytest.raises(ConfigError) as caught:
        load(special)
    assert "\n" not in str(caught.value)


def test_boxes(special):
    with pytest.raises(ConfigError, match="cannot be read as JSON"):
        read_boxes(str(special))


def test_chains_and_records(special):
    with pytest.raises(OdekitError) as caught:
        odekit.Chain.load(special)
    assert "\n" not in str(caught.value)
    assert read_json(special) is None
    with pytest.raises(OSError, match=r"file|directory|MiB"):
        read_text(special)


def test_a_file_of_just_the_limit_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bounded(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="larger than"):
        read_bounded(tmp_path / "a", 4)
    assert MAX_TEXT > 1 << 20


def test_a_run_lists_a_pipe_among_its_inputs_as_failed(cli, exact, tmp_path):
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / "pipe.png")
    PIL.Image.fromarray(picture(0)).save(tmp_path / "in" / "face.png")
    done = cli("run", exact, tmp_path / "in", "-o", tmp_path / "out", "--json")
    assert done.code == 3
    (failure,) = json.loads(done.out)["failed"]
    assert "is not a regular file" in failure["error"]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "0", "-1"])
def test_a_limit_that_is_no_positive_number_is_refused(cli, exact, tmp_path, value):
    PIL.Image.fromarray(picture(0)).save(tmp_path / "face.png")
    done = cli("run", exact, tmp_path / "face.png", "-o", tmp_path / "out", f"--max-megapixels={value}")
    assert done.code == 2
    assert "--max-megapixels" in done.err and len(done.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
    for call in (
        lambda: RunOptions(tmp_path, max_megapixels=float(value)),
        lambda: odekit.read(tmp_path / "face.png", max_megapixels=float(value)),
    ):
        with pytest.raises(ConfigError):
            call()
    assert not math.isnan(RunOptions(tmp_path).max_megapixels)
