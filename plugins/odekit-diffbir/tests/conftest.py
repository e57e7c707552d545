"""Tiny weights in official layouts, randomly filled, and the upsampler made from them."""

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from odekit_diffbir.checkpoint import PREFIX, layout
from odekit_diffbir.names import Names
from odekit_diffbir.networks import build
from odekit_diffbir.options import Diffbir
from odekit_diffbir.shapes import TINY
from safetensors.torch import save_file

from odekit.core.image import Image
from odekit.core.noise import ImageNoise, noise_generator
from odekit.testing import StandaloneTools
from odekit.testing.goldens import synthetic_arrays

TINY_SWINIR = {
    "img_size": 64, "embed_dim": 12, "depths": [2], "num_heads": [2], "window_size": 8, "mlp_ratio": 2.0,
    "upscale": 8, "start_unshuffle": 8, "upsampler": "nearest+conv", "resi_connection": "1conv",
}  # fmt: skip
BLOCKS = 3
WORDS = 49408


def official(network: str) -> dict[str, torch.Tensor]:
    """A tiny network of stage 2, filled, by its official names."""
    shapes = layout(build(network, TINY), Names(network, TINY), network)
    return {name: torch.from_numpy(value) for name, value in synthetic_arrays(shapes, seed=1, rule="B").items()}


def text_encoder() -> dict[str, torch.Tensor]:
    """A small OpenCLIP text encoder, by its official names."""
    width = TINY.context
    shapes = {
        "token_embedding.weight": (WORDS, width),
        "positional_embedding": (77, width),
        "ln_final.weight": (width,),
        "ln_final.bias": (width,),
        "text_projection": (width, width),
        "logit_scale": (),
    }
    for i in range(BLOCKS):
        place = f"transformer.resblocks.{i}."
        for name, inner, outer in (
            ("attn.in_proj", width, 3 * width), ("attn.out_proj", width, width),
            ("mlp.c_fc", width, 4 * width), ("mlp.c_proj", 4 * width, width),
        ):  # fmt: skip
            joint = name.endswith("in_proj")
            shapes[place + name + ("_weight" if joint else ".weight")] = (outer, inner)
            shapes[place + name + ("_bias" if joint else ".bias")] = (outer,)
        for name in ("ln_1", "ln_2"):
            shapes[f"{place}{name}.weight"] = shapes[f"{place}{name}.bias"] = (width,)
    filled = {
        name: torch.from_numpy(np.asarray(value)) for name, value in synthetic_arrays(shapes, seed=2, rule="B").items()
    }
    # Rule B scales a table by its width, which leaves words too faint to tell apart.
    filled["token_embedding.weight"] *= 8
    return filled


def swinir_file() -> dict[str, torch.Tensor]:
    """A small SwinIR with the names of the published files, including derived tensors."""
    from odekit_diffbir.stage1 import swinir

    torch.manual_seed(0)
    state = swinir(TINY_SWINIR).state_dict()
    return {"module." + name.replace("conv_first.", "conv_first.1."): t.clone() for name, t in state.items()}


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files for the options `stage1_weights`, `control_weights`, `base_weights`."""
    folder = tmp_path_factory.mktemp("diffbir-weights")
    base = {PREFIX[part] + name: tensor for part in ("unet", "vae") for name, tensor in official(part).items()}
    base |= {f"{PREFIX['text']}model.{name}": tensor for name, tensor in text_encoder().items()}
    torch.save(swinir_file(), folder / "swinir.ckpt")
    save_file(official("controlnet"), folder / "control.safetensors")
    save_file(base, folder / "base.safetensors")
    return {
        "stage1_weights": str(folder / "swinir.ckpt"),
        "control_weights": str(folder / "control.safetensors"),
        "base_weights": str(folder / "base.safetensors"),
    }


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder of prompt embeddings during the tests."""
    return tmp_path_factory.mktemp("odekit-home")


@pytest.fixture(autouse=True)
def temporary_home(home, monkeypatch):
    monkeypatch.setenv("ODEKIT_HOME", str(home))


QUICK = {"size": "tiny", "steps": 2, "scale": 1.0}


@pytest.fixture(scope="session")
def make(weights):
    """The upsampler with tiny networks; options as in a chain. Networks in float32 are read once for all tests."""
    from odekit_diffbir import network_files, upsampler

    patch = pytest.MonkeyPatch()
    load = network_files.NetworkFiles._load
    kept = {}

    def once(self, network, file, precision):
        if str(file) not in weights.values() or precision != "float32":
            return load(self, network, file, precision)
        if (network, file) not in kept:
            kept[network, file] = load(self, network, file, precision)
        return kept[network, file]

    def made(precision="float32", **options):
        return upsampler.DiffbirUpsampler(Diffbir(**(QUICK | weights | options)), StandaloneTools(precision))

    patch.setattr(network_files.NetworkFiles, "_load", once)
    yield made
    patch.undo()


def photo(height: int = 32, width: int = 32, seed: int = 0) -> Image:
    """A smooth random picture."""
    draws = np.random.Generator(np.random.Philox(seed)).random((3, 4, 4), dtype=np.float32)
    planes = torch.nn.functional.interpolate(torch.from_numpy(draws)[None], size=(height, width), mode="bicubic")
    return Image(planes[0].clamp(0, 1).numpy())


@pytest.fixture(scope="session")
def picture():
    return photo


@pytest.fixture(scope="session")
def run():
    """The results of an upsampler on pictures, with each picture's own noise."""

    def call(upsampler, *images, seed=0):
        return [i.pixels for i in upsampler.upsample(images, [noise(image, seed) for image in images])]

    return call


def noise(image: Image, seed: int = 0) -> ImageNoise:
    return ImageNoise(noise_generator(seed, image.origin, "test"))


@pytest.fixture(scope="session")
def parts():
    """The functions that create tiny weights, for tests that damage them."""
    return {"swinir": swinir_file, "text": text_encoder} | {
        part: functools.partial(official, part) for part in ("controlnet", "unet", "vae")
    }
