"""A chosen precision with the measurements behind it, and the choices that ship with weights for known processors."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from odekit.core.files import read_json

MIN_PSNR = 45.0
"""dB: minimum PSNR of every calibration picture restored in a lower precision against float32."""
MIN_SPEEDUP = 1.1
"""Minimum speed-up over float32: below it, a lower precision is not used."""
SHIPPED_FILE = "precision.json"
"""Beside the weights of a prior: choices measured on other machines."""


@dataclass(frozen=True)
class Measurement:
    """A precision as measured."""

    seconds: float
    """Of a network call on 8 pictures: processor time on a CPU."""
    psnr: float | None = None
    """The lowest against float32 in dB; None if it is not faster."""
    speedup: tuple[float, float, float] | None = None
    """Over float32: median, and range of the repeated measurements without the extremes."""


@dataclass(frozen=True)
class PrecisionChoice:
    """The chosen precision, and the measurements behind the choice."""

    precision: str
    tried: Mapping[str, Measurement] = field(default_factory=dict)
    clear: bool = True
    """No measured speed-up is within its noise of `MIN_SPEEDUP`."""
    source: Literal["measured", "shipped", "postponed"] = "measured"
    """Measured on this machine; shipped with the weights for processors like this one; or float32, because too few
    pictures were restored on this machine so far to be worth a measurement."""

    def tree(self) -> dict[str, Any]:
        """The choice for `run.json`: what was measured, and by how much it exceeds what is needed; negative: misses."""
        margins = {
            name: {
                "speedup": None if result.speedup is None else round(result.speedup[1] - MIN_SPEEDUP, 3),
                "psnr": None if result.psnr is None else round(result.psnr - MIN_PSNR, 2),
            }
            for name, result in self.tried.items()
            if name != "float32"
        }
        needed = {"speedup": MIN_SPEEDUP, "psnr": MIN_PSNR}
        return asdict(self) | {"needed": needed, "margins": margins}


def choice_from(entry: object) -> PrecisionChoice | None:
    """A choice as read from JSON; None if it is not one."""
    try:
        if not isinstance(entry, Mapping):
            return None
        tried = {name: Measurement(**result) for name, result in entry["tried"].items()}
        precision = str(entry["precision"])
        return PrecisionChoice(precision, tried) if precision in tried else None
    except (KeyError, TypeError, AttributeError):
        return None


def processor_kind(device: str) -> str | None:
    """What decides whether a CPU is fast in 16 bits, such as `x86_64 AVX512 bf16`; None for other devices."""
    import torch

    if device != "cpu":
        return None
    checks = {"bf16": "_is_avx512_bf16_supported", "amx": "_is_amx_tile_supported"}
    features = [name for name, check in checks.items() if getattr(torch.cpu, check, bool)()]
    return " ".join([platform.machine(), torch.backends.cpu.get_cpu_capability(), *features])


def torch_release() -> str:
    """Major and minor version of torch."""
    import torch

    return ".".join(torch.__version__.split(".")[:2])


def shipped_choice(weights: Path, digest: str, device: str) -> PrecisionChoice | None:
    """The choice that lies beside the weights for this kind of processor and this release of torch, if there is one.

    Args:
        weights: the file of weights.
        digest: of the weights; choices for other weights do not count.
        device: of the prior.
    """
    found = read_json(weights.parent / SHIPPED_FILE)
    key = {"weights": digest, "processor": processor_kind(device), "torch": torch_release()}
    for entry in found.get("choices", []) if isinstance(found, dict) else []:
        choice = choice_from(entry)
        if choice is not None and all(entry.get(name) == value for name, value in key.items()):
            return PrecisionChoice(choice.precision, choice.tried, source="shipped")
    return None


def shipped_entry(choice: PrecisionChoice, digest: str, device: str) -> dict[str, Any]:
    """A choice for the file `SHIPPED_FILE`."""
    tried = {name: asdict(result) for name, result in choice.tried.items()}
    key = {"weights": digest, "processor": processor_kind(device), "torch": torch_release()}
    return {**key, "precision": choice.precision, "tried": tried}
