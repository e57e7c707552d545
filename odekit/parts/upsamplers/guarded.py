"""Run a network in the run's precision, and repeat in float32 if half precision overflows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Generic, TypeVar

from odekit.errors import InputError, OdekitWarning

if TYPE_CHECKING:
    from torch import Tensor

N = TypeVar("N")


class Guarded(Generic[N]):
    """Calls a network and checks its output, which is always finite.

    A picture with NaN or infinite values in half precision is computed again in float32. Only that picture is replaced,
    so that a result does not depend on the other pictures. The first overflow causes a warning, as does a precision in
    which the network is not safe.
    """

    def __init__(self, name: str, load: Callable[[str], N], precision: str, safe: Collection[str]) -> None:
        """Load the network.

        Args:
            name: of the network, for messages.
            load: `load(precision)` returns the network.
            precision: of the run.
            safe: precisions in which the network may run, besides float32.
        """
        self.name = name
        self.load = load
        self.precision = precision
        self._warned = False
        if precision != "float32" and precision not in safe:
            self._warn_once(f"{name} is not safe in {precision}; it runs in float32")
            self.precision = "float32"
        self.networks = {self.precision: load(self.precision)}

    @property
    def network(self) -> N:
        """The network in the precision of the run."""
        return self.networks[self.precision]

    def run(self, call: Callable[[N], Tensor]) -> Tensor:
        """Return `call(network)`, rows of pictures, as finite float32, without gradients.

        Raises:
            InputError: the result is not finite in float32 either.
        """
        import torch

        with torch.inference_mode():
            out = call(self.network).float()
            finite = finite_rows(out)
            if not bool(finite.all()) and self.precision != "float32":
                self._warn_once(f"{self.name} overflowed in {self.precision}; such pictures are computed in float32")
                if "float32" not in self.networks:
                    self.networks["float32"] = self.load("float32")
                repeated = call(self.networks["float32"]).float()
                out, finite = torch.where(finite[:, None, None, None], out, repeated), finite | finite_rows(repeated)
        if not bool(finite.all()):
            raise InputError(
                f"{self.name} returned NaN or infinite values in float32; are its weights the published ones?"
            )
        return out

    def _warn_once(self, message: str) -> None:
        if not self._warned:
            warnings.warn(message, OdekitWarning, stacklevel=2)
        self._warned = True


def finite_rows(pictures: Tensor) -> Tensor:
    """Which rows of (N, ...) have only finite values, as bool (N,)."""
    return pictures.isfinite().flatten(1).all(1)
