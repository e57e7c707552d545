"""`python -m benchmarks cracks`: drawn cracks and their mask, and figures of a stage whose answer is known."""

import numpy as np
import pytest
import typer
from photos import PHOTOS
from typer.testing import CliRunner

from benchmarks import cracks as bench
from benchmarks.drawn_cracks import VISIBLE, draw_cracks
from odekit.core.image import Image
from odekit.core.result import Result
from odekit.errors import InputError
from odekit.images.io import read

PHOTO = read(PHOTOS / "astronaut.jpg")
PART = PHOTO.with_pixels(np.ascontiguousarray(PHOTO.pixels[:, 40:264, 120:344]))


class Stage:
    """A chain that fills a given mask with mid grey."""

    def __init__(self, mask):
        self.mask = mask

    def run(self, images):
        pixels = images[0].pixels.copy()
        pixels[:, self.mask] = 0.5
        mask = Image(np.repeat(self.mask[None].astype(np.float32), 3, 0))
        record = {"stages": [{"scratches": 1, "scratched": 0.5}]}
        return [Result(images[0], images[0].with_pixels(pixels), record, extras=[("scratches", mask)])]


def test_drawn_cracks_are_in_their_mask_and_nowhere_else():
    for severity in (1, 2, 3):
        cracked, mask = draw_cracks(PART, severity, 4)
        change = np.abs(cracked.pixels - PART.pixels).max(0)
        assert change[mask].min() > VISIBLE and change[~mask].max() <= VISIBLE + 1 / 255
    shares = [np.mean([draw_cracks(PART, s, k)[1].mean() for k in range(4)]) for s in (1, 3)]
    assert 0.001 < shares[0] < shares[1] < 0.2


def test_the_drawing_depends_on_its_seed_alone():
    first, again, other = (draw_cracks(PART, 2, seed)[0].pixels for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_recall_and_precision_count_pixels():
    truth = np.zeros((224, 224), bool)
    truth[100:104, 20:120] = True
    half = truth.copy()
    half[:, 70:] = False
    row = bench.compare("a", "2", PART, PART, truth, Stage(half))
    assert row.recall == pytest.approx(0.5) and row.precision == 1
    beside = np.roll(truth, 1, 0)
    assert bench.compare("a", "2", PART, PART, truth, Stage(beside)).precision == 1  # one pixel beside is right
    row = bench.compare("a", "2", PART, PART, truth, Stage(np.roll(truth, 40, 0)))
    assert row.recall == 0 and row.precision == 0
    assert row.share == pytest.approx(400 / 224**2, rel=0.02)


def test_a_sepia_print_has_one_colour_for_each_luma():
    red, green, blue = bench.sepia(PART).pixels
    middle = green > 0.1
    assert np.abs(red - green**0.85)[middle].max() < 0.005 and np.abs(blue - green**1.25)[middle].max() < 0.005


def test_goals_are_over_all_pixels_and_the_worst_healthy_picture():
    def row(kind, cracked, hit, marked, right, share):
        return bench.Row("a", kind, cracked, hit, marked, right, share, 0.0, 0.0, "")

    goals = bench.goals_of(
        [row("2", 100, 90, 100, 95, 0.1), row("3", 300, 210, 300, 270, 0.1), row("none", 0, 0, 9, 0, 0.001)]
    )
    assert [goal.value for goal in goals] == pytest.approx([0.75, 365 / 400, 0.001])
    assert [goal.reached for goal in goals] == [False, True, False]


def run(*arguments):
    app = typer.Typer()
    app.command()(bench.command)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_a_folder_without_photographs_is_named(tmp_path):
    assert isinstance(run(tmp_path).exception, InputError)
