"""Small networks that predict a gain from measures of a face, and their form in calibration files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SmallNetworks:
    """Networks with one hidden layer of ReLUs, whose mean is the prediction."""

    hidden: Array
    """(networks, inputs + 1, width); the last row holds the biases."""
    output: Array
    """(networks, width + 1); the last column holds the biases."""

    def __call__(self, z: Array) -> Array:
        """(n,): predictions from inputs (n, k)."""
        inner = np.maximum(z @ self.hidden[:, :-1] + self.hidden[:, -1:], 0)
        each = np.einsum("mnw,mw->mn", inner, self.output[:, :-1]) + self.output[:, -1:]
        mean: Array = each.mean(0)
        return mean


@dataclass(frozen=True)
class GainModel:
    """A model of a gain from standardised measures."""

    measures: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    networks: SmallNetworks

    def __call__(self, values: Mapping[str, float]) -> float:
        """The predicted gain of one face."""
        z = standardised(np.array([[values[name] for name in self.measures]]), self.centre, self.scale)
        return float(self.networks(z)[0])

    def tree(self) -> dict[str, Any]:
        """The model as plain data; weights are rounded to five digits."""
        networks = {"hidden": rounded(self.networks.hidden), "output": rounded(self.networks.output)}
        names = {"measures": list(self.measures), "centre": list(self.centre), "scale": list(self.scale)}
        return names | {"networks": networks}

    @classmethod
    def from_tree(cls, data: Mapping[str, Any], known: Iterable[str]) -> GainModel:
        """From plain data. Raises ValueError or KeyError if that is not a model of the `known` measures."""
        names = tuple(map(str, data["measures"]))
        if unknown := set(names) - set(known):
            raise ValueError(f"there is no measure {min(unknown)!r}")
        centre, scale = (tuple(map(float, data[name])) for name in ("centre", "scale"))
        hidden, output = (np.array(data["networks"][name], np.float64) for name in ("hidden", "output"))
        if (
            len(centre) != len(names)
            or len(scale) != len(names)
            or hidden.ndim != 3
            or output.shape != (len(hidden), hidden.shape[2] + 1)
            or hidden.shape[1] != len(names) + 1
            or not all(np.isfinite(numbers).all() for numbers in (centre, scale, hidden, output))
        ):
            raise ValueError("the sizes of its tables do not match, or a number is not finite")
        if min(scale, default=1) <= 0:
            raise ValueError("a scale is not above 0")
        return cls(names, centre, scale, SmallNetworks(hidden, output))


def rounded(numbers: Array) -> Any:
    """Numbers as nested lists with five significant digits."""
    digits = 4 - np.floor(np.log10(np.maximum(np.abs(numbers), 1e-9))).astype(int)
    return np.vectorize(lambda value, places: round(float(value), int(places)))(numbers, digits).tolist()


def standardised(values: Array, centre: tuple[float, ...], scale: tuple[float, ...]) -> Array:
    """Values (n, k) in standard deviations from their centre, clipped to three."""
    out: Array = np.clip((values - np.array(centre)) / np.array(scale), -3, 3)
    return out
