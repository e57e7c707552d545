"""From a checkpoint of another program to a folder that loads as a prior."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.core.files import sha256
from odekit.errors import WeightsError
from odekit.parts.priors.convert.adm import convert_adm
from odekit.parts.priors.convert.ddim import convert_ddim
from odekit.parts.priors.convert.options import ConvertOptions, Kind
from odekit.parts.priors.convert.renaming import Converted
from odekit.plugins.weights.load import load_tensors
from odekit.plugins.weights.systems import known_system

if TYPE_CHECKING:
    from torch import Tensor

MARKS: dict[Kind, tuple[str, ...]] = {
    "adm": ("input_blocks.0.0.weight", "time_embed.0.weight", "middle_block.1.qkv.weight"),
    "ddim": ("conv_in.weight", "temb.dense.0.weight", "down.0.block.0.conv1.weight"),
}
"""Tensors by which a state dict is recognised."""


def convert(
    path: Path | str, out_folder: Path | str, kind: Kind | None = None, options: ConvertOptions | None = None
) -> Path:
    """Write the prior folder of a checkpoint: config.json, diffusion_pytorch_model.safetensors and odekit.json.

    Args:
        path: a guided-diffusion ADM or a DDIM checkpoint (`.pt`, `.pth`, `.ckpt`, `.bin` or `.safetensors`); of a DDIM
            training file the EMA is taken.
        out_folder: must not exist yet, or be empty.
        kind: `adm` or `ddim`; recognised by its tensors where None.
        options: what tensors do not show.

    Returns:
        The folder.

    Raises:
        WeightsError: the file cannot be read, recognised or expressed, or the folder cannot be written.
    """
    path, out, options = Path(path), Path(out_folder), options or ConvertOptions()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise WeightsError(f"{out}: is there already; name a new folder")
    if options.image_size is None:
        raise WeightsError(f"{path}: the size of its pictures cannot be read from weights; give image_size")
    tensors = load_tensors(path)
    try:
        kind = kind or detect(tensors)
        made = to_diffusers(tensors, kind, options)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    check(made, path)
    _write(out, made, _metadata(made, path, kind, options), options.half)
    return out


def detect(tensors: Mapping[str, Tensor]) -> Kind:
    """Which program's network this is.

    Raises:
        WeightsError: none that can be converted.
    """
    for kind, marks in MARKS.items():
        if all(mark in tensors for mark in marks):
            return kind
    found = known_system(tensors)
    looks = f"it looks like {found}'s" if found else f"first tensor: {next(iter(tensors))}"
    raise WeightsError(f"neither an ADM nor a DDIM network ({looks}); a diffusers folder needs no conversion")


def to_diffusers(tensors: Mapping[str, Tensor], kind: Kind, options: ConvertOptions) -> Converted:
    """The network in diffusers' terms; `options.image_size` must be given.

    Raises:
        WeightsError: it cannot be expressed, or a needed option is missing.
    """
    if options.image_size is None:
        raise WeightsError("the size of its pictures cannot be read from weights; give image_size")
    if kind == "ddim":
        return convert_ddim(tensors, image_size=options.image_size)
    return convert_adm(
        tensors,
        image_size=options.image_size,
        num_heads=options.num_heads,
        num_head_channels=options.num_head_channels,
        qkv_order=options.qkv_order,
    )


def check(made: Converted, where: object) -> None:
    """Build the network without memory and hold every name and shape against it.

    Raises:
        WeightsError: diffusers makes another network of this configuration than the tensors are of.
    """
    import torch
    from diffusers.models.unets.unet_2d import UNet2DModel

    from odekit.plugins.weights.fit import fit

    with torch.device("meta"):
        network = UNet2DModel.from_config(made.config)
    fit(network, {name: tensor.to("meta") for name, tensor in made.tensors.items()}, where)


def _metadata(made: Converted, path: Path, kind: Kind, options: ConvertOptions) -> dict[str, Any]:
    side = options.image_size
    facts: dict[str, Any] = {
        "shape": [3, side, side],
        "prediction": options.prediction,
        "betas": options.betas.model_dump(exclude_none=True),
        "range": [-1, 1],
        "about": {"converted_from": path.name, "sha256": sha256(path), "kind": kind},
    }
    return facts | ({} if made.heads is None else {"heads": made.heads})


def _write(out: Path, made: Converted, metadata: dict[str, Any], half: bool) -> None:
    import torch
    from safetensors.torch import save_file

    dtype = torch.float16 if half else None
    tensors = {name: tensor.to(dtype or tensor.dtype).contiguous() for name, tensor in made.tensors.items()}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise WeightsError(f"{out}: cannot be written ({error.strerror}); name another folder") from error
    try:
        for name, content in (("config.json", made.config), ("odekit.json", metadata)):
            (scratch / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        save_file(tensors, scratch / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
        scratch.chmod(0o755)
        scratch.replace(out)
    except OSError as error:
        raise WeightsError(f"{out}: cannot be written ({error.strerror}); free some space or name another") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
