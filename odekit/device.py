"""Which device and precision a run uses."""

from __future__ import annotations

import math
import platform
import time

from odekit.errors import DeviceError

PRECISIONS = ("auto", "float32", "tf32", "bfloat16", "float16")
AMPERE = 8
"""Compute capability of the first cards that multiply in TF32."""


def resolve_device(device: str) -> str:
    """`auto` is CUDA, then MPS, then the CPU. Raises DeviceError for a device that is not there."""
    import torch

    kind = device.partition(":")[0]
    has_mps = torch.backends.mps.is_available()
    if kind == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    if kind not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"unknown device '{device}'; choose auto, cpu, cuda, cuda:N or mps")
    index = device.partition(":")[2]
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": has_mps}[kind]
    if kind == "cuda" and present and index and not (index.isdigit() and int(index) < torch.cuda.device_count()):
        raise DeviceError(
            f"device '{device}' is not there: this machine has {torch.cuda.device_count()} CUDA device(s)"
        )
    if not present:
        raise DeviceError(
            f"device '{device}' is not there: torch {torch.__version__} finds no {kind.upper()}; use --device cpu"
        )
    return device


def resolve_precision(precision: str, device: str) -> str:
    """`auto` is float32, whose results are the reference.

    Raises:
        DeviceError: an unknown precision, or tf32 on a device that does not have it.
    """
    if precision not in PRECISIONS:
        raise DeviceError(f"unknown precision '{precision}'; choose {', '.join(PRECISIONS)}")
    if precision == "tf32" and not has_tf32(resolve_device(device)):
        raise DeviceError(
            f"precision tf32 needs an NVIDIA card of compute capability {AMPERE}.0 or more (Ampere and later), which "
            f"{resolve_device(device)} is not; use --precision float32 or auto"
        )
    return "float32" if precision == "auto" else precision


def stored(precision: str) -> str:
    """The type of weights and pictures in a precision, by torch's name: `tf32` only says how float32 is multiplied."""
    return "float32" if precision == "tf32" else precision


def has_tf32(device: str) -> bool:
    """Whether a device multiplies in TF32 (see `odekit.arithmetic`)."""
    import torch

    if device.partition(":")[0] != "cuda" or torch.version.cuda is None or not torch.cuda.is_available():
        return False
    return torch.cuda.get_device_capability(device)[0] >= AMPERE


def candidates(device: str) -> tuple[str, ...]:
    """16-bit types that the hardware has arithmetic for; whether they are faster is to be measured."""
    import torch

    kind = device.partition(":")[0]
    if kind == "cuda":
        return ("bfloat16", "float16") if torch.cuda.is_bf16_supported(including_emulation=False) else ("float16",)
    if kind == "mps":
        return ("float16",)
    states = (getattr(torch.cpu, name, bool) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return ("bfloat16",) if any(has() for has in states) or platform.machine() in ("arm64", "aarch64") else ()


def faster(precision: str, device: str, rounds: int = 4) -> bool:
    """Whether convolutions and products of matrices take less time than in float32, by a short measurement."""
    least = probe("float32", device, rounds)
    return probe(precision, device, rounds, give_up=4 * least) < least


def probe(precision: str, device: str, rounds: int, give_up: float = math.inf) -> float:
    """Seconds of a convolution and a product of matrices: the least of some, fewer where one took `give_up`."""
    import torch

    x = torch.ones((1, 64, 32, 32), dtype=getattr(torch, precision), device=device)
    weight = torch.ones((64, 64, 3, 3), dtype=x.dtype, device=device)
    matrix = torch.ones((256, 256), dtype=x.dtype, device=device)
    times: list[float] = []
    with torch.no_grad():
        while len(times) <= rounds and not (times and times[-1] > give_up):
            began = time.perf_counter()
            y = torch.nn.functional.conv2d(x, weight, padding=1).sum() + (matrix @ matrix).sum()
            y.item()  # waits for the device
            times.append(time.perf_counter() - began)
    return min(times[1:] or times)
