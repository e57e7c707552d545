"""Reads the description of a prior folder, without torch.

A prior is a diffusers `UNet2DModel` folder. Three files describe it; where they overlap, later ones take precedence:

1. `config.json`: the network (diffusers).
2. `scheduler_config.json` beside it, or `scheduler/scheduler_config.json`: noise levels, kind of prediction.
3. `odekit.json` at the root: odekit's own, see `odekit.parts.priors.metadata.Metadata`.

Without 2 and 3 the prior is read as a DDPM: epsilon prediction, linear betas 1e-4 .. 0.02 in 1,000 steps
(arXiv:2006.11239, section 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odekit.core.files import read_json_object
from odekit.core.schedule import NoiseSchedule
from odekit.errors import WeightsError
from odekit.parts.priors.metadata import (
    METADATA_FILE,
    Metadata,
    Prediction,
    noise_schedule,
    prediction_type,
    read_metadata,
    read_scheduler,
)

WEIGHT_FILES = (
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.bin",
)


MAX_LAYERS, MAX_BLOCKS, MAX_WIDTH, MAX_SIDE = 32, 16, 16_384, 4096
"""Largest numbers of a network configuration that are read; published networks stay below a quarter of each."""


@dataclass(frozen=True)
class PriorSpec:
    """Description of a prior folder."""

    shape: tuple[int, int, int]
    """(3, H, W) of the images."""
    schedule: NoiseSchedule
    patch: int
    """Factor of the pixel-unshuffle before the network, and of the pixel-shuffle after it."""
    prediction: Prediction
    config: Mapping[str, Any]
    """The network configuration of diffusers."""
    weights: Path
    """The weights file."""
    learned_sigma: bool = False
    """The network has twice the output channels: the first half is the prediction, the rest a variance (unused)."""
    heads: int | None = None
    """Number of attention heads at every width; None: as in `config`."""
    about: Mapping[str, Any] | None = None
    """Where the weights come from."""


def read_prior_folder(folder: Path) -> PriorSpec:
    """Read a prior folder: model files at its root, or a pipeline with `unet/` and `scheduler/`.

    Raises:
        WeightsError: no folder; no config.json, or not of a UNet2DModel; unknown metadata; a network that is not an
            image prior; no weights file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise WeightsError(f"{folder}: no such weights folder; check the path")
    unet = _unet_folder(folder)
    config = _network_config(unet / "config.json")
    meta = read_metadata(folder, unet)
    return _spec(config, read_scheduler(folder, unet), meta, folder, unet / "config.json", _weights_file(unet))


def spec_of_configs(config: Mapping[str, Any], scheduler: Mapping[str, Any], weights: Path) -> PriorSpec:
    """The description of a network that is in memory, from its configuration and its scheduler's.

    Raises:
        WeightsError: a network that is not an image prior, or an unsupported schedule.
    """
    where = weights.parent
    _check_network(config, where)
    return _spec(config, scheduler, Metadata(), where, where, weights)


def _spec(
    config: Mapping[str, Any], scheduler: Mapping[str, Any], meta: Metadata, folder: Path, where: Path, weights: Path
) -> PriorSpec:
    """The description of a prior; `folder` and `where` (of the configuration) are for messages."""
    shape, learned = _shape(config, meta, where)
    return PriorSpec(
        shape=shape,
        schedule=noise_schedule(meta, scheduler, folder),
        patch=meta.patch,
        prediction=prediction_type(meta, scheduler, folder),
        config=config,
        weights=weights,
        learned_sigma=learned,
        heads=meta.heads,
        about=meta.about,
    )


def _unet_folder(folder: Path) -> Path:
    for candidate in (folder, folder / "unet"):
        if (candidate / "config.json").is_file():
            return candidate
    raise WeightsError(
        f"{folder}: no config.json here or in unet/; a prior is a diffusers UNet2DModel folder "
        "(`odekit weights convert` makes one from other files)"
    )


def _weights_file(unet: Path) -> Path:
    for name in WEIGHT_FILES:
        if (unet / name).is_file():
            return unet / name
    raise WeightsError(f"{unet}: no weights file; expected {WEIGHT_FILES[0]} (or {WEIGHT_FILES[-1]})")


def _network_config(path: Path) -> dict[str, Any]:
    config = read_json_object(path)
    _check_network(config, path)
    return config


def _check_network(config: Mapping[str, Any], path: Path) -> None:
    """Raise WeightsError for a network that is no unconditional UNet2DModel."""
    name = config.get("_class_name")
    if name != "UNet2DModel":
        raise WeightsError(f"{path}: describes {name or 'no network'}; a prior must be a UNet2DModel")
    unsupported = {
        "time_embedding_type": config.get("time_embedding_type", "positional") != "positional",
        "class_embed_type": config.get("class_embed_type") is not None,
        "num_class_embeds": config.get("num_class_embeds") is not None,
        "center_input_sample": bool(config.get("center_input_sample", False)),
    }
    for key, present in unsupported.items():
        if present:
            raise WeightsError(
                f"{path}: {key} is {config[key]!r}; a prior must be unconditional, with positional timesteps and data "
                "in [-1, 1]"
            )
    _check_size(config, path)


def _check_size(config: Mapping[str, Any], path: Path) -> None:
    """Refuse a network that no weights fill: building it would take hours. Raises WeightsError."""
    blocks = config.get("block_out_channels")
    if isinstance(blocks, list) and len(blocks) > MAX_BLOCKS:
        raise WeightsError(f"{path}: it has {len(blocks):,} blocks; priors of at most {MAX_BLOCKS} are read")
    sizes = {"layers_per_block": MAX_LAYERS, "block_out_channels": MAX_WIDTH, "sample_size": MAX_SIDE}
    for key, largest in sizes.items():
        value = config.get(key)
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, (int, float)) and not number <= largest:
                raise WeightsError(f"{path}: {key} is {number}; priors of at most {largest} are read")


def _shape(config: Mapping[str, Any], meta: Metadata, where: Path) -> tuple[tuple[int, int, int], bool]:
    """(3, H, W) of the images, and whether the network also predicts a variance."""
    inputs, outputs = int(config.get("in_channels", 3)), int(config.get("out_channels", 3))
    channels = 3 * meta.patch**2
    if inputs != channels or outputs not in (channels, 2 * channels):
        raise WeightsError(
            f"{where}: in_channels {inputs}, out_channels {outputs}, patch {meta.patch}; a prior of RGB images has "
            f"in_channels {channels} and out_channels {channels} or {2 * channels}"
        )
    size = config.get("sample_size")
    height, width = size if isinstance(size, list) else (size, size)
    configured = None if height is None or width is None else (3, int(height) * meta.patch, int(width) * meta.patch)
    shape = meta.shape or configured
    if shape is None or shape[0] != 3 or (configured and shape != configured):
        raise WeightsError(
            f"{where}: sample_size {size} times patch {meta.patch} and the shape {meta.shape} of {METADATA_FILE} "
            "must agree "
            "on one image size (3, H, W)"
        )
    return shape, outputs == 2 * channels
