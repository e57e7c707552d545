"""A network in the run's precision that answers in float32 where half precision overflows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Generic, TypeVar

from odekit.errors import InputError, OdekitWarning

if TYPE_CHECKING:
    from torch import Tensor

N = TypeVar("N")


class Guarded(Generic[N]):
    """Calls a network and looks at what it gives: NaN and infinity never leave it.

    A picture that is not finite in half precision is computed again in float32, and only that picture, so that no
    picture's bytes depend on its neighbours. Both this and a precision that the network is not safe in are said once.
    """

    def __init__(self, name: str, load: Callable[[str], N], precision: str, safe: Collection[str]) -> None:
        """`load(precision)` makes the network; `safe` are the precisions beside float32 in which it may run."""
        self.name = name
        self.load = load
        self.precision = precision
        self.told = False
        if precision != "float32" and precision not in safe:
            self._say(f"{name} is not safe in {precision}; it runs in float32")
            self.precision = "float32"
        self.networks = {self.precision: load(self.precision)}

    @property
    def network(self) -> N:
        """The network in the precision of the run."""
        return self.networks[self.precision]

    def run(self, call: Callable[[N], Tensor]) -> Tensor:
        """`call(network)`, rows of pictures, as float32 and finite. No gradients are kept.

        Raises:
            InputError: not finite in float32 either.
        """
        import torch

        with torch.inference_mode():
            out = call(self.network).float()
            good = finite_rows(out)
            if not bool(good.all()) and self.precision != "float32":
                self._say(f"{self.name} overflowed in {self.precision}; such pictures are computed in float32")
                if "float32" not in self.networks:
                    self.networks["float32"] = self.load("float32")
                again = call(self.networks["float32"]).float()
                out, good = torch.where(good[:, None, None, None], out, again), good | finite_rows(again)
        if not bool(good.all()):
            raise InputError(f"{self.name} gave NaN or infinite values in float32; are its weights the published ones?")
        return out

    def _say(self, message: str) -> None:
        if not self.told:
            warnings.warn(message, OdekitWarning, stacklevel=2)
        self.told = True


def finite_rows(pictures: Tensor) -> Tensor:
    """Which rows of (N, ...) are finite throughout, as bool (N,)."""
    return pictures.isfinite().flatten(1).all(1)
