"""Precision of network calls: names, hardware support, and the switch between exact float32 and TF32 on GPUs.

TF32 keeps 10 bits of the mantissa of each factor instead of 23 and accumulates in float32. By default torch allows it
in cuDNN convolutions, so "float32" on a GPU is exact only if TF32 is switched off around the network calls.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from odekit.core.device import resolve_device
from odekit.core.timing import clock_of, compare
from odekit.errors import DeviceError

PRECISIONS = ("auto", "float32", "tf32", "bfloat16", "float16", "int8")
AMPERE = 8
"""Compute capability of the first GPUs with TF32."""
_switch_lock = threading.RLock()
"""The switches are global to the process, so a thread holds this lock until it has restored them. Work on the GPU is
only queued meanwhile, not waited for."""
_active_modes: list[str] = []
"""The modes that are set, innermost last."""


@contextmanager
def precision(precision: str, device: object) -> Iterator[None]:
    """Compute float32 matrix products and convolutions in TF32 if the precision is `tf32`, else exactly.

    The user's settings are restored on exit, also after an exception. Other threads of this process that enter this
    context wait; threads that set torch's switches directly are not synchronised. Only CUDA devices have the switches;
    on other devices this does nothing.

    Args:
        precision: the precision of the run; only `tf32` makes a difference.
        device: a torch device name or a `torch.device`.
    """
    if not has_tf32_switches(device):
        yield
        return
    mode = "tf32" if precision == "tf32" else "ieee"
    with _switch_lock:
        restore = _restore_nothing if _active_modes[-1:] == [mode] else set_tf32_switches(mode)
        _active_modes.append(mode)
        try:
            yield
        finally:
            _active_modes.pop()
            restore()


def has_tf32_switches(device: object) -> bool:
    """Whether a device has the TF32 switches."""
    return str(device).partition(":")[0] == "cuda"


def set_tf32_switches(mode: str, torch: Any = None) -> Callable[[], None]:
    """Set torch's switches to `ieee` or `tf32`, and return a function that restores them."""
    if torch is None:
        import torch
    has_new_switches = hasattr(torch.backends.cuda.matmul, "fp32_precision")
    return _set_new_switches(mode, torch) if has_new_switches else _set_old_switches(mode, torch)


def _restore_nothing() -> None:
    """Restores nothing, because nothing was changed."""


