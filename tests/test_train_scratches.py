"""`odekit train mender`: shape of the network, drawn damage and lookalikes, and a tiny run that resumes exactly."""

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from training import changed, column, one_thread, train  # noqa: F401  # a fixture of this module

from odekit.errors import InputError, WeightsError
from odekit.parts.repair.scratch_network import ScratchNet, side_multiple
from odekit.training import config, loop, seeding
from odekit.training.data import canvases, cracks, crops, scratch_marks, scratched, straight_things
from odekit.training.data import faces as data
from odekit.training.options.base import OptimiserOptions
from odekit.training.options.scratches import ScratchDamageOptions, ScratchOptions
from odekit.training.tasks.scratches import ScratchTask

TINY = ScratchOptions(
    side=64,
    crop=32,
    widths=(16, 16, 16),
    pairs=(1, 1, 1),
    drawn=0.0,
    leaves=0.0,
    batch=8,
    steps=100,
    scenes=0.0,
    exact=0.0,
    pool=40,
    fresh=1,
    precision="float32",
    optimiser=OptimiserOptions(lr=1e-2, warmup=5, weight_decay=0, decay="cosine", decay_from=0.1),
    validate_every=50,
    save_every=7,
    validation=4,
    samples=1,
    damage=ScratchDamageOptions(clean=0.1, marks=2, cracks=0.3, compressed=0, grainy=0, blurred=0, soft=0),
)
GREY = np.full((32, 32, 3), 0.5, np.float32)


