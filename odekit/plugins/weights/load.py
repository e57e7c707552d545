"""Read weights files safely: safetensors, or `torch.load(weights_only=True)`. Every error message is one line.

No code from a weights file is executed. Tensors are returned on the CPU in their stored types.
"""

from __future__ import annotations

import json
import re
import tarfile
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
"""Endings of files that `torch.load` reads."""
PICKLE_MAGIC = b"\x80"
"""First byte of files of PyTorch before 1.6. Later files are zip archives, the oldest are tar archives."""
MAX_HEADER = 25_000_000
"""Largest header of a safetensors file that is read, in bytes; a network of 1,000 tensors has 100 kB."""
MAX_SHARING = 4
"""Tensors may have this many times the bytes of their file, because tied weights share memory."""
TYPES = frozenset(
    ("float16", "bfloat16", "float32", "float64", "bool", "uint8", "int8", "int16", "int32", "int64")
)  # fmt: skip
"""Types of tensors that are read."""
INTEGER_BUFFERS = re.compile(
    r"(num_batches_tracked|num_updates|index|indices|ids|mask|masks|steps?|counts?|positions?)$"
)
"""Endings of the names of tensors that may hold integers."""
WRAPPER_KEYS = ("params_ema", "ema_state_dict", "state_dict", "model_state_dict", "params", "ema", "model")
"""Keys under which published files store their tensors, preferred ones first."""


def load_tensors(path: Path, integers: bool = False) -> dict[str, Tensor]:
    """Read the tensors of a weights file by name, on the CPU, and check that they are plain and finite.

    Files are memory-mapped, except those of torch before 1.6. Copy tensors that must survive an overwritten file. For
    `.bin`, `.pt`, `.pth` and `.ckpt` files, the usual wrappers (see `unwrap`) and a `module.` prefix are removed.

    Args:
        path: of the file.
        integers: the caller turns integers into weights, with a scale of its own.

    Raises:
        WeightsError: the file is missing, truncated, of another format, a pickle with other content than weights, or
            has tensors that are not plain (see `check_plain`) or not finite.
    """
    path = Path(path)
    content = _content(path)
    tensors = content if path.suffix == ".safetensors" else unwrap(content, path)
    check_tensors(tensors, path, integers)
    return tensors


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read all that a training checkpoint holds, by its own keys, as safely as `load_tensors`.

    For files with more than one network, or with values beside the tensors. The caller passes the tensors that it uses
    to `check_tensors`.

    Raises:
        WeightsError: see `load_tensors`; or the file holds no names.
    """
    content = _content(Path(path))
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: holds no named tensors; give the file with the network's state dict")
    return dict(content)


def check_tensors(tensors: Mapping[str, Tensor], path: Path, integers: bool = False) -> None:
    """Check that the tensors of a file are plain and finite.

    Raises:
        WeightsError: see `check_plain` and `check_finite`.
    """
    check_plain(tensors, path, path.stat().st_size, integers)
    check_finite(tensors, path)


def _content(path: Path) -> Any:
    """What a file holds: the tensors of a safetensors file by name, or the object in a pickle."""
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such weights file; check the path or fetch the weights again")
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if path.suffix in PICKLE_SUFFIXES:
        return _pickled(path)
    raise WeightsError(f"{path}: weights are read from .safetensors, {', '.join(PICKLE_SUFFIXES)} files only")


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if MAX_HEADER < length <= path.stat().st_size:
        raise WeightsError(f"{path}: its list of tensors has {length:,} bytes; at most {MAX_HEADER:,} are read")
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: truncated or no safetensors file ({_brief(error)}); fetch it again") from error


def _pickled(path: Path) -> Any:
    from pickle import UnpicklingError
    from zipfile import is_zipfile

    import torch

    _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about kinds of tensors that `check_plain` refuses
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    except UnpicklingError as error:
        # torch names the type that it refuses; damaged files cause other messages
        if any(text in str(error) for text in ("Unsupported global", "Unsupported class", "reduce", "Can only build")):
            raise WeightsError(
                f"{path}: refused, because this pickle holds more than weights and could run code; "
                "ask its author for safetensors"
            ) from error
        raise WeightsError(f"{path}: truncated or no weights file ({_brief(error)}); fetch it again") from error
    except Exception as error:
        raise WeightsError(f"{path}: truncated or no weights file ({_brief(error)}); fetch it again") from error


def _check_archive(path: Path) -> None:
    """Refuse a zip archive that unpacks to more than its size. PyTorch stores its tensors without compression."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise WeightsError(f"{path}: truncated or no weights file ({_brief(error)}); fetch it again") from error
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or (
        sum(entry.file_size for entry in entries) > path.stat().st_size
    ):
        raise WeightsError(f"{path}: a compressed archive, which PyTorch does not write; unpack it, or fetch it again")


def _brief(error: Exception) -> str:
    """The first line of an error message, shortened."""
    text = str(error).strip().splitlines()
    return text[0][:120] if text else type(error).__name__


