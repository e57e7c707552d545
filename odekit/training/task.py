"""What the training loop needs to know of the thing that is trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from odekit.training.options.base import Run

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn


class Task(Protocol):
    """A prior, an upsampler: data, loss, validation and output of one kind of network."""

    fingerprint: str
    """Of the pictures: a resumed run must see the same."""

    @property
    def options(self) -> Run:
        """What the run was told."""
        ...

    def network(self, start: bool) -> tuple[nn.Module, Mapping[str, Any]]:
        """A network, float32 on the CPU, and the facts of the run it continues ({} where fresh).

        Where not `start`, only its shape counts: its weights are about to be replaced.
        """
        ...

    def batch(self, step: int, rank: int, size: int) -> tuple[Tensor, ...]:
        """The part of step's batch that belongs to `rank` of `size`: CPU tensors with one row per picture.

        A pure function of the seed in the options and of its arguments.
        """
        ...

    def losses(self, network: nn.Module, rows: tuple[Tensor, ...]) -> Tensor:
        """The weighted training loss of each row, (n,) float32; rows are on the network's device."""
        ...

    def validate(self, average: nn.Module, cast: AbstractContextManager[object]) -> Mapping[str, float]:
        """Validation figures; 'loss' decides which weights are best. The same questions every time."""
        ...

    def sheet(self, average: nn.Module, cast: AbstractContextManager[object]) -> NDArray[np.uint8] | None:
        """A picture (H, W, 3) of what the network does, or None."""
        ...

    def write(self, folder: Path, average: nn.Module, facts: Mapping[str, Any]) -> None:
        """Write usable weights to `folder`, replacing it whole."""
        ...