def _set_old_switches(mode: str, torch: Any) -> Callable[[], None]:
    """Set the switches of torch before 2.9."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    old_matmul, old_cudnn = torch.get_float32_matmul_precision(), cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = mode == "tf32"

    def restore() -> None:
        torch.set_float32_matmul_precision(old_matmul)
        cudnn.allow_tf32 = old_cudnn

    return restore


def _set_new_switches(mode: str, torch: Any) -> Callable[[], None]:
    """Set the switches since torch 2.9: one for all of CUDA, and one per kind of operation that may override it.

    The old switch of matrix products is set too, because parts of `torch.compile` read it and refuse a contradiction.
    """
    cuda, matmul = torch.backends.cudnn, torch.backends.cuda.matmul  # torch calls the switch of all CUDA `cudnn`
    old_cuda, old_global = cuda.fp32_precision, torch.backends.fp32_precision
    old_legacy = _legacy_matmul_precision(torch)
    cuda.fp32_precision = mode
    # A kind that does not follow the CUDA switch has a separate setting, which has to be restored.
    overrides = [(kind, value) for kind in (matmul, cuda.conv) if (value := kind.fp32_precision) != mode]
    matmul_follows = all(kind is not matmul for kind, _ in overrides)
    legacy_differs = old_legacy is not None and (old_legacy == "highest") != (mode == "ieee")
    if legacy_differs:
        matmul.allow_tf32 = mode == "tf32"
    for kind, _ in overrides:
        kind.fp32_precision = mode

    def restore() -> None:
        if legacy_differs and old_legacy == "medium":
            torch.set_float32_matmul_precision(old_legacy)
        elif legacy_differs:
            matmul.allow_tf32 = old_legacy == "high"
        for kind, value in overrides:
            kind.fp32_precision = value
        if legacy_differs and matmul_follows:
            matmul.fp32_precision = "none"
        cuda.fp32_precision = "none" if old_cuda == old_global else old_cuda

    return restore


def _legacy_matmul_precision(torch: Any) -> str | None:
    """The value of the old switch of matrix products; None if the user mixed old and new, which torch cannot read."""
    try:
        _ = torch.backends.cuda.matmul.allow_tf32
        return str(torch.get_float32_matmul_precision())
    except RuntimeError:
        return None


def resolve_precision(precision: str, device: str) -> str:
    """Check a precision, and resolve `auto` to float32, the reference.

    Raises:
        DeviceError: an unknown precision, or tf32 or int8 on a device without it.
    """
    if precision not in PRECISIONS:
        raise DeviceError(f"unknown precision '{precision}'; choose {', '.join(PRECISIONS)}")
    if precision == "tf32" and not has_tf32(resolve_device(device)):
        raise DeviceError(
            f"precision tf32 needs an NVIDIA GPU of compute capability {AMPERE}.0 or more (Ampere and later), which "
            f"{resolve_device(device)} is not; use --precision float32 or auto"
        )
    if precision == "int8" and not has_int8(resolve_device(device)):
        raise DeviceError(
            f"precision int8 needs a CPU with AVX-512 instructions for products of 8-bit integers (VNNI), and "
            f"{resolve_device(device)} here is none; use another --precision (auto by default), in a new folder if "
            "this one was begun with int8"
        )
    return "float32" if precision == "auto" else precision


def storage_type(precision: str) -> str:
    """The torch type of weights and activations in a precision.

    With `tf32` it is float32; with `int8`, of what is not stored in 8 bits, the CPU's 16-bit type, if it has one.
    """
    if precision == "int8":
        return next(iter(supported_16bit_types("cpu")), "float32")
    return "float32" if precision == "tf32" else precision


def has_int8(device: str) -> bool:
    """Whether a CPU multiplies 8-bit integers without saturation (VNNI), and this torch has the operations for it."""
    import torch

    if device.partition(":")[0] != "cpu" or not getattr(torch.cpu, "_is_vnni_supported", bool)():
        return False
    names = ("qconv_prepack", "qconv2d_pointwise", "qlinear_prepack", "qlinear_pointwise")
    return all(hasattr(torch.ops.onednn, name) for name in names)


def has_tf32(device: str) -> bool:
    """Whether a device supports TF32."""
    import torch

    if device.partition(":")[0] != "cuda" or torch.version.cuda is None or not torch.cuda.is_available():
        return False
    return torch.cuda.get_device_capability(device)[0] >= AMPERE


def supported_16bit_types(device: str) -> tuple[str, ...]:
    """16-bit types that the hardware supports. Whether they are faster has to be measured."""
    import torch

    kind = device.partition(":")[0]
    if kind == "cuda":
        return ("bfloat16", "float16") if torch.cuda.is_bf16_supported(including_emulation=False) else ("float16",)
    if kind == "mps":
        return ("float16",)
    checks = (getattr(torch.cpu, name, bool) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return ("bfloat16",) if any(check() for check in checks) or platform.machine() in ("arm64", "aarch64") else ()


def is_faster(precision: str, device: str) -> bool:
    """Whether convolutions and matrix products take less time than in float32, beyond the noise of a measurement."""
    calls = {name: conv_and_matmul(name, device) for name in ("float32", precision)}
    _, speedups = compare(calls["float32"], {precision: calls[precision]}, clock_of(device))
    return speedups[precision][1].exceeds(1.0)


def conv_and_matmul(precision: str, device: str) -> Callable[[], object]:
    """A function that computes a convolution and a matrix product, and waits for the device."""
    import torch

    x = torch.ones((1, 64, 32, 32), dtype=getattr(torch, precision), device=device)
    weight = torch.ones((64, 64, 3, 3), dtype=x.dtype, device=device)
    matrix = torch.ones((256, 256), dtype=x.dtype, device=device)

    def call() -> float:
        with torch.no_grad():
            y = torch.nn.functional.conv2d(x, weight, padding=1).sum() + (matrix @ matrix).sum()
            return float(y.item())  # waits for the device

    return call
