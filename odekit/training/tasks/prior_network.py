"""The network of a prior, and the folder of its weights: written after training, read for a warm start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.errors import WeightsError
from odekit.parts.priors.network import set_heads
from odekit.training.options.base import PriorOptions
from odekit.training.tasks import networks

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS = "diffusion_pytorch_model.safetensors"


def build(options: PriorOptions) -> nn.Module:
    """A new `UNet2DModel` of the shape in `options.network`, float32 on the CPU."""
    from diffusers import UNet2DModel

    shape = options.network
    down = ["AttnDownBlock2D" if a else "DownBlock2D" for a in shape.attention]
    up = ["AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(shape.attention)]
    network: nn.Module = UNet2DModel(
        sample_size=options.side // shape.patch,
        in_channels=3 * shape.patch**2,
        out_channels=3 * shape.patch**2,
        block_out_channels=shape.channels,
        down_block_types=tuple(down),
        up_block_types=tuple(up),
        layers_per_block=shape.layers,
        attention_head_dim=shape.head if shape.heads is None else shape.channels[0] // shape.heads,
        norm_num_groups=shape.groups,
        resnet_time_scale_shift="scale_shift",
        dropout=shape.dropout,
    )
    if shape.heads is not None:
        set_heads(network, shape.heads, Path("network"))
    return network


def predict(network: nn.Module, x: Tensor, t: Tensor, patch: int) -> Tensor:
    """The network's output (N, 3, S, S) for noisy pictures x (N, 3, S, S) at timesteps t (N,)."""
    from torch.nn import functional

    unshuffled = functional.pixel_unshuffle(x, patch) if patch > 1 else x
    out: Tensor = network(unshuffled, t, return_dict=False)[0]
    return functional.pixel_shuffle(out, patch) if patch > 1 else out


def describe(options: PriorOptions, dtype: str) -> dict[str, Any]:
    """The content of `odekit.json`, which describes the weights."""
    d = options.diffusion
    betas: dict[str, Any] = {"kind": d.kind, "steps": d.timesteps}
    if d.kind != "cosine":
        betas = {"kind": d.kind, "start": d.start, "end": d.end, "steps": d.timesteps}
    side, heads = options.side, options.network.heads
    return ({} if heads is None else {"heads": heads}) | {
        "shape": [3, side, side],
        "patch": options.network.patch,
        "prediction": d.prediction,
        "betas": betas,
        "range": [-1, 1],
        "dtype": dtype,
    }


def write(folder: Path, network: nn.Module, options: PriorOptions, facts: Mapping[str, Any]) -> None:
    """Write a prior folder: float16 weights, config.json, odekit.json and train.json (`facts`).

    An existing folder is replaced as a whole.
    """
    config = json.loads(network.to_json_string())  # type: ignore[operator]
    config["dropout"] = 0.0
    documents = {"config.json": config, "odekit.json": describe(options, "float16"), "train.json": facts}
    networks.write(folder, network, documents, WEIGHTS)


def warm_start(network: nn.Module, folder: Path, options: PriorOptions) -> dict[str, Any]:
    """Load the weights of a prior folder into `network`; returns its train.json ({} if it has none).

    Raises:
        WeightsError: the folder has no weights, or its shape, patch, prediction or betas differ from the options.
    """
    from safetensors.torch import load_file

    weights, description = folder / WEIGHTS, folder / "odekit.json"
    if not weights.is_file() or not description.is_file():
        raise WeightsError(f"{folder}: no prior to start from (needs {WEIGHTS} and odekit.json)")
    stored, expected = json.loads(description.read_text(encoding="utf-8")), describe(options, "float16")
    for key in ("shape", "patch", "prediction", "betas", "heads"):
        if stored.get(key) != expected.get(key):
            raise WeightsError(f"{folder}: {key} is {stored.get(key)}, but {expected.get(key)} in the configuration")
    try:
        network.load_state_dict(load_file(weights))
    except RuntimeError as error:
        raise WeightsError(f"{folder}: weights of another network shape than `network` in the configuration") from error
    return networks.read_facts(folder)
