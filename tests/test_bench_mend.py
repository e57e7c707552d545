"""`python -m benchmarks mend`: figures that scikit-image confirms, what counts as touched and harmed, and the command."""

import json
import math

import numpy as np
import pytest
import typer
from photos import PHOTOS, POINTS, noise
from skimage.metrics import peak_signal_noise_ratio
from typer.testing import CliRunner

from benchmarks import mend as bench
from benchmarks.photo import LabelledFace, LabelledPhoto
from odekit.core.image import Image
from odekit.errors import ConfigError
from odekit.images.io import read, write

BOX, OTHER = (8, 8, 24, 24), (40, 40, 60, 56)


def known(tmp_path, *boxes):
    points = np.array(POINTS["astronaut.jpg"])
    return LabelledPhoto(tmp_path / "a.png", [LabelledFace(points, box, False, False) for box in boxes], True)


def spoiled(image, box, value=0.3):
    x0, y0, x1, y1 = box
    pixels = image.pixels.copy()
    pixels[:, y0:y1, x0:x1] = value
    return image.with_pixels(pixels)


def test_decibels_are_those_of_scikit_image(tmp_path):
    truth = noise(64, 64)
    bad, better = spoiled(truth, BOX), spoiled(truth, BOX, truth.pixels.mean())
    row = bench.compare(known(tmp_path, BOX, OTHER), "scratches", 2, truth, bad, better)
    for mine, image in ((row.before, bad), (row.after, better)):
        assert mine == pytest.approx(peak_signal_noise_ratio(truth.pixels, image.pixels, data_range=1), abs=1e-4)
    inside = (slice(None), slice(8, 24), slice(8, 24))
    face = peak_signal_noise_ratio(truth.pixels[inside], bad.pixels[inside], data_range=1)
    assert row.faces_before == pytest.approx(face, abs=1e-4) and (row.touched, row.harmed) == (1, 0)


def test_a_face_that_only_the_stage_changed_is_harmed_and_in_no_mean(tmp_path):
    truth = noise(64, 64)
    row = bench.compare(known(tmp_path, BOX, OTHER), "scratches", 2, truth, spoiled(truth, BOX), spoiled(truth, OTHER))
    assert (row.touched, row.harmed) == (1, 1) and row.faces_after == math.inf
    plain = bench.compare(known(tmp_path, BOX), "none", 0, truth, truth, truth)
    assert plain.before == plain.after == math.inf and math.isnan(plain.faces_before)


def test_means_over_faces_weigh_each_face_once_and_gains_each_photograph():
    def row(name, before, after, faces, touched):
        return bench.Row(name, "jpeg", 3, before, after, faces, faces + 2, touched, 0)

    (total,) = bench.totals(
        [row("a", 20.0, 21.0, 10.0, 3), row("b", 30.0, 33.0, 14.0, 1), row("c", 10, 9, math.nan, 0)]
    )
    assert (total.before, total.after, total.least_gain, total.most_gain) == (20.0, 21.0, -1.0, 3.0)
    assert (total.faces_before, total.faces_after, total.touched) == (11.0, 13.0, 4)


def test_damage_depends_on_the_photographs_place_alone():
    truth = noise(96, 96)
    first, again, other = (bench.damage(truth, "scratches", 3, seed).pixels for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert not np.array_equal(first, truth.pixels)


@pytest.fixture
def folder(tmp_path):
    photos = {}
    whole = read(PHOTOS / "astronaut.jpg").to_uint8()
    for left, name in ((120, "a.png"), (90, "b.png")):
        write(Image.from_uint8(np.ascontiguousarray(whole[40:264, left : left + 224])), tmp_path / name)
        face = {"box": [10, 10, 60, 60], "points": POINTS["astronaut.jpg"][0:1] * 5, "small": False, "hard": False}
        photos[name] = {"complete": True, "faces": [face]}
    (tmp_path / "faces.json").write_text(json.dumps({"photos": photos}))
    return tmp_path


def run(*arguments):
    app = typer.Typer()
    app.command()(bench.command)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_its_options_choose_photographs_damage_lines_and_the_stage(folder):
    every = json.loads(run(folder, "--kind", "none", "--kind", "jpeg", "--json").stdout)
    assert [(r["kind"], r["severity"], r["photos"]) for r in every["rows"]] == [("none", 0, 2)] + [
        ("jpeg", s, 2) for s in (1, 2, 3, 4)
    ]
    assert every["goals"][0]["reached"] is True
    lines = json.loads(run(folder, "--kind", "jpeg", "--limit", 1, "--each", "--json").stdout)["rows"]
    assert {r["photo"] for r in lines} == {"a.png"} and len(lines) == 4
    off = json.loads(
        run(folder, "--kind", "jpeg", "--set", "blocks=false", "--set", "scratches=false", "--json").stdout
    )
    assert all(r["before"] == r["after"] for r in off["rows"])


def test_what_cannot_be_measured_is_reported(folder):
    assert isinstance(run(folder, "--kind", "fog").exception, ConfigError)
