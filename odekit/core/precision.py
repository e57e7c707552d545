"""How a card multiplies float32 numbers: exactly, or in TF32. Set around network calls and put back after them.

TF32 keeps 10 bits of each factor's mantissa instead of 23 and adds in float32. torch lets cuDNN's convolutions do so
unless it is told otherwise, so that on a card "float32" is only float32 where somebody says so.
"""

from __future__ import annotations

import math
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from odekit.core.device import resolve_device
from odekit.errors import DeviceError

_one = threading.RLock()
"""The switches belong to the process: whoever sets them is alone on its cards until it has put them back. A card's
work is only begun meanwhile, not waited for."""
_now: list[str] = []
"""What is set, innermost last."""


@contextmanager
def precision(precision: str, device: object) -> Iterator[None]:
    """Products and convolutions of float32 numbers are in TF32 where the precision is `tf32`, else exact.

    The user's own settings hold again afterwards, also after an exception. Other threads of this process that ask for
    either wait; those that set torch's switches themselves meanwhile are on their own. Only CUDA devices have the
    switches; elsewhere nothing is done.

    Args:
        precision: of the run; `tf32`, or any other.
        device: as torch names it, or a `torch.device`.
    """
    if not switched(device):
        yield
        return
    wanted = "tf32" if precision == "tf32" else "ieee"
    with _one:
        put_back = _nothing if _now[-1:] == [wanted] else set_switches(wanted)
        _now.append(wanted)
        try:
            yield
        finally:
            _now.pop()
            put_back()


arithmetic = precision
"""The old name, which `benchmarks/` still imports; to be removed with that import."""


def switched(device: object) -> bool:
    """Whether a device has the switches."""
    return str(device).partition(":")[0] == "cuda"


def set_switches(wanted: str, torch: Any = None) -> Callable[[], None]:
    """Set torch's switches to `ieee` or `tf32`; what is returned puts them back as they were."""
    if torch is None:
        import torch
    named = hasattr(torch.backends.cuda.matmul, "fp32_precision")
    return _by_name(wanted, torch) if named else _by_flag(wanted, torch)


def _nothing() -> None:
    """Nothing was set."""


def _by_flag(wanted: str, torch: Any) -> Callable[[], None]:
    """The switches of torch before 2.9."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    products, convolutions = torch.get_float32_matmul_precision(), cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = wanted == "tf32"

    def put_back() -> None:
        torch.set_float32_matmul_precision(products)
        cudnn.allow_tf32 = convolutions

    return put_back


def _by_name(wanted: str, torch: Any) -> Callable[[], None]:
    """The switches since torch 2.9: one for all of CUDA, and one for each kind of operation that may differ from it.

    The old switch of products is set along, because parts of `torch.compile` read it and refuse where both differ.
    """
    every, matmul = torch.backends.cudnn, torch.backends.cuda.matmul  # CUDA's own goes by the name of cuDNN
    before, above = every.fp32_precision, torch.backends.fp32_precision
    legacy = _legacy(torch)
    every.fp32_precision = wanted
    # Those that do not follow were set on their own, so that what they say is what to put back.
    own = [(kind, said) for kind in (matmul, every.conv) if (said := kind.fp32_precision) != wanted]
    follows = all(kind is not matmul for kind, _ in own)
    other = legacy is not None and (legacy == "highest") != (wanted == "ieee")
    if other:
        matmul.allow_tf32 = wanted == "tf32"
    for kind, _ in own:
        kind.fp32_precision = wanted

    def put_back() -> None:
        if other and legacy == "medium":
            torch.set_float32_matmul_precision(legacy)
        elif other:
            matmul.allow_tf32 = legacy == "high"
        for kind, said in own:
            kind.fp32_precision = said
        if other and follows:
            matmul.fp32_precision = "none"
        every.fp32_precision = "none" if before == above else before

    return put_back


def _legacy(torch: Any) -> str | None:
    """What the old switch of products says; None where the user has mixed old and new, which torch refuses to read."""
    try:
        _ = torch.backends.cuda.matmul.allow_tf32
        return str(torch.get_float32_matmul_precision())
    except RuntimeError:
        return None


PRECISIONS = ("auto", "float32", "tf32", "bfloat16", "float16")
AMPERE = 8
"""Compute capability of the first cards that multiply in TF32."""


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
    """Whether a device multiplies in TF32 (see `odekit.core.precision`)."""
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
