"""The published shapes, randomly filled: stage 1, text encoder, ControlNet, UNet and autoencoder at 512 px.

1.7 G parameters: 3.5 GB of files and about 8 GB of memory, minutes on a slow core.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from odekit_diffbir.checkpoint import PREFIX
from odekit_diffbir.options import Diffbir
from odekit_diffbir.stage1 import FACE, swinir
from odekit_diffbir.upsampler import DiffbirUpsampler
from safetensors.torch import save_file

from odekit.core.image import Image
from odekit.testing import StandaloneTools

DATA = Path(__file__).parents[3] / "tests" / "data"
BLOCK = torch.randn(1 << 20, generator=torch.Generator().manual_seed(0)).half()


def filled(name: str, shape: list[int]) -> torch.Tensor:
    """Values with rule B's scales, repeated from one block of numbers."""
    count = math.prod(shape)
    values = BLOCK.repeat(-(-count // len(BLOCK)))[:count].view(shape)
    if len(shape) > 1:
        return values / math.sqrt(math.prod(shape[1:]))
    return values * 0.02 + (1 if name.endswith("weight") else 0)


def layout(network: str) -> dict[str, list[int]]:
    return json.loads((DATA / "keys" / f"diffbir_{network}_sd21.json").read_text())


def text_layout() -> dict[str, list[int]]:
    """OpenCLIP ViT-H/14's text encoder: 24 blocks of width 1024."""
    out = {
        "token_embedding.weight": [49408, 1024],
        "positional_embedding": [77, 1024],
        "ln_final.weight": [1024],
        "ln_final.bias": [1024],
    }
    for i in range(24):
        for name, shape in {
            "ln_1.weight": [1024], "ln_1.bias": [1024], "ln_2.weight": [1024], "ln_2.bias": [1024],
            "attn.in_proj_weight": [3072, 1024], "attn.in_proj_bias": [3072],
            "attn.out_proj.weight": [1024, 1024], "attn.out_proj.bias": [1024],
            "mlp.c_fc.weight": [4096, 1024], "mlp.c_fc.bias": [4096],
            "mlp.c_proj.weight": [1024, 4096], "mlp.c_proj.bias": [1024],
        }.items():  # fmt: skip
            out[f"transformer.resblocks.{i}.{name}"] = shape
    return out


@pytest.fixture
def published(tmp_path):
    """The three files, as large as the published ones but in float16."""
    state = swinir(FACE).state_dict()
    torch.save(
        {f"module.{n.replace('conv_first.', 'conv_first.1.')}": t for n, t in state.items()}, tmp_path / "swinir.ckpt"
    )
    save_file({n: filled(n, s) for n, s in layout("controlnet").items()}, tmp_path / "control.safetensors")
    base = {PREFIX["unet"] + n: filled(n, s) for n, s in layout("unet").items()}
    base |= {PREFIX["vae"] + n: filled(n, s) for n, s in layout("vae").items()}
    base |= {f"{PREFIX['text']}model.{n}": filled(n, s) for n, s in text_layout().items()}
    save_file(base, tmp_path / "base.safetensors")
    return {
        "stage1_weights": str(tmp_path / "swinir.ckpt"),
        "control_weights": str(tmp_path / "control.safetensors"),
        "base_weights": str(tmp_path / "base.safetensors"),
    }


@pytest.mark.long
def test_two_steps_at_512_px_with_networks_of_the_published_size(published, run):
    upsampler = DiffbirUpsampler(Diffbir(steps=2, scale=8.0, **published), StandaloneTools())
    with np.load(DATA / "faces" / "faces64_test.npz") as file:
        face = Image.from_uint8(file["images"][0])
    (out,) = run(upsampler, face)
    assert out.shape == (3, 512, 512)
    assert np.isfinite(out).all() and out.std() > 0.01
