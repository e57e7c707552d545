"""Any resolution of a prior works: 256 px with a small random network in a folder, and with the exact mixture."""

import resource
import sys

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, UNet2DModel

from odekit import Chain, Image

SIDE = 256


@pytest.fixture(scope="module")
def network_folder(tmp_path_factory):
    """The layout of google/ddpm-ema-celebahq-256 (model and scheduler files side by side), with few channels."""
    folder = tmp_path_factory.mktemp("ddpm-256")
    torch.manual_seed(0)
    UNet2DModel(
        sample_size=SIDE, block_out_channels=(8, 8, 16), layers_per_block=1, norm_num_groups=4, attention_head_dim=8,
        down_block_types=("DownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "UpBlock2D"),
    ).save_pretrained(folder)  # fmt: skip
    DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear").save_pretrained(folder)
    return folder


def peak():
    """Peak resident memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


@pytest.mark.parametrize("kind", ["network", "mixture"])
def test_256_px_are_restored_and_come_back_exactly_when_left_alone(kind, network_folder, record_property):
    prior = f"{{use: diffusers, path: {network_folder}}}" if kind == "network" else "{use: mixture, side: 256}"
    settings = [f"priors.face={prior}", "restore.inverter.steps=6"]
    few = "restore.enhancer={use: langevin, levels: [0, 3], iterations: 2}"
    pixels = np.random.Generator(np.random.Philox(0)).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    face = Image.from_uint8(pixels)
    before = peak()

    chain = Chain.load("odedit-exact", [*settings, few])
    done = chain.run([face], device="cpu", precision="float32")[0]
    assert done.image.pixels.shape == (3, SIDE, SIDE)
    assert done.record["stages"][0]["calls"] == chain.plan().calls == 11 + 4 + 2
    assert not np.array_equal(done.image.to_uint8(), pixels)

    same = Chain.load("odedit-exact", [*settings, "restore.enhancer=none"]).run([face], device="cpu")[0]
    assert np.array_equal(same.image.to_uint8(), pixels)
    record_property("calls", chain.plan().calls)
    record_property("memory_gb", peak() - before)
    assert peak() - before < 1.0
