"""`python -m benchmarks upsampler`: means that scikit-image confirms, and the command."""

import json

import numpy as np
import pytest
import torch
import typer
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from typer.testing import CliRunner

from benchmarks.upsampler import command, compare, milliseconds
from odekit.errors import ConfigError
from odekit.parts.upsamplers.resize import Resize, ResizeUpsampler
from odekit.training.data import small_inputs


def smooth(n, side=32):
    """Soft random pictures, uint8 (n, side, side, 3)."""
    draws = torch.from_numpy(np.random.Generator(np.random.Philox(2)).random((n, 3, 6, 6), dtype=np.float32))
    big = torch.nn.functional.interpolate(draws, size=(side, side), mode="bicubic").clamp(0, 1)
    return (big * 255).round().byte().permute(0, 2, 3, 1).numpy()


def test_lanczos_gains_nothing_over_itself_and_box_loses():
    faces = smooth(4)
    for row in compare(ResizeUpsampler(), faces, 8):
        assert (row.psnr, row.ssim, row.count) == (row.lanczos_psnr, row.lanczos_ssim, 4)
    clean, blurred, noisy, damaged = compare(ResizeUpsampler(Resize(filter="box")), faces, 8)
    assert clean.psnr < clean.lanczos_psnr
    assert [row.kind for row in (clean, blurred, noisy, damaged)] == ["clean", "blurred", "noisy", "damaged"]
    assert damaged.lanczos_psnr < clean.lanczos_psnr


def test_the_means_are_those_of_scikit_image_on_area_reduced_faces():
    faces = smooth(3)
    clean = compare(ResizeUpsampler(), faces, 8)[0]
    truth = torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 255
    big = small_inputs.enlarge_lanczos(torch.nn.functional.avg_pool2d(truth, 4), 4).double().numpy()
    pairs = list(zip(truth.double().numpy(), big, strict=True))
    assert clean.psnr == pytest.approx(
        np.mean([peak_signal_noise_ratio(t, b, data_range=1) for t, b in pairs]), abs=1e-4
    )
    ssim = [structural_similarity(t, b, data_range=1, channel_axis=0) for t, b in pairs]
    assert clean.ssim == pytest.approx(np.mean(ssim), abs=1e-5)


def test_time_is_positive_and_grows_with_the_picture():
    assert 0 < milliseconds(ResizeUpsampler(), 8, 3) < milliseconds(ResizeUpsampler(), 256, 3)


# --- the command


@pytest.fixture
def data(tmp_path):
    split = np.array(["train"] * 2 + ["val"] * 3 + ["test"] * 4)
    np.savez(tmp_path / "f.npz", images=smooth(9), split=split)
    return tmp_path / "f.npz"


def without_test(data):
    np.savez(data.parent / "two.npz", images=smooth(2), split=np.array(["train", "val"]))
    return data.parent / "two.npz"


def run(*arguments):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_its_options_choose_faces_and_upsampler(data):
    rows = json.loads(run(data, "--side", 8, "--json").stdout)["kinds"]
    assert [row["count"] for row in rows] == [3] * 4
    one = json.loads(run(data, "--side", 8, "--split", "test", "--limit", 1, "--json").stdout)["kinds"]
    assert [row["count"] for row in one] == [1] * 4
    lanczos = json.loads(run(data, "--side", 8, "--upsampler", "resize", "--json").stdout)["kinds"]
    assert [row["psnr_gain"] for row in lanczos] == [0] * 4
    assert "3 val faces" in run(data, "--side", 8).stdout


def test_what_cannot_be_compared_is_reported(data):
    assert "smaller than side 64" in str(run(data, "--side", 16).exception)
    assert "no test faces" in str(run(without_test(data), "--side", 8, "--split", "test").exception)
    assert isinstance(run(data, "--upsampler", "resise").exception, ConfigError)


def test_larger_faces_are_reduced_first(data):
    """32 px faces, small side 8, scale 2: compared at 16 px."""
    rows = json.loads(run(data, "--side", 8, "--upsampler", "{use: resize, scale: 2}", "--json").stdout)["kinds"]
    assert rows[0]["count"] == 3
