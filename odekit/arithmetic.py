"""How a card multiplies float32 numbers: exactly, or in TF32. Set around network calls and put back after them.

TF32 keeps 10 bits of each factor's mantissa instead of 23 and adds in float32. torch lets cuDNN's convolutions do so
unless it is told otherwise, so that on a card "float32" is only float32 where somebody says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_one = threading.RLock()
"""The switches belong to the process: whoever sets them is alone on its cards until it has put them back. A card's
work is only begun meanwhile, not waited for."""
_now: list[str] = []
"""What is set, innermost last."""


@contextmanager
def arithmetic(precision: str, device: object) -> Iterator[None]:
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
