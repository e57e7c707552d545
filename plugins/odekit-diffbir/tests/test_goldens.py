"""Networks and samplers against what the official classes computed (tests/data/golden)."""

import json
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest
import torch
from odekit_diffbir import parity, parity_samplers

from odekit.testing.goldens import Golden, deviation

FOLDER = Path(__file__).parents[3] / "tests" / "data" / "golden"
GIVEN = ("seed_*", "*_head", "timesteps", "n_control")


def worst(file, compute, skip=()):
    """The largest deviation of any stored array, its name beside it."""
    golden = Golden.read(FOLDER / file)
    found = compute(golden)
    wanted = [name for name in golden.arrays if not any(fnmatchcase(name, p) for p in (*GIVEN, *skip))]
    assert len(wanted) >= 4
    errors = {name: deviation(np.asarray(found[name]), golden.arrays[name]) for name in wanted}
    return max((error, name) for name, error in errors.items())


@pytest.mark.parametrize("rule", "AB")
def test_controlnet_and_unet(rule):
    error, name = worst(f"diffbir_tiny_cldm.{rule}.npz", parity.tiny_cldm)
    assert error <= 1e-5, name


@pytest.mark.parametrize("rule", "AB")
def test_autoencoder(rule):
    error, name = worst(f"diffbir_tiny_vae.{rule}.npz", parity.tiny_vae)
    assert error <= 1e-5, name


@pytest.mark.parametrize("rule", "AB")
def test_autoencoder_in_float32_as_it_runs(rule):
    golden = Golden.read(FOLDER / f"diffbir_tiny_vae.{rule}.npz")
    vae = parity.filled(golden, "vae")
    image, latent = (torch.from_numpy(v) for v in golden.inputs((2, 3, 64, 96), (2, 4, 16, 24)))
    with torch.inference_mode():
        assert deviation(vae.encode(image).latent_dist.mean.numpy(), golden.arrays["mean"]) <= 1e-5
        assert deviation(vae.decode(latent).sample[..., ::2, ::2].numpy(), golden.arrays["decoded"]) <= 2e-5


def test_samplers():
    error, name = worst("diffbir_sampler.npz", parity_samplers.sampler, skip=("eps_edm_dpmpp_2m10_final",))
    assert error <= 2e-6, name


def test_schedules():
    error, name = worst("diffbir_schedule.json", parity_samplers.schedule)
    assert error <= 1e-7, name


def test_every_number_of_the_schedule_file_is_compared():
    stored = json.loads((FOLDER / "diffbir_schedule.json").read_text())
    assert {name.split("/")[0] for name in Golden.read(FOLDER / "diffbir_schedule.json").arrays} == set(stored)


@pytest.mark.long
@pytest.mark.parametrize("rule", "AB")
def test_swinir(rule):
    error, name = worst(f"diffbir_swinir_face.{rule}.npz", parity.swinir_face)
    assert error <= 2e-5, name
