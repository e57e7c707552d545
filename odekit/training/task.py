"""The interface between the training loop and what it trains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from odekit.training.options.base import RunOptions

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn


class Task(Protocol):
    """Data, loss, validation and output of one kind of network, such as a prior or an upsampler."""

    fingerprint: str
    """Digest of the pictures. A resumed run must use the same pictures."""

    @property
    def options(self) -> RunOptions:
        """The options of the run."""
        ...

    def network(self, start: bool) -> tuple[nn.Module, Mapping[str, Any]]:
        """A network (float32, on the CPU) and the train.json of the run whose weights it starts from ({} if new).

        If not `start`, only the shape of the network matters: its weights are about to be replaced.
        """
        ...

    def batch(self, step: int, rank: int, world_size: int) -> tuple[Tensor, ...]:
        """The share of `rank` in the batch of `step`: CPU tensors with one row per picture.

        A pure function of the seed in the options and of its arguments.
        """
        ...

    def losses(self, network: nn.Module, rows: tuple[Tensor, ...]) -> Tensor:
        """The weighted training loss of each row, (n,) float32. The rows are on the network's device."""
        ...

    def validate(self, average: nn.Module, cast: AbstractContextManager[object]) -> Mapping[str, float]:
        """Validation metrics on the same inputs every time. The weights with the lowest 'loss' are the best ones."""
        ...

    def sheet(self, average: nn.Module, cast: AbstractContextManager[object]) -> NDArray[np.uint8] | None:
        """A picture (H, W, 3) of sample outputs, or None."""
        ...

    def write(self, folder: Path, average: nn.Module, facts: Mapping[str, Any]) -> None:
        """Write usable weights, with `facts` as train.json. An existing `folder` is replaced as a whole."""
        ...
