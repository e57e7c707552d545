"""A network compiled with `torch.compile`, with the uncompiled network as fallback."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from odekit.core.device import is_out_of_memory
from odekit.errors import OdekitWarning
from odekit.plugins.weights.store import home

INDUCTOR_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


class CompiledNetwork(nn.Module):
    """Calls the compiled form of a network; on a CUDA GPU calls are recorded as CUDA graphs and replayed.

    The first call with each batch size compiles, which takes up to a minute; the compiled code is kept in odekit's
    cache folder for the next process. Results differ from the plain network's in the last bits. If compiling fails (no
    C++ compiler, a CPU or an operation that the compiler does not support), it warns once and calls the plain network.
    """

    def __init__(self, network: nn.Module, device: str) -> None:
        super().__init__()
        self.plain = network
        set_inductor_cache()
        self.graphs = device.startswith("cuda")
        # The function is compiled, because a compiled module would list every weight twice.
        self.compiled: Callable[..., Any] | None = torch.compile(
            network.forward, mode="reduce-overhead" if self.graphs else None, dynamic=False
        )

    def forward(self, *args: Any, **options: Any) -> tuple[Tensor, ...]:
        """The network's output."""
        if self.compiled is not None:
            try:
                if self.graphs:
                    torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
                outputs = self.compiled(*args, **options)
                # Cloned, because a replayed graph writes into the same memory every time.
                return tuple(output.clone() for output in outputs) if self.graphs else tuple(outputs)
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                self.compiled = None
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
                message = f"torch.compile failed ({type(error).__name__}: {reason}); the run continues without it"
                warnings.warn(message, OdekitWarning, stacklevel=2)
        plain: tuple[Tensor, ...] = self.plain(*args, **options)
        return plain


def set_inductor_cache() -> None:
    """Keep compiled code in odekit's cache folder, unless TORCHINDUCTOR_CACHE_DIR names another one."""
    if INDUCTOR_CACHE_VARIABLE in os.environ:
        return
    folder = home() / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "not writable")
    except OSError as error:
        message = f"compiled networks cannot be kept in {folder}: {error.strerror or error}"
        warnings.warn(f"{message}; set ODEKIT_HOME to a writable folder", OdekitWarning, stacklevel=2)
        return
    os.environ[INDUCTOR_CACHE_VARIABLE] = str(folder)
