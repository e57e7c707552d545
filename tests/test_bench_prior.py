"""`python -m benchmarks prior`: its figures on priors whose answers are known, and the command."""

import itertools
import json
import math

import numpy as np
import PIL.Image
import pytest
import torch
import typer
from scipy.stats import kurtosis
from typer.testing import CliRunner

from benchmarks import flow, memorised
from benchmarks.damage import damage_in_turn
from benchmarks.prior import Sizes, command, load_prior, measure, memorisation
from odekit.core.grid import make_grid
from odekit.errors import ConfigError, InputError
from odekit.evaluation.experiments import faces as face_sets
from odekit.evaluation.experiments.faces import FaceSet, at_side, face_set
from odekit.parts.priors.exact import GaussianPrior
from odekit.parts.priors.network import DiffusersPrior
from odekit.training import seeding
from odekit.training.options.base import PriorOptions, UNetOptions
from odekit.training.tasks import prior_network
from odekit.training.tasks.prior_validation import VALIDATION_SEED, Validator

MEAN, VARIANCE = 0.1, 0.04
GAUSSIAN = GaussianPrior(MEAN, VARIANCE, (3, 16, 16))


def drawn(n, seed=0, side=16):
    """Pictures of the Gaussian prior itself."""
    model = GaussianPrior(MEAN, VARIANCE, (3, side, side))
    x = model.sample(n, np.random.Generator(np.random.Philox(seed))).numpy()
    return np.rint((np.clip(x, -1, 1) + 1) * 127.5).astype(np.uint8).transpose(0, 2, 3, 1)


SET = FaceSet(drawn(60, 1), drawn(20, 2), drawn(24, 3))
QUICK = Sizes(limit=4, samples=40, steps=10, draws=2)


@pytest.fixture(scope="module")
def rows():
    return {row.name: row for row in measure(GAUSSIAN, SET, QUICK)}


# --- the loss


def test_loss_of_the_exact_prior_is_the_least_there_is():
    """For N(m, s): E|v - v_hat|^2 = s / (abar s + 1 - abar), at the timesteps of the fixed questions."""
    losses = flow.validation_loss(GAUSSIAN, drawn(30, 5), bands=5)
    u = seeding.keyed_generator(VALIDATION_SEED, "validation-t", 5).random((5, 30))
    abar = GAUSSIAN.schedule.abar[((np.arange(5)[:, None] + u) * 200).astype(int)]
    np.testing.assert_allclose(losses, (VARIANCE / (abar * VARIANCE + 1 - abar)).mean(1), rtol=0.05)


