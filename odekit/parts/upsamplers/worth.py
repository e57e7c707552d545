"""Whether the detail of a guided upsampler makes a face better for people, judged from the face and its result.

Small networks predict how much LPIPS and the distance of face descriptors to the true face fall; they are fitted on
faces with the damage of photographs (`odekit calibrate act`). Faces with little to gain are left as they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from odekit.core.files import ASSETS, calibration_errors, read_text
from odekit.core.image import Pixels
from odekit.images.resize import square_resize
from odekit.parts.upsamplers.change_measures import (
    LARGEST_SIDE,
    measure,
    measure_face,
    measures_of_a_face,
    measures_of_a_pair,
)
from odekit.parts.upsamplers.gain_model import GainModel

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
    foreseen: bool = False
    """Judged from the face alone: there is no result."""

    def tree(self) -> dict[str, Any]:
        """The judgement as plain data, for the record."""
        measures = {name: round(value, 4) for name, value in self.measures.items()}
        figures = {"expected_gain": round(self.gain, 4), "measured_side": self.side, "measures": measures}
        marks = {name: True for name in ("smooths", "foreseen") if getattr(self, name)}
        return {"act": self.act} | marks | figures


@dataclass(frozen=True)
class Foresight:
    """Tells from a face alone, before its result is computed, that the result would not be used."""

    model: GainModel
    """Of the judgement's margin."""
    threshold: float
    """Predicted margin below which no result is computed."""

    def tree(self) -> dict[str, Any]:
        """The foresight as plain data."""
        return self.model.tree() | {"threshold": self.threshold}

    @classmethod
    def from_tree(cls, data: Mapping[str, Any]) -> Foresight:
        """From plain data. Raises ValueError or KeyError if that is no foresight."""
        return cls(GainModel.from_tree(data, measures_of_a_face()), finite(data["threshold"]))


@dataclass(frozen=True)
class WorthCalibration:
    """What decides whether results are used."""

    model: GainModel
    """Of the fall of LPIPS plus half that of the face distance."""
    threshold: float
    """Predicted gain from which the result of a face smaller than `LARGE_FACE` is used."""
    large_threshold: float
    """The same for larger faces. Small faces of healthy photographs are softer, so that more seems to be gained."""
    foresight: Foresight | None = None
    """None in the files of earlier versions: every result is computed."""
    about: Mapping[str, Any] | None = None
    """Faces, damage and figures of the fit."""

    def judge(self, original: Pixels, result: Pixels, native: float = 0.0) -> ResultJudgement:
        """Judge a result (3, H, W) of an original (3, h, w) whose side in its photograph is `native` pixels.

        `native` 0: the side of the original itself.
        """
        side = measured_side(native or min(original.shape[1:]))
        values = measure(square_resize(original, side), square_resize(result, side))
        gain = self.model(values)
        smooths = all(values[f"face {i}"] - values[f"result {i}"] > fall for i, fall in enumerate(SMOOTHED))
        margin = gain - self.least_gain(side)
        return ResultJudgement(margin > 0 and not smooths, gain, side, values, margin, smooths)

    def foresee(self, original: Pixels, native: float = 0.0) -> ResultJudgement | None:
        """What `judge` would say of any result, as far as the original tells; None where it does not.

        A result is not worth computing if `act` is False.
        """
        if self.foresight is None:
            return None
        side = measured_side(native or min(original.shape[1:]))
        values = measure_face(square_resize(original, side))
        margin = self.foresight.model(values)
        act = margin >= self.foresight.threshold
        return ResultJudgement(act, margin + self.least_gain(side), side, values, margin, foreseen=True)

    def least_gain(self, side: int) -> float:
        """The threshold for faces of this side."""
        return self.threshold if side < LARGE_FACE else self.large_threshold

    def tree(self) -> dict[str, Any]:
        """The calibration as plain data, for its file; weights are rounded to five digits."""
        thresholds = {"threshold": self.threshold, "large_threshold": self.large_threshold}
        foresight = {} if self.foresight is None else {"foresight": self.foresight.tree()}
        return {"schema": SCHEMA} | self.model.tree() | thresholds | foresight | {"about": self.about}

    @classmethod
    def from_tree(cls, data: Mapping[str, Any]) -> WorthCalibration:
        """From the plain data of a file. Raises ValueError or KeyError if that is not a calibration."""
        if data["schema"] != SCHEMA:
            raise ValueError(f"this odekit reads schema {SCHEMA}, not {data['schema']}")
        limits = finite(data["threshold"]), finite(data["large_threshold"])
        foresight = Foresight.from_tree(data["foresight"]) if "foresight" in data else None
        return cls(GainModel.from_tree(data, measures_of_a_pair()), *limits, foresight, about=data.get("about"))


def finite(value: Any) -> float:
    """A number. Raises ValueError if it is not finite."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("a number is not finite")
    return number


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