@pytest.fixture(scope="module")
def faces():
    """Smooth pictures with edges: easy to tell apart from noise."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:64, 0:64]
    images = np.empty((24, 64, 64, 3), dtype=np.uint8)
    for image in images:
        centre, radius = rng.uniform(16, 48, 2), rng.uniform(10, 20)
        inside = (np.hypot(x - centre[0], y - centre[1]) < radius)[..., None]
        image[:] = np.where(inside, rng.uniform(150, 250, 3), rng.uniform(5, 100, 3))
    return data.Faces(images[:18], images[18:])


def run(faces, folder, resume=False, **changes):
    return train(ScratchTask(faces, changed(TINY, **changes)), folder, resume)


def rng(number=0):
    return seeding.keyed_generator(0, "test", number)


# --- the network


def test_a_fresh_network_marks_nothing():
    logit = ScratchNet((16, 16, 16), (1, 1, 1))(torch.rand(2, 3, 16, 24))
    assert torch.equal(logit, torch.full((2, 16, 24), -4.0))


@pytest.mark.parametrize("scales", [2, 3, 4])
def test_any_number_of_scales_keeps_the_size(scales):
    side = 2 * side_multiple(scales)
    assert ScratchNet((8,) * scales, (1,) * scales)(torch.rand(1, 3, side, 2 * side)).shape == (1, side, 2 * side)


def test_the_shipped_shape_is_small():
    net = ScratchNet()
    assert sum(p.numel() for p in net.parameters()) == 827_876
    assert all(isinstance(m, torch.nn.Conv2d) for m in net.modules() if not list(m.children()))


# --- damage


def plain(**changes):
    """Damage by scratches alone, but for the named changes."""
    return ScratchDamageOptions(**{"clean": 0, "compressed": 0, "grainy": 0, "blurred": 0, "soft": 0, **changes})


def test_the_share_of_clean_crops_is_as_configured():
    count = sum(not scratched.damaged_pair(GREY, rng(i), plain(clean=0.3))[2].any() for i in range(200))
    assert count / 200 == pytest.approx(0.3, abs=0.08)


def test_scratches_alone_are_to_be_undone():
    """Noise, blur and compression are in both pictures; outside the mask they do not differ."""
    for i in range(20):
        inputs, whole, mask = scratched.damaged_pair(GREY, rng(i), plain(grainy=1, noise=0.1))
        assert whole.std() > 0
        assert np.abs(inputs - whole).max(2)[~mask].max(initial=0) < 0.06
        inputs, whole, _ = scratched.damaged_pair(GREY, rng(i), plain(clean=1, grainy=1, compressed=1, blurred=1))
        assert np.array_equal(inputs, whole)


def test_noise_has_the_standard_deviation_it_is_given():
    spreads = [scratched.random_noise(GREY, rng(i), 0.1).std() for i in range(60)]
    assert np.median(spreads) == pytest.approx(0.1, rel=0.15)


def test_blur_widens_a_point_by_its_standard_deviation():
    point = np.zeros((65, 65, 3), np.float32)
    point[32, 32] = 1
    along, trails = np.arange(65) - 32.0, []
    for i in range(12):
        spread = scratched.random_blur(point, rng(i), 2.0)[..., 0]
        assert spread.sum() == pytest.approx(1, abs=1e-4)
        widths = [float((spread.sum(axis) * along**2).sum()) for axis in (0, 1)]
        covariance = float((spread * np.outer(along, along)).sum())
        narrow, wide = np.linalg.eigvalsh([[widths[1], covariance], [covariance, widths[0]]])
        trail = narrow < 0.5 * wide
        trails.append(trail)
        assert sum(widths) == pytest.approx(4 if trail else 8, rel=0.3)
    assert 0 < sum(trails) < 12
    assert np.array_equal(scratched.random_blur(point, rng(), 0.1), point)


def test_crops_are_used_again_and_replaced(faces):
    task = ScratchTask(faces, changed(TINY, pool=3, fresh=1))
    first = task._crop(2)[0]
    assert task._crop(2)[0] is first
    for number in range(3, 9):
        task._crop(number)
    again = task._crop(2)[0]
    assert again is not first and np.array_equal(again, first)


def test_compression_is_worse_at_lower_quality():
    picture = rng().random((32, 32, 3), dtype=np.float32)
    errors = [np.abs(scratched.compress_jpeg(picture, rng(), q) - picture).mean() for q in (95, 60, 10)]
    assert errors[0] < errors[1] < errors[2]


def test_marks_cover_what_the_mask_says_and_nothing_else():
    for i in range(30):
        inputs, whole, mask = scratched.damaged_pair(GREY, rng(i), plain())
        changed = np.abs(inputs - whole).max(2)
        assert changed[mask].min(initial=1) > 0.04
        assert changed[~mask].max(initial=0) < 0.06


@pytest.mark.parametrize("dark", [0.0, 0.28, 0.6])
def test_a_share_of_marks_is_dirt(dark):
    shades = np.array([scratch_marks.mark_colour(rng(i), dark) for i in range(600)])
    assert np.mean(shades.max(1) < 0.25) == pytest.approx(dark, abs=0.06)
    assert np.mean(shades.min(1) > 0.7) == pytest.approx(0.88 - dark, abs=0.06)


def test_scratches_of_larger_photographs_are_wider():
    area = [np.mean([scratch_marks.wavy_scratch(rng(i), 96, side).mean() for i in range(80)]) for side in (100, 2000)]
    assert area[1] > 2 * area[0]


def test_cracks_are_thin_jagged_and_branch():
    covers = [cracks.cracks(rng(i), 128) for i in range(30)]
    shares = [float((cover > 0.2).mean()) for cover in covers]
    assert 0.001 < np.median(shares) < 0.1
    path = cracks.midpoint_path(rng(), np.array([0.0, 0.0]), np.array([100.0, 0.0]), 0.15)
    length = np.hypot(*np.diff(path, axis=0).T).sum()
    assert length > 104 and np.abs(path[:, 1]).max() > 1  # a straight line has 100
    straight = cracks.midpoint_path(rng(), np.array([0.0, 0.0]), np.array([100.0, 0.0]), 0.0)
    assert np.hypot(*np.diff(straight, axis=0).T).sum() == pytest.approx(100)


def test_flakes_show_paper_where_they_cover_and_relief_beside():
    grey = np.full((96, 96, 3), 0.3, np.float32)
    for i in range(12):
        cover = cracks.missing_emulsion(rng(i), 96)
        shown = cracks.show_paper(grey, cover, rng(i))
        inside, far = cover == 1, cover == 0
        if inside.any():
            assert shown[inside].mean() > 0.45
        assert np.abs(shown[far] - 0.3).mean() < 0.03


def test_a_share_of_marks_is_cracks():
    """Cracks cover jagged areas, scratches smooth lines; with no cracks the paths of scratches are unchanged."""
    none, only = (
        [scratch_marks.add_marks(GREY, rng(i), plain(cracks=share, marks=1)) for i in range(6)] for share in (0.0, 1.0)
    )
    assert not any(np.array_equal(a, b) for a, b in zip(none, only, strict=True))


def test_lookalikes_belong_to_the_target():
    """What is drawn as content is in the input and in the target alike: the network learns to leave it."""
    face = np.full((64, 64, 3), 128, np.uint8)
    options = changed(TINY, colourless=0)
    for i in range(20):
        crop = crops.random_crop(face, 40, rng(i), changed(options, drawn=1.0))
        inputs, target, mask = scratched.damaged_pair(crop, rng(i), plain(clean=1))
        assert np.array_equal(inputs, target) and not mask.any()
    bare, drawn = (crops.random_crop(face, 40, rng(5), changed(options, drawn=share)) for share in (0.0, 1.0))
    assert bare.std((0, 1)).max() < 1e-3 < drawn.std((0, 1)).max()


@pytest.mark.parametrize("kind", ["rope", "planks", "bars", "wires", "region_edge", "strands", "twigs", "border", "text", "stripes"])  # fmt: skip
def test_every_lookalike_is_drawn_within_range(kind):
    grey = np.full((64, 64, 3), 0.5, np.float32)
    drawn = [np.clip(getattr(straight_things, kind)(grey, rng(i)), 0, 1) for i in range(4)]
    assert all(picture.shape == grey.shape and np.isfinite(picture).all() for picture in drawn)
    assert max(float(np.abs(picture - grey).max()) for picture in drawn) > 0.05


def test_a_share_of_views_is_grey_or_toned():
    face = np.stack([np.full((64, 64), v, np.uint8) for v in (40, 120, 200)], 2)
    options = changed(TINY, drawn=0, colourless=1)
    colours = np.array([crops.random_crop(face, 40, rng(i), options)[20, 20] for i in range(30)])
    grey = np.ptp(colours, axis=1) < 1e-4
    assert 0.1 < grey.mean() < 0.6
    assert (colours[~grey][:, 0] > colours[~grey][:, 2]).mean() > 0.6  # mostly warm, although the face is blue


def test_pages_and_microscopes_are_no_scenes():
    assert {"page.png", "ihc.png", "astronaut.png"}.isdisjoint(canvases.SKIMAGE_FREE_PHOTOGRAPHS) and set(
        canvases.SKIMAGE_FREE_PHOTOGRAPHS
    ) < set(canvases.SKIMAGE_PICTURES)


# --- the task


def test_a_batch_is_a_function_of_seed_and_step_and_shared_out(faces):
    task = ScratchTask(faces, TINY)
    inputs, mask = task.batch(3, 0, 1)
    assert inputs.shape == (8, 3, 32, 32) and mask.shape == (8, 32, 32)
    assert torch.equal(ScratchTask(faces, TINY).batch(3, 0, 1)[0], inputs)
    assert torch.equal(torch.cat([task.batch(3, r, 2)[0] for r in (0, 1)]), torch.cat([inputs[::2], inputs[1::2]]))
    assert not torch.equal(task.batch(4, 0, 1)[0], inputs)


def test_the_loss_is_the_cross_entropy_of_the_mask(faces):
    inputs, mask = torch.rand(2, 3, 16, 16), torch.stack([torch.ones(16, 16), torch.zeros(16, 16)])
    losses = ScratchTask(faces, TINY).losses(ScratchNet((16, 16, 16), (1, 1, 1)), (inputs, mask))
    assert losses.tolist() == pytest.approx([np.log1p(np.exp(4)), np.log1p(np.exp(-4))], rel=1e-4)


@pytest.fixture(scope="module")
def whole_run(faces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "whole"
    return folder, run(faces, folder)


def test_a_tiny_run_learns_to_tell_scratches_apart(whole_run, faces):
    folder, summary = whole_run
    assert summary.why == "done"
    loss = [float(v) for v in column(folder, "loss", "validation.csv")]
    assert loss[-1] < loss[0]
    task = ScratchTask(faces, changed(TINY, init=folder / "last"))
    network, _ = task.network(True)
    inputs, mask = task.validation["scratches"]
    logit = network(inputs).detach()
    assert logit[mask > 0].mean() > logit[mask == 0].mean() + 0.1  # a fresh network tells no difference
    assert (folder / "samples" / "0000100.png").is_file()


def test_a_run_cut_short_goes_on_exactly(whole_run, faces, tmp_path):
    with pytest.raises(Stop):
        train(ScratchTask(faces, TINY), tmp_path / "cut", watch=Dies(17))
    with pytest.raises(Stop):
        train(ScratchTask(faces, TINY), tmp_path / "cut", resume=True, watch=Dies(24))
    assert column(tmp_path / "cut") == column(whole_run[0])[:24]  # steps 14 to 17 were taken twice


class Stop(Exception):
    """Simulates a kill."""


class Dies(loop.NoProgress):
    """Stops the run after this many steps."""

    def __init__(self, step):
        self.at = step

    def step_done(self, step, outcome):
        if step == self.at:
            raise Stop


def test_written_weights_are_small_and_start_another_run(whole_run, faces, tmp_path):
    best = whole_run[0] / "best"
    about = json.loads((best / "odekit.json").read_text())
    assert about == {"kind": "mender", "widths": [16, 16, 16], "pairs": [1, 1, 1]}
    task = ScratchTask(faces, changed(TINY, init=best))
    warm, facts = task.network(True)
    assert facts["steps"] == whole_run[1].best_step
    assert task.validate(warm, nullcontext())["loss"] == pytest.approx(whole_run[1].best, rel=0.02)  # float16 weights


# --- bad input


@pytest.mark.parametrize(
    "options,words",
    [
        ({"crop": 40}, "multiples of 16"),
        ({"crop": 64, "side": 64}, "too large"),
        ({"pairs": (1, 1)}, "one per width"),
        ({"cropp": 1}, "cropp"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        ScratchOptions.model_validate(options)


def test_the_configuration_that_ships_is_valid():
    options = config.load_options(
        ScratchOptions, Path(__file__).parent.parent / "configs" / "train" / "mender.yaml", {}
    )
    assert options.batch == 16 and options.crop == 128


def test_weights_of_another_shape_or_place_are_refused(whole_run, faces, tmp_path):
    with pytest.raises(WeightsError, match="no mender to start from"):
        ScratchTask(faces, changed(TINY, init=tmp_path)).network(True)
    with pytest.raises(WeightsError, match="shape"):
        ScratchTask(faces, changed(TINY, init=whole_run[0] / "best", widths=(24, 16, 16))).network(True)


def test_a_folder_without_scenes_is_named(faces, tmp_path):
    with pytest.raises(InputError, match="no background pictures"):
        ScratchTask(faces, changed(TINY, scenes=0.5, backgrounds=tmp_path))
