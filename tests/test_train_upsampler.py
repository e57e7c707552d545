"""`odekit train upsampler`: shape of the network, training inputs, and a tiny run that beats Lanczos."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from training import Dies, changed, column, discs, one_thread, train  # noqa: F401  # a fixture of this module

from odekit.core.psnr import psnr_of
from odekit.errors import ConfigError, InputError, WeightsError
from odekit.parts.upsamplers.compact import Compact
from odekit.training import config, seeding
from odekit.training.data import faces as data
from odekit.training.data import small_inputs
from odekit.training.options.base import OptimiserOptions, SmallInputOptions, UpsamplerOptions
from odekit.training.tasks import upsampler
from odekit.training.tasks.upsampler import UpsamplerTask

TINY = UpsamplerOptions(
    side=32,
    crop=8,
    features=16,
    convs=2,
    batch=8,
    steps=200,
    precision="float32",
    optimiser=OptimiserOptions(lr=5e-3, warmup=5, weight_decay=0, decay_from=0.3),
    validate_every=100,
    save_every=7,
    validation=4,
    samples=2,
)


@pytest.fixture(scope="module")
def faces():
    """Pictures with sharp edges, which Lanczos cannot restore and a network can learn."""
    images = discs(24, 32, (8, 24), (5, 10))
    return data.Faces(images[:18], images[18:])


def run(faces, folder, resume=False, watch=None, **changes):
    return train(UpsamplerTask(faces, changed(TINY, **changes)), folder, resume, watch)


# --- the network


def test_a_fresh_network_is_the_nearest_enlargement():
    x = torch.rand(2, 3, 5, 7)
    torch.testing.assert_close(Compact(8, 2, 4)(x), x.repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_tensors_have_the_names_and_shapes_of_compact():
    """As in SRVGGNetCompact: convolutions at even places, PReLU slopes at odd ones, 3 scale^2 channels at the end."""
    shapes = {k: tuple(v.shape) for k, v in Compact(features=48, convs=12, scale=4).state_dict().items()}
    assert shapes["body.0.weight"] == (48, 3, 3, 3)
    assert shapes["body.1.weight"] == (48,)
    assert shapes["body.2.weight"] == (48, 48, 3, 3)
    assert shapes["body.26.weight"] == (48, 48, 3, 3)
    assert len([k for k in shapes if k.endswith("weight")]) == 2 * 13 + 1
    assert (
        sum(int(np.prod(s)) for s in shapes.values()) == 27 * 48 + 2 * 48 + 12 * (9 * 48 * 48 + 96) + 9 * 48 * 48 + 48
    )


# --- inputs


def test_clean_inputs_stay_unchanged_and_the_others_follow_their_bounds():
    x = torch.full((200, 3, 8, 8), 0.5)
    assert torch.equal(small_inputs.degrade(x, seeding.keyed_generator(0, "a", 0), SmallInputOptions(clean=1)), x)
    noisy = small_inputs.degrade(
        x, seeding.keyed_generator(0, "a", 0), SmallInputOptions(clean=0.3, blur=0, noise=0.05, jpeg=100)
    )
    touched = (noisy != 0.5).flatten(1).any(1)
    assert touched.float().mean().item() == pytest.approx(0.7, abs=0.08)
    spread = noisy[touched].flatten(1).std(1)
    assert spread.max() < 0.06
    assert spread.mean().item() == pytest.approx(0.025, abs=0.005)  # uniform between 0 and 0.05


def test_blur_spreads_a_point_into_a_gaussian():
    point = torch.zeros(3, 15, 15)
    point[:, 7, 7] = 1
    spread = small_inputs.gaussian_blur(point, 1.0)
    expected = np.exp(-0.5 * (np.arange(15) - 7.0) ** 2)
    expected = np.outer(expected, expected) / expected.sum() ** 2
    np.testing.assert_allclose(spread[0], expected, atol=1e-3)
    assert torch.equal(small_inputs.gaussian_blur(point, 0.0), point)


def test_jpeg_is_worse_at_lower_quality():
    x = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    errors = [(small_inputs.compress_jpeg(x, q) - x).abs().mean().item() for q in (100, 80, 30)]
    assert errors[0] < errors[1] < errors[2]


def test_lanczos_is_that_of_scipy_free_theory_on_a_ramp():
    """A ramp stays a ramp (away from the border), at the centres of the small pixels shifted by (scale - 1) / 2."""
    ramp = torch.linspace(0.1, 0.9, 16).expand(1, 3, 16, 16).contiguous()
    big = small_inputs.enlarge_lanczos(ramp, 4)
    places = (torch.arange(64) - 1.5) / 4
    expected = 0.1 + 0.8 / 15 * places
    torch.testing.assert_close(big[0, 0, 32, 16:48], expected[16:48], atol=2e-3, rtol=0)


def test_small_crops_are_the_area_means_of_the_large_ones(faces):
    clean = UpsamplerOptions.model_validate({**TINY.model_dump(), "inputs": {"clean": 1}})
    task = UpsamplerTask(faces, clean)
    small, large = task.batch(3, 0, 1)
    assert small.shape == (8, 3, 8, 8)
    assert large.shape == (8, 3, 32, 32)
    torch.testing.assert_close(small, torch.nn.functional.avg_pool2d(large, 4))
    for again, first in zip(task.batch(3, 0, 1), (small, large), strict=True):
        assert torch.equal(again, first)
    assert not torch.equal(task.batch(4, 0, 1)[1], large)
    assert torch.equal(task.batch(3, 1, 2)[1], large[1::2])


@pytest.fixture
def restored_folder(tmp_path):
    """Small pictures for every second training face and one validation face; the grey value encodes the number."""
    folder = tmp_path / "restored"
    folder.mkdir()
    for name, grey in [(f"t{i}", 10 * i) for i in range(0, 18, 2)] + [("v1", 99)]:
        pixels = np.full((8, 8, 3), grey, np.uint8)
        pixels[:, 0] = 255  # left and right differ
        PIL.Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def named(faces):
    return replace(
        faces, train_names=tuple(f"a/t{i}.jpg" for i in range(18)), val_names=tuple(f"a/v{i}.jpg" for i in range(6))
    )


def test_restored_faces_take_the_places_of_their_share(faces, restored_folder):
    inputs = SmallInputOptions(clean=1, restored=restored_folder, share=0.5)
    task = UpsamplerTask(named(faces), changed(TINY, inputs=inputs))
    plain = UpsamplerTask(faces, changed(TINY, inputs=SmallInputOptions(clean=1)))
    seen = total = 0
    for step in range(40):
        (small, large), (reduced, same) = task.batch(step, 0, 1), plain.batch(step, 0, 1)
        assert torch.equal(large, same)  # the target is unchanged
        index = seeding.batch_indices(TINY.seed, step, TINY.batch, 18)
        for row, number in enumerate(index):
            total += number % 2 == 0
            if not torch.equal(small[row], reduced[row]):
                seen += 1
                middle = small[row][:, :, 1:-1]
                assert number % 2 == 0 and (middle * 255 - 10 * number).abs().max() < 1e-3
                white = (small[row] == 1).all(dim=0).all(dim=0)
                assert white.sum() == 1 and (white[0] or white[-1])  # mirrored with its large picture
    assert seen / total == pytest.approx(0.5, abs=0.1)
    assert task.small["restored"].shape == (1, 3, 8, 8)
    assert torch.equal(task.truth["restored"], task.large[[1]])
    assert task.fingerprint != plain.fingerprint  # a resumed run must use the same restored faces
    assert set(task.validate(Compact(16, 2, 4), nullcontext())) >= {"restored", "clean"}


def test_restored_faces_that_do_not_fit_are_refused(faces, restored_folder, tmp_path):
    with pytest.raises(InputError, match="no such folder of restored faces"):
        UpsamplerTask(named(faces), changed(TINY, inputs=SmallInputOptions(restored=tmp_path / "none")))
    with pytest.raises(InputError, match="no picture has the name of one of the 0 faces"):
        UpsamplerTask(faces, changed(TINY, inputs=SmallInputOptions(restored=restored_folder)))
    PIL.Image.new("RGB", (9, 8)).save(restored_folder / "t3.png")
    with pytest.raises(InputError, match="9 x 8 pixels; restored faces must be 8 x 8"):
        UpsamplerTask(named(faces), changed(TINY, inputs=SmallInputOptions(restored=restored_folder)))


# --- the loss


def test_dissimilarity_is_one_less_scikit_images_ssim():
    rng = np.random.default_rng(1)
    a = rng.random((2, 3, 32, 32), dtype=np.float32)
    b = np.clip(a + 0.1 * rng.standard_normal(a.shape), 0, 1).astype(np.float32)
    ssim = [
        structural_similarity(x, y, channel_axis=0, data_range=1, use_sample_covariance=False)
        for x, y in zip(a, b, strict=True)
    ]
    every = upsampler.dissimilarity(torch.from_numpy(a), torch.from_numpy(b), stride=1)
    np.testing.assert_allclose(every, 1 - np.array(ssim), atol=1e-4)
    some = upsampler.dissimilarity(torch.from_numpy(a), torch.from_numpy(b))
    np.testing.assert_allclose(some, every, rtol=0.1)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_loss_is_the_absolute_error_and_so_much_dissimilarity(faces, weight):
    task = UpsamplerTask(faces, UpsamplerOptions.model_validate({**TINY.model_dump(), "ssim": weight}))
    small, large = task.batch(0, 0, 1)
    big = small.repeat_interleave(4, 2).repeat_interleave(4, 3)  # the output of a new network
    expected = (big - large).abs().mean((1, 2, 3)) + weight * upsampler.dissimilarity(big, large)
    torch.testing.assert_close(task.losses(Compact(4, 1, 4), (small, large)), expected)


# --- a run


@pytest.fixture(scope="module")
def whole(faces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "x4"
    return folder, run(faces, folder)


def test_a_tiny_run_beats_lanczos_where_it_can_be_beaten(faces, whole):
    folder, summary = whole
    net = Compact(16, 2, 4)
    facts = upsampler.read(net, folder / "best")
    assert facts["samples_seen"] == summary.best_step * 8
    task = UpsamplerTask(faces, TINY)
    with torch.no_grad():
        big = net(task.small["clean"]).clamp(0, 1)
    truth = task.large.numpy()
    network_psnr = peak_signal_noise_ratio(truth, big.numpy(), data_range=1.0)
    lanczos_psnr = peak_signal_noise_ratio(
        truth, small_inputs.enlarge_lanczos(task.small["clean"], 4).numpy(), data_range=1.0
    )
    assert network_psnr > lanczos_psnr + 0.5
    # the metric in the log is the ratio of squared errors
    logged = [float(v) for v in column(folder, "clean", "validation.csv")]
    assert min(logged) == pytest.approx(10 ** ((lanczos_psnr - network_psnr) / 10), rel=0.02)
    assert psnr_of(0.01) == pytest.approx(20.0)


def test_an_interrupted_run_takes_the_same_steps(faces, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(faces, tmp_path / "r", watch=Dies(), steps=20, samples=0)
    run(faces, tmp_path / "r", resume=True, steps=20, samples=0)
    run(faces, tmp_path / "whole", steps=20, samples=0)
    assert column(tmp_path / "r") == column(tmp_path / "whole")


def test_the_folder_says_what_it_is(whole):
    about = json.loads((whole[0] / "best" / "odekit.json").read_text())
    assert about == {"kind": "compact", "scale": 4, "features": 16, "convs": 2, "dtype": "float16"}
    assert {p.suffix for p in (whole[0] / "samples").iterdir()} == {".png"}


def test_weights_of_another_shape_are_refused(whole, tmp_path):
    with pytest.raises(WeightsError, match="another shape"):
        upsampler.read(Compact(8, 2, 4), whole[0] / "best")
    with pytest.raises(WeightsError, match="no upsampler to start from"):
        upsampler.read(Compact(8, 2, 4), tmp_path)


# --- options


def test_shipped_configuration_is_the_default():
    path = Path(__file__).parents[1] / "configs" / "train" / "face-x4.yaml"
    assert config.load_options(UpsamplerOptions, path, {}) == UpsamplerOptions()


@pytest.mark.parametrize(
    ("text", "message"),
    [("side: 250", "multiple of scale 4"), ("crop: 65", "larger than the small"), ("inputs: {blurr: 1}", "'blur'")],
)
def test_configuration_errors_are_reported(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        config.load_options(UpsamplerOptions, tmp_path / "c.yaml", {})
