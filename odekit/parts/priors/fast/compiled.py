"""A network through `torch.compile`, or as it is where that fails."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from odekit.core.device import out_of_memory
from odekit.errors import OdekitWarning
from odekit.plugins.weights.store import home

CACHE = "TORCHINDUCTOR_CACHE_DIR"


class Compiled(nn.Module):
    """Calls a network's compiled form; on a CUDA card whole calls are recorded as graphs and replayed.

    The first call with each number of slots compiles, which takes up to a minute; what was compiled is kept in
    odekit's cache folder for the next process. Results differ from the plain network's in the last bits. Where
    compiling fails (no C++ compiler, a processor or an operation that the compiler does not know), it says so once and
    the plain network goes on.
    """

    def __init__(self, network: nn.Module, device: str) -> None:
        super().__init__()
        self.plain = network
        keep_cache()
        self.graphs = device.startswith("cuda")
        # Of the function, because a compiled module would list every weight twice.
        self.fast: Callable[..., Any] | None = torch.compile(
            network.forward, mode="reduce-overhead" if self.graphs else None, dynamic=False
        )

    def forward(self, *args: Any, **options: Any) -> tuple[Tensor, ...]:
        """What the network says."""
        if self.fast is not None:
            try:
                if self.graphs:
                    torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
                said = self.fast(*args, **options)
                # A replayed graph writes into the same memory every time.
                return tuple(one.clone() for one in said) if self.graphs else tuple(said)
            except Exception as error:
                if out_of_memory(error):
                    raise
                self.fast = None
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
                message = f"torch.compile failed ({type(error).__name__}: {reason}); the run goes on without it"
                warnings.warn(message, OdekitWarning, stacklevel=2)
        plain: tuple[Tensor, ...] = self.plain(*args, **options)
        return plain


def keep_cache() -> None:
    """Compiled code is kept beside odekit's other caches, unless TORCHINDUCTOR_CACHE_DIR names another folder."""
    if CACHE in os.environ:
        return
    folder = home() / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "not writable")
    except OSError as error:
        message = f"compiled networks cannot be kept in {folder}: {error.strerror or error}"
        warnings.warn(f"{message}; set ODEKIT_HOME to a folder that can be written", OdekitWarning, stacklevel=2)
        return
    os.environ[CACHE] = str(folder)
