"""Whether the detail of a guided upsampler makes a face better for people, judged from the face and its result.

Small networks predict how much LPIPS and the distance of face descriptors to the true face fall; they are fitted on
faces with the damage of photographs (`odekit calibrate act`). Faces with little to gain are left as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.files import ASSETS, calibration_errors, read_text
from odekit.core.image import Pixels
from odekit.images.resize import square_resize
from odekit.parts.upsamplers.change_measures import LARGEST_SIDE, measure

Array = NDArray[np.float64]
BUILT_IN = ASSETS / "face-guided" / "act.json"
SCHEMA = 3
SMALLEST_SIDE = 32
"""Sides from this to `LARGEST_SIDE` pixels are those that faces are measured at."""
LARGE_FACE = 96
"""Side in the photograph, in pixels, from which a face has the threshold of large faces."""
SMOOTHED = (1.5, 0.4)
"""A result is only smoother than its face if the log powers of the two highest octaves fall by more: grain and the dots
of printed pictures look like noise to the networks, and hair goes with them. No face with the damage of photographs,
of severity 1 to 5, falls by so much in both: blur and compression have taken these octaves before."""


@dataclass(frozen=True)
class ResultJudgement:
    """The judgement of one result."""

    act: bool
    gain: float
    """Predicted fall of LPIPS plus face distance."""
    side: int
    """Side at which the face was measured, in pixels."""
    measures: Mapping[str, float]
    margin: float
    """`gain` less the threshold."""
    smooths: bool = False
    """The result is only smoother than the face; see `SMOOTHED`."""

    def tree(self) -> dict[str, Any]:
        """The judgement as plain data, for the record."""
        measures = {name: round(value, 4) for name, value in self.measures.items()}
        figures = {"expected_gain": round(self.gain, 4), "measured_side": self.side, "measures": measures}
        return {"act": self.act} | ({"smooths": True} if self.smooths else {}) | figures


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
class WorthCalibration:
    """A model of the gain from standardised measures."""

    measures: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    networks: SmallNetworks
    threshold: float
    """Predicted gain from which the result of a face smaller than `LARGE_FACE` is used."""
    large_threshold: float
    """The same for larger faces. Small faces of healthy photographs are softer, so that more seems to be gained."""
    about: Mapping[str, Any] | None = None
    """Faces, damage and figures of the fit."""

    def judge(self, original: Pixels, result: Pixels, native: float = 0.0) -> ResultJudgement:
        """Judge a result (3, H, W) of an original (3, h, w) whose side in its photograph is `native` pixels.

        `native` 0: the side of the original itself.
        """
        side = measured_side(native or min(original.shape[1:]))
        values = measure(square_resize(original, side), square_resize(result, side))
        z = standardised(np.array([[values[name] for name in self.measures]]), self.centre, self.scale)
        gain = float(self.networks(z)[0])
        smooths = all(values[f"face {i}"] - values[f"result {i}"] > fall for i, fall in enumerate(SMOOTHED))
        margin = gain - (self.threshold if side < LARGE_FACE else self.large_threshold)
        return ResultJudgement(margin > 0 and not smooths, gain, side, values, margin, smooths)

    def tree(self) -> dict[str, Any]:
        """The calibration as plain data, for its file; weights are rounded to five digits."""
        networks = {"hidden": rounded(self.networks.hidden), "output": rounded(self.networks.output)}
        return {"schema": SCHEMA} | asdict(self) | {"networks": networks}

    @classmethod
    def from_tree(cls, data: Mapping[str, Any]) -> WorthCalibration:
        """From the plain data of a file. Raises ValueError or KeyError if that is not a calibration."""
        if data["schema"] != SCHEMA:
            raise ValueError(f"this odekit reads schema {SCHEMA}, not {data['schema']}")
        names = tuple(map(str, data["measures"]))
        centre, scale = (tuple(map(float, data[name])) for name in ("centre", "scale"))
        hidden, output = (np.array(data["networks"][name], np.float64) for name in ("hidden", "output"))
        limits = float(data["threshold"]), float(data["large_threshold"])
        if (
            len(centre) != len(names)
            or len(scale) != len(names)
            or hidden.ndim != 3
            or output.shape != (len(hidden), hidden.shape[2] + 1)
            or hidden.shape[1] != len(names) + 1
            or not all(np.isfinite(numbers).all() for numbers in (centre, scale, hidden, output, limits))
        ):
            raise ValueError("the sizes of its tables do not match, or a number is not finite")
        return cls(names, centre, scale, SmallNetworks(hidden, output), *limits, about=data.get("about"))


def rounded(numbers: Array) -> Any:
    """Numbers as nested lists with five significant digits."""
    digits = 4 - np.floor(np.log10(np.maximum(np.abs(numbers), 1e-9))).astype(int)
    return np.vectorize(lambda value, places: round(float(value), int(places)))(numbers, digits).tolist()


def standardised(values: Array, centre: tuple[float, ...], scale: tuple[float, ...]) -> Array:
    """Values (n, k) in standard deviations from their centre, clipped to three."""
    out: Array = np.clip((values - np.array(centre)) / np.array(scale), -3, 3)
    return out


def measured_side(native: float) -> int:
    """Side at which a face of `native` pixels is measured."""
    return int(min(max(round(native), SMALLEST_SIDE), LARGEST_SIDE))


@cache
def load_worth(path: Path | None = None) -> WorthCalibration:
    """The calibration in a file; that of the built-in weights if None.

    Raises:
        ConfigError: the file does not exist, or is not a calibration.
    """
    file = path or BUILT_IN
    with calibration_errors("the calibration of act", file, "act"):
        return WorthCalibration.from_tree(json.loads(read_text(file)))
