"""Networks that are built without values: torch imports its compiler to fill a tensor without memory at random."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch

FILLS = ("normal_", "uniform_")
"""Methods that fill a tensor at random."""
_lock = threading.Lock()
_active = 0
"""Blocks in progress, of all threads."""


@contextlib.contextmanager
def unfilled_meta_tensors() -> Iterator[None]:
    """Within the block, tensors on the device `meta` stay as they are where they would be filled with noise.

    They have no values, so nothing is lost; torch would import `torch._dynamo` for normal noise, which takes 2 s and
    150 MB. The methods are replaced, because a `TorchFunctionMode` costs 10 us for every call of torch, and loading the
    networks of `photo` makes 50,000 of them.
    """
    global _active
    with _lock:
        _active += 1
        if _active == 1:
            for name in FILLS:
                setattr(torch.Tensor, name, _skipping_meta(getattr(torch.Tensor, name)))
    try:
        yield
    finally:
        with _lock:
            _active -= 1
            if not _active:
                for name in FILLS:
                    delattr(torch.Tensor, name)  # they are methods of its base class


def _skipping_meta(fill: Callable[..., Any]) -> Callable[..., Any]:
    """The method `fill` for tensors with values; others stay as they are."""

    def method(tensor: torch.Tensor, *args: Any, **options: Any) -> Any:
        return tensor if tensor.is_meta else fill(tensor, *args, **options)

    return method
