"""Weights from disk, safely: safetensors, or `torch.load(weights_only=True)`; every failure is one line.

Nothing here runs code from a weights file. Tensors come back on the CPU with the types they were stored in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.errors import WeightsError
from odekit.systems import known_system

if TYPE_CHECKING:
    from torch import Tensor, nn

PICKLED = (".bin", ".pt", ".pth", ".ckpt")
WRAPPERS = ("params_ema", "ema_state_dict", "state_dict", "model_state_dict", "params", "ema", "model")
"""Keys under which published files keep their tensors, best first."""


def sha256(path: Path, chunk: int = 1 << 20) -> str:
    """The SHA-256 of a file as hexadecimal digits, read in chunks of `chunk` bytes.

    Raises:
        WeightsError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(chunk):
                digest.update(block)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
    return digest.hexdigest()


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name, on the CPU, finite.

    Files are memory-mapped, except those of torch before 1.6: who wants tensors that outlive an overwritten file copies
    them. Of `.bin`, `.pt`, `.pth` and `.ckpt` files the usual wrappers are taken off (see `unwrap`) and a `module.`
    prefix is removed.

    Raises:
        WeightsError: the file is missing, truncated, of another format, a pickle that holds more than weights, or has
            values that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such weights file; check the path or fetch the weights again")
    if path.suffix == ".safetensors":
        tensors = _safetensors(path)
    elif path.suffix in PICKLED:
        tensors = unwrap(_pickled(path), path)
    else:
        raise WeightsError(f"{path}: weights are read from .safetensors, {', '.join(PICKLED)} files only")
    check_finite(tensors, path)
    return tensors


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: truncated or no safetensors file ({_brief(error)}); fetch it again") from error


def _pickled(path: Path) -> Any:
    from pickle import UnpicklingError
    from zipfile import is_zipfile

    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    except UnpicklingError as error:
        # Torch says what it refused in a long text; damaged files end in other words.
        if any(sign in str(error) for sign in ("Unsupported global", "Unsupported class", "reduce", "Can only build")):
            raise WeightsError(
                f"{path}: refused, because this pickle holds more than weights and could run code; "
                "ask its author for safetensors"
            ) from error
        raise WeightsError(f"{path}: truncated or no weights file ({_brief(error)}); fetch it again") from error
    except Exception as error:
        raise WeightsError(f"{path}: truncated or no weights file ({_brief(error)}); fetch it again") from error


def unwrap(content: Any, where: object) -> dict[str, Tensor]:
    """The tensors inside what a training program saved.

    Accepted: a plain name-to-tensor mapping; one of `WRAPPERS` around it; a list of a training run
    `[model, optimiser, epoch, step, EMA]` (the DDIM programs), of which the EMA is taken, else the model. A `module.`
    prefix on every name is removed.

    Raises:
        WeightsError: none of these.
    """
    if isinstance(content, list | tuple) and content:
        last = content[-1]
        content = last if len(content) > 1 and _holds_tensors(last) else content[0]
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not _holds_tensors(content):
        raise WeightsError(f"{where}: holds no named tensors; give the file with the network's state dict")
    tensors = dict(content)
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors


def _holds_tensors(content: object) -> bool:
    import torch

    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in content.items())
    )


def check_finite(tensors: Mapping[str, Tensor], where: object) -> None:
    """Refuse tensors with NaN or infinite values.

    Raises:
        WeightsError: naming the first such tensor and their count.
    """
    bad = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not _finite(tensor)]
    if bad:
        raise WeightsError(
            f"{where}: {bad[0]} holds NaN or infinite values ({len(bad)} of {len(tensors)} tensors do); "
            "the file is damaged or its training failed: fetch or train it again"
        )


def _finite(tensor: Tensor) -> bool:
    # A sum is not finite if a term is not: one pass without a copy; only a suspect is looked at again.
    import torch

    total = tensor.sum(dtype=torch.float64)
    return bool(total.isfinite()) or bool(tensor.isfinite().all())


def fit(model: nn.Module, tensors: Mapping[str, Tensor], where: object) -> None:
    """Give the tensors to the model, every one and nothing else.

    The model takes the tensors themselves (their type and device), so it may have been built on the meta device.

    Raises:
        WeightsError: naming the first missing, extra or misshapen tensor of each kind and their counts, and the system
            that the tensors look like where that is another.
    """
    check_layout({name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}, tensors, where)
    model.load_state_dict(dict(tensors), strict=True, assign=True)


def check_layout(wanted: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor], where: object) -> None:
    """Compare names and shapes with those of a network.

    Raises:
        WeightsError: as `fit`.
    """
    missing = [name for name in wanted if name not in tensors]
    extra = [name for name in tensors if name not in wanted]
    other = [name for name in wanted if name in tensors and tuple(tensors[name].shape) != wanted[name]]
    faults = _count("missing", missing) + _count("unknown", extra)
    if other:
        name = other[0]
        faults.append(
            f"{len(other)} of another shape (first {name}: {tuple(tensors[name].shape)} where the network has "
            f"{wanted[name]})"
        )
    if faults:
        found = known_system(tensors)
        other_system = found is not None and found != known_system(wanted)
        reason = f"they look like {found}'s" if other_system else "config and weights disagree"
        raise WeightsError(f"{where}: not the weights of this network: {'; '.join(faults)}; {reason}")


def _count(what: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    return [f"{len(names)} {what} tensor{'s' if len(names) > 1 else ''} (first {names[0]})"] if names else []


def _brief(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:120] if text else type(error).__name__
