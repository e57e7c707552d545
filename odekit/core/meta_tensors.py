"""Networks that are built without values: torch imports its compiler to fill a tensor without memory at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class SkipMetaNormal(TorchFunctionMode):
    """Return a tensor on the device `meta` as it is where it would be filled with normal noise.

    It has no values, so nothing is lost; torch would import `torch._dynamo` for it, which takes 2 s and 150 MB.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        """Call `func`, or return its first argument; see `torch.overrides.TorchFunctionMode`."""
        if func is torch.Tensor.normal_ and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))
