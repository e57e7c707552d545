"""Which device and precision a run uses."""

from __future__ import annotations

from odekit.errors import DeviceError

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


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
    """`auto` is float32, whose results are the reference. Raises DeviceError for an unknown precision."""
    if precision not in PRECISIONS:
        raise DeviceError(f"unknown precision '{precision}'; choose {', '.join(PRECISIONS)}")
    return "float32" if precision == "auto" else precision
