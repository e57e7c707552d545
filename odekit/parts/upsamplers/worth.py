"""Whether the detail of a guided upsampler makes a face better for people, judged from the face and its result.

A regression predicts how much LPIPS and the distance of face descriptors to the true face fall; it is fitted on faces
with the damage of photographs (`odekit calibrate act`). Faces with little to gain are left as they are.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.files import ASSETS, calibration_errors, read_text
from odekit.core.image import Pixels
from odekit.images.colour import luma
from odekit.images.resize import square_resize

Array = NDArray[np.float64]
BUILT_IN = ASSETS / "face-guided" / "act.json"
SCHEMA = 2
TERMS = 3
"""Terms of the model for each measure."""
TABLES = ("centre", "scale", "term_centre", "term_scale", "weights")
LARGEST_SIDE, SMALLEST_SIDE = 256, 32
"""Sides between which faces are measured, in pixels."""
LARGE_FACE = 96
"""Side in the photograph, in pixels, from which a face has the threshold of large faces."""
SMOOTHED = (1.5, 0.4)
"""A result is only smoother than its face if the log powers of the two highest octaves fall by more: grain and the dots
of printed pictures look like noise to the regression, and hair goes with them. No face with the damage of photographs,
of severity 1 to 5, falls by so much in both: blur and compression have taken these octaves before."""
OCTAVES = 4
"""Radial octaves of the DCT that are measured, counted from the highest frequency of the measured side."""


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
class WorthCalibration:
    """A quadratic model of the gain from measures m: `bias + weights . t`.

    t are the standardised terms of z (see `quadratic_terms`), and z the standardised measures.
    """

    measures: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    term_centre: tuple[float, ...]
    term_scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
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
        terms = standardised(quadratic_terms(z), self.term_centre, self.term_scale)
        gain = float(self.bias + terms[0] @ np.array(self.weights))
        smooths = all(values[f"face {i}"] - values[f"result {i}"] > fall for i, fall in enumerate(SMOOTHED))
        margin = gain - (self.threshold if side < LARGE_FACE else self.large_threshold)
        return ResultJudgement(margin > 0 and not smooths, gain, side, values, margin, smooths)

    def tree(self) -> dict[str, Any]:
        """The calibration as plain data, for its file."""
        return {"schema": SCHEMA} | asdict(self)

    @classmethod
    def from_tree(cls, data: Mapping[str, Any]) -> WorthCalibration:
        """From the plain data of a file. Raises ValueError or KeyError if that is not a calibration."""
        if data["schema"] != SCHEMA:
            raise ValueError(f"this odekit reads schema {SCHEMA}, not {data['schema']}")
        tables = {name: tuple(map(float, data[name])) for name in TABLES}
        names = tuple(map(str, data["measures"]))
        limits = [float(data["threshold"]), float(data.get("large_threshold", data["threshold"]))]
        numbers = [*(v for table in tables.values() for v in table), float(data["bias"]), *limits]
        lengths = [len(tables[name]) for name in TABLES]
        if (
            lengths != [len(names)] * 2 + [TERMS * len(names)] * 3
            or names[0] != "side"
            or not np.isfinite(numbers).all()
        ):
            raise ValueError("the sizes of its tables do not match, or a number is not finite")
        return cls(
            names, **tables, bias=float(data["bias"]), threshold=limits[0], large_threshold=limits[1],
            about=data.get("about"),
        )  # fmt: skip


def standardised(values: Array, centre: Sequence[float], scale: Sequence[float]) -> Array:
    """Values (n, k) in standard deviations from their centre, clipped to three."""
    out: Array = np.clip((values - np.array(centre)) / np.array(scale), -3, 3)
    return out


def quadratic_terms(z: Array) -> Array:
    """Standardised measures (n, k), their squares, and their products with the first, the side: (n, 3 k)."""
    return np.concatenate([z, z**2, z * z[:, :1]], axis=1)


def measured_side(native: float) -> int:
    """Side at which a face of `native` pixels is measured."""
    return int(min(max(round(native), SMALLEST_SIDE), LARGEST_SIDE))


def measure(original: Pixels, result: Pixels) -> dict[str, float]:
    """Measures of a face and its result (3, n, n): log powers by octave, of the face and of the change.

    `relative` is the change's less the face's, `slope` the face's in an octave less that in the next lower one: both
    tell a picture that lost its finest detail from one that never had much.

    Octave 0 ends at the highest frequency that n pixels hold, octave 1 at half of it, and so on. Only the inner part
    counts, which shows the face. Powers are per pixel, luma in [0, 1], in natural logarithms, bounded below by -18.
    """
    inner = slice(original.shape[1] // 5, -(original.shape[1] // 6))
    before, after = (luma(pixels).astype(np.float64)[inner, inner] for pixels in (original, result))
    values = {"side": float(np.log(original.shape[1] / LARGEST_SIDE))}
    for name, plane in (("face", before), ("result", after), ("change", after - before)):
        for octave, power in enumerate(octave_powers(plane)):
            values[f"{name} {octave}"] = float(np.log(max(power, 1.5e-8)))
    for octave in range(OCTAVES):
        values[f"relative {octave}"] = values[f"change {octave}"] - values[f"face {octave}"]
    for octave in range(OCTAVES - 1):
        values[f"slope {octave}"] = values[f"face {octave}"] - values[f"face {octave + 1}"]
    colour = (result - original)[:, inner, inner] - (after - before)[None]
    values["colour"] = float(np.log(max(float((colour.astype(np.float64) ** 2).mean()), 1.5e-8)))
    return values


def octave_powers(plane: Array) -> list[float]:
    """Power per pixel of a plane (H, W) in the octaves of its DCT."""
    from scipy.fft import dctn

    power = dctn(plane, norm="ortho") ** 2 / plane.size
    height, width = plane.shape
    radius = np.maximum(*np.meshgrid(np.arange(height) / height, np.arange(width) / width, indexing="ij"))
    edges = 2.0 ** -np.arange(OCTAVES + 1)
    return [float(power[(radius <= high) & (radius > low)].sum()) for high, low in itertools.pairwise(edges)]


@cache
def load_worth(path: Path | None = None) -> WorthCalibration:
    """The calibration in a file; that of the built-in weights if None.

    Raises:
        ConfigError: the file does not exist, or is not a calibration.
    """
    file = path or BUILT_IN
    with calibration_errors("the calibration of act", file, "act"):
        return WorthCalibration.from_tree(json.loads(read_text(file)))
