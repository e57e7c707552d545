"""Networks and samplers against stored outputs of the official classes, and of k-diffusion."""

import json

import pytest
import torch
from goldens.cases import REPOSITORY, golden_params

from odekit.testing.goldens import Golden, relative_deviation

from .parity import GOLDENS, filled


@pytest.mark.parametrize(("case", "path"), golden_params(GOLDENS))
def test_golden_file(case, path):
    assert len(case.check(path)) >= 4


@pytest.mark.parametrize("rule", "AB")
def test_autoencoder_in_float32_as_it_runs(rule):
    golden = Golden.read(REPOSITORY / f"diffbir_tiny_vae.{rule}.npz")
    vae = filled(golden, "vae")
    image, latent = (torch.from_numpy(v) for v in golden.inputs((2, 3, 64, 96), (2, 4, 16, 24)))
    with torch.inference_mode():
        assert relative_deviation(vae.encode(image).latent_dist.mean.numpy(), golden.arrays["mean"]) <= 1e-5
        assert relative_deviation(vae.decode(latent).sample[..., ::2, ::2].numpy(), golden.arrays["decoded"]) <= 2e-5


def test_every_number_of_the_schedule_file_is_compared():
    stored = json.loads((REPOSITORY / "diffbir_schedule.json").read_text())
    assert {name.split("/")[0] for name in Golden.read(REPOSITORY / "diffbir_schedule.json").arrays} == set(stored)
