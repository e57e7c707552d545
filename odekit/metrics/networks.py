"""What metrics with networks share: their weights, batches of pictures as tensors, and features kept for a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError, WeightsError
from odekit.image import Image
from odekit.interfaces import Tools
from odekit.registry import Catalog
from odekit.weights import require

if TYPE_CHECKING:
    from torch import Tensor

KEPT = 2048
"""Feature vectors that are remembered: clean pictures come once for every method."""
Vector = NDArray[np.float32]


def files(tools: Tools | None, metric: str, names: Sequence[str]) -> list[Path]:
    """The local files of a metric's weights.

    Raises:
        WeightsError: some are absent; one line names them all with the commands that mend it.
    """
    if tools is None:
        raise WeightsError(f"the metric '{metric}' needs weights; make it through a catalogue's tools")
    try:
        if isinstance(catalog := getattr(tools, "catalog", None), Catalog):
            require(names, catalog)
        return [Path(tools.weights(name)) for name in names]
    except WeightsError as error:
        raise WeightsError(f"the metric '{metric}' cannot be measured: {error}") from error


def unit_batch(images: Sequence[Image], device: str) -> Tensor:
    """Pictures of one size as float32 (N, 3, H, W) in [0, 1]. Raises InputError where sizes differ."""
    import torch

    return torch.from_numpy(_stacked([image.pixels for image in images])).to(device)


def levels_batch(images: Sequence[Image], device: str) -> Tensor:
    """Pictures of one size as uint8 (N, 3, H, W). Raises InputError where sizes differ."""
    import torch

    return torch.from_numpy(_stacked([image.to_uint8().transpose(2, 0, 1) for image in images])).to(device)


def _stacked(arrays: Sequence[NDArray[np.generic]]) -> NDArray[np.generic]:
    if len({array.shape for array in arrays}) > 1:
        raise InputError("pictures of several sizes cannot go through a network together; bring them to one size")
    return np.stack(arrays)


class Remembered:
    """Vectors of pictures by what the pictures show; only new ones go through the network."""

    def __init__(self, network: Callable[[Sequence[Image]], Vector]) -> None:
        self.network = network
        self.known: OrderedDict[str, Vector] = OrderedDict()

    def __call__(self, images: Sequence[Image]) -> Vector:
        """(N, D), a row for each picture."""
        new = list({image.origin: image for image in images if image.origin not in self.known}.values())
        found = dict(zip((image.origin for image in new), self.network(new), strict=True)) if new else {}
        rows = np.stack([found[o] if (o := image.origin) in found else self.known[o] for image in images])
        self.known.update(found)
        while len(self.known) > KEPT:
            self.known.popitem(last=False)
        return np.asarray(rows)
