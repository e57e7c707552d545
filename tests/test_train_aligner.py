"""`odekit train aligner`: crops that match their placements, exact resume, and a tiny run that learns."""

import json
import math

import numpy as np
import pytest
import torch
from conftest import ROOT
from training import changed, column, one_thread, train  # noqa: F401  # a fixture of this module

from odekit.errors import ConfigError, WeightsError
from odekit.parts.faces.aligner import Aligner
from odekit.parts.faces.geometry import TEMPLATES
from odekit.testing import StandaloneTools
from odekit.training import config, loop
from odekit.training.data import canvases
from odekit.training.data import faces as data
from odekit.training.options.aligner import AlignerOptions, CanvasOptions, PlacementOptions
from odekit.training.options.base import OptimiserOptions
from odekit.training.tasks import aligner
from odekit.training.tasks.aligner import AlignerTask, cut_crops, draw_far_placements, draw_placements, point_error

TINY = AlignerOptions(
    side=64,
    widths=(4, 4, 8, 8),
    dense=16,
    batch=8,
    steps=12,
    pool=16,
    fresh=1,
    precision="float32",
    canvas=CanvasOptions(damaged=0.0),
    optimiser=OptimiserOptions(lr=5e-3, warmup=2, weight_decay=0.0),
    validate_every=6,
    save_every=5,
    samples=2,
)


@pytest.fixture(scope="module")
def faces():
    images = np.load(ROOT / "tests" / "data" / "faces" / "faces64_test.npz")["images"]
    return data.Faces(images[:20], images[20:24])


def run(faces, folder, resume=False, **changes):
    return train(AlignerTask(faces, changed(TINY, **changes)), folder, resume)


class Killed(Exception):
    pass


class Killer(loop.NoProgress):
    def step_done(self, step, outcome):
        if step == 8:
            raise Killed


def test_a_crop_shows_the_template_where_its_label_says():
    """A canvas with five bright dots at the points of the template: in the crop they are at M q + t."""
    canvas = np.zeros((canvases.CANVAS_SIDE, canvases.CANVAS_SIDE, 3), np.uint8)
    points = TEMPLATES["ffhq-5"] * canvases.FACE_SIDE + (canvases.CANVAS_SIDE - canvases.FACE_SIDE) / 2
    where = np.array([[1.1 * math.cos(0.3), 1.1 * math.sin(0.3), 0.2, -0.1]], np.float32)
    for number in range(5):
        one = canvas.copy()
        x, y = points[number]
        yy, xx = np.mgrid[: canvases.CANVAS_SIDE, : canvases.CANVAS_SIDE] + 0.5
        one[...] = (255 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 8))[..., None].astype(np.uint8)
        crop = cut_crops(one[None], where)[0].mean(0).numpy()
        yy, xx = np.mgrid[:64, :64] + 0.5
        position = np.array([(crop * xx).sum(), (crop * yy).sum()]) / crop.sum()
        a, b, tx, ty = where[0]
        expected = aligner.POINTS[number] @ np.array([[a, b], [-b, a]]) + (tx, ty)
        assert np.abs(position - (expected + 1) * 32).max() < 0.3


def test_distance_is_the_mean_over_the_points_as_a_fraction_of_the_side():
    where = torch.tensor([[1.0, 0.0, 0.1, 0.0]])
    assert float(point_error(torch.tensor([[0.0, 0.0, 0.3, 0.0]]), where)) == pytest.approx(0.1, abs=1e-4)
    assert float(point_error(torch.tensor([[0.0, 0.0, 0.1, 0.0]]), where)) < 1e-3


def test_places_keep_their_bounds_and_misplaced_ones_do_not():
    rng = np.random.default_rng(0)
    a, b, x, y = draw_placements(rng, 500, PlacementOptions(shift=0.1, angle=10, zoom=1.2, near=0.0)).T
    assert max(np.abs(x).max(), np.abs(y).max()) <= 0.2 and np.abs(np.arctan2(b, a)).max() <= np.deg2rad(10) + 1e-6
    assert np.hypot(a, b).min() >= 1 / 1.2 - 1e-6 and np.hypot(a, b).max() <= 1.2 + 1e-6
    a, b, x, y = draw_far_placements(rng, 500).T
    assert ((np.hypot(x, y) > 0.8) | (np.hypot(a, b) > 2) | (np.abs(np.arctan2(b, a)) > 1.5)).all()


def test_batches_are_a_function_of_seed_and_step_and_ranks_share_them(faces):
    task, again = AlignerTask(faces, TINY), AlignerTask(faces, TINY)
    again.batch(0, 0, 1)
    for one, two in zip(task.batch(3, 0, 1), again.batch(3, 0, 1), strict=False):
        assert torch.equal(one, two)
    label = task.batch(3, 0, 1)[2]
    assert set(label.tolist()) == {0.0, 1.0}
    parts = [task.batch(3, rank, 2) for rank in (0, 1)]
    assert torch.equal(task.batch(3, 0, 1)[1], torch.stack([p[1] for p in parts], 1).flatten(0, 1))


def test_the_damage_asked_for_is_done(faces):
    rng = lambda: np.random.Generator(np.random.Philox(1))  # noqa: E731
    scenes = canvases.load_backgrounds(None)
    clean = canvases.compose_canvas(faces.train[0], scenes, faces.train, rng(), CanvasOptions(), [])
    noisy = canvases.compose_canvas(
        faces.train[0], scenes, faces.train, rng(), CanvasOptions(), [("gaussian_noise", 5)]
    )
    assert clean.shape == (160, 160, 3) and np.abs(clean.astype(int) - noisy).mean() > 10


def test_a_run_learns_resumes_exactly_and_its_weights_work(faces, tmp_path):
    whole = run(faces, tmp_path / "whole")
    with pytest.raises(Killed):
        train(AlignerTask(faces, TINY), tmp_path / "parts", watch=Killer())
    resumed = run(faces, tmp_path / "parts", resume=True)
    assert resumed.step == whole.step == 12
    one, two = ((tmp_path / name / "last" / "model.safetensors").read_bytes() for name in ("whole", "parts"))
    assert one == two
    folder = tmp_path / "whole" / "best"
    assert json.loads((folder / "odekit.json").read_text()) == {"dense": 16, "kind": "aligner", "widths": [4, 4, 8, 8]}
    frame, score = Aligner(f"{folder}/", StandaloneTools()).predict(np.zeros((1, 3, 64, 64), np.float32))[0]
    assert frame.side > 0 and 0 <= score <= 1
    warm = run(faces, tmp_path / "warm", init=folder, hard=2, steps=2)
    assert warm.step == 2


@pytest.mark.long
def test_the_loss_falls(faces, tmp_path):
    run(faces, tmp_path, steps=150, validate_every=150, batch=16, widths=(8, 8, 16, 16))
    losses = [float(loss) for loss in column(tmp_path)]
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])


def test_wrong_settings_are_refused(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("hard: 5\n")
    with pytest.raises(ConfigError, match="`hard` needs `init`"):
        config.load_options(AlignerOptions, path, {})
    with pytest.raises(WeightsError, match="no aligner to start from"):
        aligner.read(torch.nn.Linear(1, 1), tmp_path)


def test_the_shipped_configuration_is_valid():
    assert config.load_options(AlignerOptions, ROOT / "configs" / "train" / "aligner.yaml", {}).steps > 1000
