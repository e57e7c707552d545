"""Converts a checkpoint of another program to a prior folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.core.files import set_usual_rights, sha256
from odekit.errors import WeightsError
from odekit.parts.priors.convert.adm import convert_adm
from odekit.parts.priors.convert.ddim import convert_ddim
from odekit.parts.priors.convert.options import CheckpointKind, ConvertOptions
from odekit.parts.priors.convert.renaming import ConvertedNetwork
from odekit.plugins.weights.load import load_tensors
from odekit.plugins.weights.systems import system_from_names

if TYPE_CHECKING:
    from torch import Tensor

IDENTIFYING_TENSORS: dict[CheckpointKind, tuple[str, ...]] = {
    "adm": ("input_blocks.0.0.weight", "time_embed.0.weight", "middle_block.1.qkv.weight"),
    "ddim": ("conv_in.weight", "temb.dense.0.weight", "down.0.block.0.conv1.weight"),
}
"""Tensors that identify the program of a state dict."""


def convert_checkpoint(
    path: Path | str, out_folder: Path | str, kind: CheckpointKind | None = None, options: ConvertOptions | None = None
) -> Path:
    """Write the prior folder of a checkpoint: config.json, diffusion_pytorch_model.safetensors and odekit.json.

    Args:
        path: a guided-diffusion ADM or a DDIM checkpoint (`.pt`, `.pth`, `.ckpt`, `.bin` or `.safetensors`); from a
            DDIM training checkpoint the EMA weights are used.
        out_folder: a folder that does not exist, or is empty.
        kind: `adm` or `ddim`; detected from the tensors if None.
        options: properties that the tensors do not contain.

    Returns:
        The folder.

    Raises:
        WeightsError: the file cannot be read, detected or converted, or the folder cannot be written.
    """
    path, out, options = Path(path), Path(out_folder), options or ConvertOptions()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise WeightsError(f"{out}: already exists; name a new folder")
    if options.image_size is None:
        raise WeightsError(f"{path}: the image size cannot be read from weights; give image_size")
    tensors = load_tensors(path)
    try:
        kind = kind or detect_kind(tensors)
        converted = to_diffusers(tensors, kind, options)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    check_converted(converted, path)
    _write(out, converted, _metadata(converted, path, kind, options), options.half)
    return out


def detect_kind(tensors: Mapping[str, Tensor]) -> CheckpointKind:
    """The program that a state dict belongs to.

    Raises:
        WeightsError: none of those that can be converted.
    """
    for kind, names in IDENTIFYING_TENSORS.items():
        if all(name in tensors for name in names):
            return kind
    system = system_from_names(tensors)
    hint = f"it looks like {system}'s" if system else f"first tensor: {next(iter(tensors))}"
    raise WeightsError(f"neither an ADM nor a DDIM network ({hint}); a diffusers folder needs no conversion")


def to_diffusers(tensors: Mapping[str, Tensor], kind: CheckpointKind, options: ConvertOptions) -> ConvertedNetwork:
    """Convert a state dict to a diffusers network; `options.image_size` is required.

    Raises:
        WeightsError: diffusers does not support the network, or a required option is missing.
    """
    if options.image_size is None:
        raise WeightsError("the image size cannot be read from weights; give image_size")
    if kind == "ddim":
        return convert_ddim(tensors, image_size=options.image_size)
    return convert_adm(
        tensors,
        image_size=options.image_size,
        num_heads=options.num_heads,
        num_head_channels=options.num_head_channels,
        qkv_order=options.qkv_order,
    )


def check_converted(converted: ConvertedNetwork, where: object) -> None:
    """Check every tensor name and shape against the network of the configuration, built without memory.

    Raises:
        WeightsError: the tensors do not match the network that diffusers builds from the configuration.
    """
    import torch
    from diffusers.models.unets.unet_2d import UNet2DModel

    from odekit.plugins.weights.fit import fit

    with torch.device("meta"):
        network = UNet2DModel.from_config(converted.config)
    fit(network, {name: tensor.to("meta") for name, tensor in converted.tensors.items()}, where)


def _metadata(converted: ConvertedNetwork, path: Path, kind: CheckpointKind, options: ConvertOptions) -> dict[str, Any]:
    side = options.image_size
    facts: dict[str, Any] = {
        "shape": [3, side, side],
        "prediction": options.prediction,
        "betas": options.betas.model_dump(exclude_none=True),
        "range": [-1, 1],
        "about": {"converted_from": path.name, "sha256": sha256(path), "kind": kind},
    }
    return facts | ({} if converted.heads is None else {"heads": converted.heads})


def _write(out: Path, converted: ConvertedNetwork, metadata: dict[str, Any], half: bool) -> None:
    import torch
    from safetensors.torch import save_file

    dtype = torch.float16 if half else None
    tensors = {name: tensor.to(dtype or tensor.dtype).contiguous() for name, tensor in converted.tensors.items()}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise WeightsError(f"{out}: cannot be written ({error.strerror}); name another folder") from error
    try:
        for name, content in (("config.json", converted.config), ("odekit.json", metadata)):
            (staging / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        save_file(tensors, staging / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
        set_usual_rights(staging / "diffusion_pytorch_model.safetensors")
        staging.chmod(0o755)
        staging.replace(out)
    except OSError as error:
        raise WeightsError(f"{out}: cannot be written ({error.strerror}); free some space or name another") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