def unwrap(content: Any, source: object) -> dict[str, Tensor]:
    """Extract the named tensors from the content of a training checkpoint.

    Accepted: a mapping from names to tensors; such a mapping under one of `WRAPPER_KEYS`; a list
    `[model, optimiser, epoch, step, EMA]` (of the DDIM code), of which the EMA is used, else the model. A `module.`
    prefix is removed if all names have it.

    Raises:
        WeightsError: the content is none of these.
    """
    if isinstance(content, list | tuple) and content:
        last = content[-1]
        content = last if len(content) > 1 and _holds_tensors(last) else content[0]
    for key in WRAPPER_KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not _holds_tensors(content):
        raise WeightsError(f"{source}: holds no named tensors; give the file with the network's state dict")
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


def check_plain(tensors: Mapping[str, Tensor], source: object, size: int, integers: bool = False) -> None:
    """Refuse tensors that are no plain arrays of real numbers, and more of them than a file can hold.

    Integers are accepted in the buffers in which networks have them (counters, indices, masks), not as weights.

    Args:
        tensors: by name.
        source: the file, for error messages.
        size: of the file in bytes. Tied weights may share memory; more than `MAX_SHARING` times the size is refused.
        integers: accept integers as weights.

    Raises:
        WeightsError: names the first such tensor.
    """
    total = 0
    for name, tensor in tensors.items():
        fault = _fault_of(tensor)
        if not (fault or integers or tensor.is_floating_point()) and not INTEGER_BUFFERS.search(
            name.rpartition(".")[2]
        ):
            fault = f"holds {str(tensor.dtype).removeprefix('torch.')} numbers, and weights are floating-point numbers"
        total += 0 if fault else tensor.numel() * tensor.element_size()
        if not fault and total > MAX_SHARING * size:
            fault = f"and those before it have {total:,} bytes, in a file of {size:,}"
        if fault:
            raise WeightsError(
                f"{source}: the tensor {name} {fault}; save tensor.detach().float().contiguous() instead"
            )


def _fault_of(tensor: Tensor) -> str:
    """Why a tensor is no plain array; empty if it is one."""
    import torch

    if tensor.is_meta:
        return "has a shape and no values (it was saved from the meta device)"
    if tensor.layout != torch.strided or tensor.is_nested:
        return "is sparse or nested"
    if str(tensor.dtype).removeprefix("torch.") not in TYPES:
        return f"has the type {str(tensor.dtype).removeprefix('torch.')}, which is not read"
    if tensor.numel() and tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"repeats its values (shape {tuple(tensor.shape)}, strides {tuple(tensor.stride())})"
    return ""


def check_finite(tensors: Mapping[str, Tensor], source: object) -> None:
    """Refuse tensors with NaN or infinite values.

    Raises:
        WeightsError: names the first such tensor and their count.
    """
    bad = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not _finite(tensor)]
    if bad:
        raise WeightsError(
            f"{source}: {bad[0]} holds NaN or infinite values ({len(bad)} of {len(tensors)} tensors do); "
            "the file is damaged or its training failed: fetch or train it again"
        )


def _finite(tensor: Tensor) -> bool:
    # A sum with a non-finite term is not finite: one pass without a copy, and in the tensor's own type, in which torch
    # adds fifty times as fast as in another one. A sum may also be too large for it: then all values are checked.
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


def check_complete(file: Path, name: str | None = None) -> None:
    """Check that a file is a complete weights file, from its header and size.

    Args:
        file: the file.
        name: its final name, if it differs.

    Raises:
        WeightsError: the file is empty, truncated, or no weights file (such as a web page).
    """
    with file.open("rb") as content:
        start = content.read(8)
    if not start:
        raise WeightsError(f"{file}: is empty")
    if Path(name or file.name).suffix == ".safetensors":
        _check_safetensors(file, start)
    elif start.startswith(b"PK"):
        if not zipfile.is_zipfile(file):
            raise WeightsError(f"{file}: is truncated (a PyTorch file without its end)")
    elif start.lstrip()[:1] == b"<":
        raise WeightsError(f"{file}: is a web page, not a weights file")
    elif start[:1] != PICKLE_MAGIC and not tarfile.is_tarfile(file):
        raise WeightsError(f"{file}: is not a weights file (neither safetensors nor PyTorch)")


def _check_safetensors(file: Path, start: bytes) -> None:
    length, size = int.from_bytes(start, "little"), file.stat().st_size
    if length > size - 8:
        raise WeightsError(f"{file}: is truncated, or not a safetensors file")
    with file.open("rb") as content:
        content.seek(8)
        try:
            header = json.loads(content.read(length))
            end = max((t["data_offsets"][1] for n, t in header.items() if n != "__metadata__"), default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise WeightsError(f"{file}: is not a safetensors file") from error
    if size != 8 + length + end:
        raise WeightsError(f"{file}: is truncated ({size} bytes instead of {8 + length + end})")