def test_loss_is_the_one_in_the_log_of_a_training_run(tmp_path):
    options = PriorOptions(
        side=16, network=UNetOptions(patch=1, channels=(16, 16), attention=(False, False), layers=1, head=16)
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        net = prior_network.build(options)
    net = net.half().float()  # as the folder stores it
    prior_network.write(tmp_path / "p", net, options, {})
    pictures = drawn(3)
    states = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    wanted = Validator(states, options).score(net, torch.autocast("cpu", enabled=False)).bands
    np.testing.assert_allclose(flow.validation_loss(DiffusersPrior.load(tmp_path / "p"), pictures), wanted, rtol=1e-4)


# --- the flow


def test_samples_have_the_moments_that_ddim_gives_on_this_prior():
    """Every step multiplies y - m by 1 + (rho' - rho) rho / (s + rho^2), starting from y = rho e at the top."""
    rhos = [*make_grid("uniform-t", 50, GAUSSIAN.schedule).rho[::-1], 0.0]
    factor = math.prod(1 + (b - a) * a / (VARIANCE + a * a) for a, b in itertools.pairwise(rhos))
    pictures = flow.sample(GAUSSIAN, 24, steps=50, batch=7)
    x = pictures / 127.5 - 1
    assert pictures.shape == (24, 16, 16, 3)
    assert x.mean() == pytest.approx(MEAN * (1 - factor), abs=0.005)
    assert x.std() == pytest.approx(rhos[0] * factor, rel=0.02)
    assert np.array_equal(flow.sample(GAUSSIAN, 3, steps=50), pictures[:3])
    assert not np.array_equal(flow.sample(GAUSSIAN, 3, steps=50, seed=1), pictures[:3])


def test_a_round_trip_is_nearer_with_more_steps_and_by_the_order_of_ddim():
    few, more = (flow.round_trip(GAUSSIAN, drawn(4), steps=steps).psnr.mean() for steps in (50, 100))
    assert more - few == pytest.approx(6.02, abs=1.5)


def test_latents_of_the_priors_own_pictures_are_standard_normal():
    trip = flow.round_trip(GAUSSIAN, drawn(12), steps=200)
    seen = {name: values.mean() for name, values in flow.statistics(trip.latents).items()}
    assert seen["mean"] == pytest.approx(0, abs=0.03)
    assert seen["std"] == pytest.approx(1, abs=0.05)
    assert seen["kurtosis"] == pytest.approx(3, abs=0.2)


def test_statistics_are_those_of_scipy_by_picture():
    x = np.random.Generator(np.random.Philox(0)).gamma(2.0, size=(3, 3, 8, 8))
    seen = flow.statistics(x)
    np.testing.assert_allclose(seen["kurtosis"], kurtosis(x.reshape(3, -1), axis=1, fisher=False))
    np.testing.assert_allclose(seen["mean"], x.mean((1, 2, 3)))
    np.testing.assert_allclose(seen["std"], x.std((1, 2, 3)))


# --- all figures


def test_every_figure_of_the_card_is_there(rows):
    assert [name for name in rows if name.startswith("loss")] == [
        *(f"loss t {100 * i}-{100 * i + 99}" for i in range(10)),
        "loss",
    ]
    assert {"SWD, samples", "SWD 16 px, samples", "SWD, train faces", "FD-PCA, samples", "FD-PCA, train faces"} <= set(
        rows
    )
    for name in ("round trip", "latent mean", "latent std", "latent kurtosis"):
        assert {f"{name}, clean", f"{name}, damaged"} <= set(rows)
    assert rows["loss"].value == pytest.approx(
        np.mean([rows[f"loss t {100 * i}-{100 * i + 99}"].value for i in range(10)])
    )
    assert "FID" not in rows["FD-PCA, samples"].name
    assert "not an FID" in rows["FD-PCA, samples"].note


def test_numbers_of_pictures_are_reported(rows):
    assert rows["loss"].count == 4  # --limit
    assert rows["SWD, samples"].count == 40
    assert rows["SWD, samples"].note == "against 44 held-out faces, 2 draws"
    assert rows["round trip, clean"].note == "DDIM, 10 levels up and down, grid uniform-t"
    assert json.loads(json.dumps(rows["loss"].tree()))["spread"] is None


def test_samples_of_a_wrong_prior_are_farther_off(rows):
    wrong = GaussianPrior(0.5, 0.01, (3, 16, 16))
    worse = {row.name: row for row in measure(wrong, SET, QUICK)}
    assert worse["FD-PCA, samples"].value > 5 * rows["FD-PCA, samples"].value
    assert worse["loss"].value > rows["loss"].value


def test_without_train_faces_there_is_no_pca_and_without_samples_no_swd():
    names = {row.name for row in measure(GAUSSIAN, FaceSet(SET.train[:0], SET.val, SET.test), QUICK)}
    assert "SWD, samples" in names and not any("PCA" in n or "train" in n for n in names)
    names = {row.name for row in measure(GAUSSIAN, SET, Sizes(limit=2, samples=0, steps=4))}
    assert not any("SWD" in n for n in names)


def test_damage_is_the_papers_and_repeats():
    faces = at_side(face_set(None, 64).test[:21], 64)
    once = damage_in_turn(faces)
    assert all(not np.array_equal(a, b) for a, b in zip(once, faces, strict=True))
    assert np.array_equal(damage_in_turn(faces), once)
    assert not np.array_equal(damage_in_turn(faces, seed=1), once)
    # the first kind, Gaussian noise of standard deviation 0.15, is back at the 21st
    spread = np.std(once[[0, 20]].astype(float) - faces[[0, 20]], axis=(1, 2, 3)) / 255
    np.testing.assert_allclose(spread, 0.15, atol=0.025)


# --- faces


def test_faces_of_a_checkout_are_the_test_split_alone():
    found = face_set(None, 32)
    assert found.test.shape == (128, 32, 32, 3)
    assert len(found.train) == len(found.val) == 0
    whole = face_set(None, 64).test
    np.testing.assert_allclose(found.test[5, 3, 4], whole[5, 6:8, 8:10].mean((0, 1)), atol=0.5)


def test_faces_of_a_file_keep_their_split(tmp_path):
    split = np.array(["train"] * 5 + ["val"] * 2 + ["test"] * 3)
    np.savez(tmp_path / "f.npz", images=drawn(10), split=split)
    found = face_set(tmp_path / "f.npz", 16)
    assert [len(part) for part in (found.train, found.val, found.test)] == [5, 2, 3]
    assert np.array_equal(found.held_out, drawn(10)[5:])


def test_unusable_data_is_reported(tmp_path, monkeypatch):
    np.savez(tmp_path / "train.npz", images=drawn(4), split=np.array(["train"] * 4))
    with pytest.raises(InputError, match="no val or test faces"):
        face_set(tmp_path / "train.npz", 16)
    with pytest.raises(InputError, match="cannot be reduced to 24 px evenly"):
        face_set(None, 24)
    monkeypatch.setattr(face_sets, "TEST_FACES", tmp_path / "none.npz")
    with pytest.raises(InputError, match="use --data"):
        face_set(None, 64)


# --- the command


def run(*arguments):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_the_command_gives_json_and_its_options_count():
    small = ("--prior", "{use: mixture, side: 16}", "--limit", 2, "--samples", 5, "--steps", 4, "--json")
    rows = {row["name"]: row for row in json.loads(run(*small).stdout)}
    assert rows["loss"]["count"] == 2
    assert rows["SWD, samples"]["count"] == 5
    assert all(math.isfinite(row["value"]) for row in rows.values())
    other = {row["name"]: row for row in json.loads(run(*small, "--seed", 1).stdout)}
    assert other["SWD, samples"]["value"] != rows["SWD, samples"]["value"]
    assert other["loss"]["value"] == rows["loss"]["value"]  # its noise is fixed


def test_the_command_prints_a_table():
    done = run("--prior", "{use: gaussian, side: 16}", "--limit", 1, "--samples", 0, "--steps", 3)
    assert done.exit_code == 0
    assert "round trip, damaged" in done.stdout


def test_priors_are_named_as_in_a_chain():
    assert load_prior("{use: gaussian, side: 12}", "cpu", "auto").shape == (3, 12, 12)
    with pytest.raises(ConfigError, match="did you mean 'face64'"):
        load_prior("face65", "cpu", "auto")


# --- memorised faces


def test_a_copy_and_its_mirror_image_are_found():
    rng = np.random.Generator(np.random.Philox(3))
    train = rng.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    off = np.clip(train[7].astype(int) + 5, 0, 255).astype(np.uint8)
    near = memorised.nearest(np.stack([train[31], train[4][:, ::-1], off]), train)
    assert near.index[:, 0].tolist() == [31, 4, 7]
    assert near.mirrored[:, 0].tolist() == [False, True, False]
    exact = np.sqrt(np.mean((off / 255 - train[7] / 255) ** 2))
    assert near.distance[:, 0] == pytest.approx([0, 0, exact], abs=1e-6)
    assert (np.diff(near.distance, axis=1) > 0).all()


def test_distances_stand_beside_those_of_unseen_faces():
    found = {row.name: row for row in memorisation(drawn(40, 9), SET, None)}
    samples, unseen = (found[f"nearest train face, {name}"] for name in ("samples", "held-out faces"))
    # All are drawn from one density, so a sample is as near as an unseen face is.
    assert samples.value == pytest.approx(unseen.value, rel=0.02)
    assert found["nearest train face, least, samples"].value < samples.value
    assert (samples.count, unseen.count) == (40, 44)
    copied = {row.name: row for row in memorisation(SET.train[:40], SET, None)}
    assert copied["nearest train face, samples"].value == pytest.approx(0, abs=1e-6)


def test_the_sheet_shows_samples_and_train_faces(tmp_path):
    train = drawn(8, 4)
    samples = train[[2, 5, 6]]
    near = memorised.nearest(samples, train)
    memorised.draw(tmp_path / "sheet.png", samples, train, near)
    with PIL.Image.open(tmp_path / "sheet.png") as sheet:
        seen = np.asarray(sheet.convert("RGB"))
    # A sample and its copy, side by side, look the same.
    tile = 264 // 2
    first, second = (seen[16 : 16 + 120, 6 + i * tile : 6 + i * tile + 120].astype(int) for i in range(2))
    assert np.abs(first - second).mean() < 2 < np.abs(first - seen[16:136, 6 + 2 * tile : 126 + 2 * tile]).mean()


def test_a_sheet_without_train_faces_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--sheet needs samples, and train faces"):
        command(samples=4, steps=2, limit=1, sheet=tmp_path / "a.png")
