"""The network of a prior, the folder it is written to, and reading such a folder back for a warm start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.errors import WeightsError
from odekit.training import run_folder as folders
from odekit.training.options.base import PriorOptions

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS = "diffusion_pytorch_model.safetensors"


def build(options: PriorOptions) -> nn.Module:
    """A fresh `UNet2DModel` of this shape, float32 on the CPU."""
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
        attention_head_dim=shape.head,
        norm_num_groups=shape.groups,
        resnet_time_scale_shift="scale_shift",
        dropout=shape.dropout,
    )
    return network


def predict(network: nn.Module, x: Tensor, t: Tensor, patch: int) -> Tensor:
    """The network's output for noisy pictures x (N, 3, S, S) at timesteps t (N,), as (N, 3, S, S)."""
    from torch.nn import functional

    inside = functional.pixel_unshuffle(x, patch) if patch > 1 else x
    out: Tensor = network(inside, t, return_dict=False)[0]
    return functional.pixel_shuffle(out, patch) if patch > 1 else out


def describe(options: PriorOptions, dtype: str) -> dict[str, Any]:
    """What `odekit.json` says beside the weights."""
    d = options.diffusion
    betas: dict[str, Any] = {"kind": d.kind, "steps": d.timesteps}
    if d.kind != "cosine":
        betas = {"kind": d.kind, "start": d.start, "end": d.end, "steps": d.timesteps}
    side = options.side
    return {
        "shape": [3, side, side],
        "patch": options.network.patch,
        "prediction": d.prediction,
        "betas": betas,
        "range": [-1, 1],
        "dtype": dtype,
    }


def write(folder: Path, network: nn.Module, options: PriorOptions, facts: Mapping[str, Any]) -> None:
    """Write a prior folder (float16 weights, config.json, odekit.json, train.json); an old one is replaced whole."""
    import torch
    from safetensors.torch import save_file

    fresh = folders.draft(folder)
    state = {k: v.detach().to("cpu", torch.float16).contiguous() for k, v in network.state_dict().items()}
    save_file(state, fresh / WEIGHTS)
    network.save_config(fresh)  # type: ignore[operator]
    config = json.loads((fresh / "config.json").read_text(encoding="utf-8"))
    config["dropout"] = 0.0
    _json(fresh / "config.json", config)
    _json(fresh / "odekit.json", describe(options, "float16"))
    _json(fresh / "train.json", facts)
    folders.publish(fresh, folder)


def warm_start(network: nn.Module, folder: Path, options: PriorOptions) -> dict[str, Any]:
    """Load the weights of a prior folder into `network`; returns its train.json ({} where it has none).

    Raises:
        WeightsError: no such folder, or weights of another network or another kind of prediction.
    """
    from safetensors.torch import load_file

    weights, about = folder / WEIGHTS, folder / "odekit.json"
    if not weights.is_file() or not about.is_file():
        raise WeightsError(f"{folder}: no prior to start from (needs {WEIGHTS} and odekit.json)")
    theirs, ours = json.loads(about.read_text(encoding="utf-8")), describe(options, "float16")
    for key in ("shape", "patch", "prediction", "betas"):
        if theirs.get(key) != ours[key]:
            raise WeightsError(f"{folder}: {key} is {theirs.get(key)}, the configuration says {ours[key]}")
    try:
        network.load_state_dict(load_file(weights))
    except RuntimeError as error:
        raise WeightsError(f"{folder}: weights of another network shape than `network` in the configuration") from error
    facts = folder / "train.json"
    return dict(json.loads(facts.read_text(encoding="utf-8"))) if facts.is_file() else {}


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
