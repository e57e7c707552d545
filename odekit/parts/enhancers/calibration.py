"""Treatment strengths, and the calibration that chooses one from damage meter readings. Loads no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from odekit.core.files import ASSETS, calibration_errors, read_text
from odekit.errors import ConfigError

BUILT_IN_CALIBRATION = ASSETS / "face64" / "strength.json"
SCHEMA = 1
LEVEL_TOLERANCE = 0.03
"""Largest distance of latents from the level of the calibration, as a fraction of the schedule."""


@dataclass(frozen=True)
class Strength:
    """A treatment: `iterations` updates with step size a = `rate` sigma^2 at each of `levels`."""

    name: str
    levels: tuple[float, ...] = ()
    """Fractions of the schedule; empty where the image is not treated."""
    iterations: int = 0
    rate: float = 0.0
    temperature: float = 0.0


UNTREATED = Strength("none")
"""The image stays unchanged."""


@dataclass(frozen=True)
class StrengthDecision:
    """The strength chosen for an image, with the predicted gains and the readings behind them."""

    strength: Strength
    expected: Mapping[str, float]
    """Name of a strength -> predicted gain over the input in dB of PSNR."""
    readings: Mapping[str, float]
    """Damage meter readings."""
    reasons: Mapping[str, float]
    """Name of a reading -> its contribution in dB to the predicted gain of the best strength, largest first."""
    given: bool = False
    """The strength was set by the user, not chosen by the readings."""

    def tree(self) -> dict[str, Any]:
        """The decision as plain data, for records."""
        settings = {key: value for key, value in asdict(self.strength).items() if key != "name"}
        gains = {key: round(value, 3) for key, value in self.expected.items()}
        reasons = {key: round(value, 3) for key, value in self.reasons.items()}
        readings = {key: round(value, 4) for key, value in self.readings.items()}
        return {
            "strength": self.strength.name, **settings, "expected_gain": gains, "reasons": reasons, "readings": readings
        } | ({"given": True} if self.given else {})  # fmt: skip


@dataclass(frozen=True)
class StrengthCalibration:
    """A linear model, fitted on images of known damage, that predicts the gain of each strength from the readings.

    The predicted gain of a strength is `bias + weights . (r - centre) / scale`; standardised readings are clamped to
    three standard deviations.
    """

    strengths: tuple[Strength, ...]
    readings: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    bias: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    threshold: float = 0.0
    """Threshold in dB: the image is treated only if the largest predicted gain exceeds it."""
    level: float | None = None
    """Level of the latents, as a fraction of the schedule; any level if None."""
    weights_digest: str | None = None
    """SHA-256 of the prior's weights; any prior if None."""
    about: Mapping[str, Any] | None = None
    """Faces and settings that the calibration was fitted on."""

    def check(self, level: float) -> None:
        """Check that latents at `level`, the top of the grid, match those of the calibration.

        Raises:
            ConfigError: `level` differs by more than 0.03 of the schedule.
        """
        if self.level is not None and abs(level - self.level) > LEVEL_TOLERANCE:
            raise ConfigError(
                f"iterations: auto was calibrated on latents at {self.level:.3f} of the schedule, but the inverter's "
                f"grid ends at {level:.3f}; set its top to {self.level:.3f}, as in the chain odedit-auto, or calibrate"
            )

    def check_prior(self, digest: str | None) -> None:
        """Check that the calibration was made for the prior with these weights. Raises ConfigError if not."""
        if self.weights_digest is not None and self.weights_digest != digest:
            raise ConfigError(
                "iterations: auto was calibrated for another prior; give a number with "
                "--set restore.enhancer.iterations=10, or calibrate with 'odekit calibrate meter -o FILE "
                "--chain ... --data ...' and set the enhancer's option meter to that file"
            )

    def decide(self, readings: Mapping[str, float]) -> StrengthDecision:
        """The strength with the largest predicted gain if that exceeds `threshold`, otherwise none."""
        z = [
            max(-3.0, min(3.0, (readings[name] - centre) / scale))
            for name, centre, scale in zip(self.readings, self.centre, self.scale, strict=True)
        ]
        gains = [
            bias + sum(weight * value for weight, value in zip(row, z, strict=True))
            for bias, row in zip(self.bias, self.weights, strict=True)
        ]
        best = max(range(len(gains)), key=gains.__getitem__)
        chosen = self.strengths[best] if gains[best] > self.threshold else UNTREATED
        expected = {strength.name: gain for strength, gain in zip(self.strengths, gains, strict=True)}
        terms = zip(self.readings, self.weights[best], z, strict=True)
        reasons = dict(
            sorted(((name, weight * value) for name, weight, value in terms), key=lambda term: -abs(term[1]))
        )
        return StrengthDecision(chosen, expected, dict(readings), reasons)

    def strength_named(self, name: str) -> Strength:
        """The strength of this name; `none` is no treatment. Raises ConfigError if there is none."""
        for strength in (UNTREATED, *self.strengths):
            if strength.name == name:
                return strength
        names = ", ".join(strength.name for strength in self.strengths)
        raise ConfigError(f"the calibration has no strength '{name}'; choose none, {names}")

    def tree(self) -> dict[str, Any]:
        """The calibration as plain data, for its file."""
        fields = {"caution" if name == "threshold" else name: value for name, value in asdict(self).items()}
        return {"schema": SCHEMA} | fields

    @classmethod
    def from_tree(cls, data: Mapping[str, Any]) -> StrengthCalibration:
        """From the plain data of a file. Raises ValueError or KeyError if that is not a calibration."""
        if data["schema"] != SCHEMA:
            raise ValueError(f"this odekit reads schema {SCHEMA}, not {data['schema']}")
        strengths = tuple(Strength(**{**entry, "levels": tuple(entry["levels"])}) for entry in data["strengths"])
        for s in strengths:
            if not 0 < s.rate < 2 or s.iterations < 1 or not s.temperature >= 0 or not s.levels:
                raise ValueError(
                    f"strength '{s.name}' needs a rate above 0 and below 2, at least one iteration and level, and a "
                    "temperature of at least 0"
                )
        weights = tuple(tuple(map(float, row)) for row in data["weights"])
        centre, scale, bias = (finite(data[key]) for key in ("centre", "scale", "bias"))
        calibration = cls(
            strengths, tuple(data["readings"]), centre, scale, bias, weights, float(data["caution"]),
            data.get("level"), data.get("weights_digest"), data.get("about"),
        )  # fmt: skip
        rows, columns = {len(bias), len(weights)}, {len(centre), len(scale), *map(len, weights)}
        if rows != {len(strengths)} or columns != {len(calibration.readings)}:
            raise ValueError("the sizes of its tables do not match")
        return calibration


def finite(values: Sequence[float]) -> tuple[float, ...]:
    """The values as floats. Raises ValueError unless all are finite."""
    numbers = tuple(map(float, values))
    if not all(map(math.isfinite, numbers)):
        raise ValueError("all numbers must be finite")
    return numbers


@cache
def load_calibration(path: Path | None = None) -> StrengthCalibration:
    """The calibration in a file; that of the built-in prior if None.

    Raises:
        ConfigError: the file does not exist, or is not a calibration.
    """
    file = path or BUILT_IN_CALIBRATION
    with calibration_errors("the meter's calibration", file, "meter"):
        return StrengthCalibration.from_tree(json.loads(read_text(file)))
