"""Golden networks of the core: ADM and DDIM in small, through the converter and a folder, as users bring them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from goldens import layout
from odekit.parts.priors.convert import ConvertOptions, convert_checkpoint
from odekit.parts.priors.network import DiffusersPrior
from odekit.testing.goldens import Golden, statistics

SHAPE = (2, 3, 32, 32)
"""Of the goldens' inputs."""


def small(golden: Golden, network: str, **options: Any) -> DiffusersPrior:
    """The network `adm_small` or `ddim_small` with a golden's weights, as a prior for pictures of 32 px."""
    from safetensors.torch import save_file

    tensors = {name: torch.from_numpy(value) for name, value in golden.fill(layout(f"{network}_golden")).items()}
    with tempfile.TemporaryDirectory() as place:
        save_file(tensors, Path(place) / "small.safetensors")
        settings = ConvertOptions(image_size=SHAPE[2], **options)
        return DiffusersPrior.load(
            convert_checkpoint(Path(place) / "small.safetensors", Path(place) / "out", options=settings)
        )


def output(golden: Golden, prior: DiffusersPrior) -> Mapping[str, NDArray[Any]]:
    """What the network says of the golden's input at the golden's timesteps, and its statistics."""
    x, t = torch.from_numpy(golden.input(SHAPE)), torch.from_numpy(golden.arrays["timesteps"])
    with torch.inference_mode():
        # Row by row, because a prior's network is asked about one timestep at a time.
        rows = [prior.network(x[i : i + 1], t[i : i + 1], return_dict=False)[0] for i in range(len(x))]
    out = torch.cat(rows).numpy()
    return {"output": out, "output_stats": statistics(out)}


def adm(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """guided-diffusion's network (legacy order of queries, keys and values)."""
    return output(golden, small(golden, "adm_small", num_head_channels=16))


def adm_newattn(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """guided-diffusion's network with `use_new_attention_order`."""
    return output(golden, small(golden, "adm_small", num_head_channels=16, qkv_order="new"))


def ddim(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """The DDIM programs' network."""
    return output(golden, small(golden, "ddim_small"))
