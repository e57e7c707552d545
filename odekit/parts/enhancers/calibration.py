"""How strongly a picture is treated, and the calibration by which a meter of damage decides it. Loads no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from odekit.core.files import ASSETS
from odekit.errors import ConfigError

BUILT_IN = ASSETS / "face64" / "strength.json"
SCHEMA = 1
SLACK = 0.03
"""How far from its own level a meter may read, as a fraction of the schedule."""


@dataclass(frozen=True)
class Strength:
    """One way to treat a picture: `iterations` updates with a = `rate` sigma^2 at each of `levels`."""

    name: str
    levels: tuple[float, ...] = ()
    """Fractions of the schedule; none where the picture is left alone."""
    iterations: int = 0
    rate: float = 0.0
    temperature: float = 0.0


NONE = Strength("none")
"""The picture is left alone."""


@dataclass(frozen=True)
class Decision:
    """What the meter decided for a picture, and why."""

    strength: Strength
    expected: Mapping[str, float]
    """Strength -> the gain that the calibration expects of it over the input, in dB of PSNR."""
    readings: Mapping[str, float]
    """What the meter read."""
    reasons: Mapping[str, float]
    """Reading -> dB that it added to the promise of the best strength, largest first."""

    def tree(self) -> dict[str, Any]:
        """Plain data for records."""
        chosen = {key: value for key, value in asdict(self.strength).items() if key != "name"}
        rounded = {key: round(value, 3) for key, value in self.expected.items()}
        read = {key: round(value, 4) for key, value in self.readings.items()}
        reasons = {key: round(value, 3) for key, value in self.reasons.items()}
        return {
            "strength": self.strength.name, **chosen, "expected_gain": rounded, "reasons": reasons, "readings": read
        }  # fmt: skip


@dataclass(frozen=True)
class Calibration:
    """What pictures of known damage taught: how the gain of each strength follows from the meter's readings.

    The expected gain of a strength is linear in the standardised readings, `bias + weights . (r - centre) / scale`,
    readings held within three standard deviations.
    """

    strengths: tuple[Strength, ...]
    readings: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    bias: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    caution: float = 0.0
    """dB that a strength must promise before the picture is touched."""
    level: float | None = None
    """Where the latents were read, as a fraction of the schedule; anywhere where None."""
    weights_digest: str | None = None
    """SHA-256 of the prior's weights; any prior where None."""
    about: Mapping[str, Any] | None = None
    """Faces and settings of the calibration."""

    def check(self, level: float) -> None:
        """Refuse latents of another level than those of the calibration.

        Raises:
            ConfigError: the grid ends more than 0.03 of the schedule above or below.
        """
        if self.level is not None and abs(level - self.level) > SLACK:
            raise ConfigError(
                f"the meter of iterations: auto reads latents at {self.level:.3f} of the schedule, and the inverter's "
                f"grid ends at {level:.3f}; set its top to {self.level:.3f}, as in the chain odedit-auto, or calibrate"
            )

    def belongs(self, digest: str | None) -> None:
        """Refuse another prior than the calibration's. Raises ConfigError."""
        if self.weights_digest is not None and self.weights_digest != digest:
            raise ConfigError(
                "the meter of iterations: auto was calibrated for another prior; say how often with "
                "--set restore.enhancer.iterations=10, or calibrate it with 'odekit calibrate meter -o FILE "
                "--chain ... --data ...' and name the file as the enhancer's meter"
            )

    def decide(self, readings: Mapping[str, float]) -> Decision:
        """The strength of the largest expected gain, or none where no gain is above the caution."""
        z = [
            max(-3.0, min(3.0, (readings[name] - centre) / scale))
            for name, centre, scale in zip(self.readings, self.centre, self.scale, strict=True)
        ]
        gains = [
            bias + sum(weight * value for weight, value in zip(row, z, strict=True))
            for bias, row in zip(self.bias, self.weights, strict=True)
        ]
        best = max(range(len(gains)), key=gains.__getitem__)
        chosen = self.strengths[best] if gains[best] > self.caution else NONE
        expected = {one.name: gain for one, gain in zip(self.strengths, gains, strict=True)}
        pushes = zip(self.readings, self.weights[best], z, strict=True)
        reasons = dict(sorted(((name, w * v) for name, w, v in pushes), key=lambda push: -abs(push[1])))
        return Decision(chosen, expected, dict(readings), reasons)

    def tree(self) -> dict[str, Any]:
        """Plain data for the file."""
        return {"schema": SCHEMA} | asdict(self)

    @classmethod
    def from_tree(cls, data: Mapping[str, Any]) -> Calibration:
        """From the plain data of a file. Raises ValueError or KeyError for what is no calibration."""
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']} is not known to this odekit, which reads {SCHEMA}")
        strengths = tuple(Strength(**{**one, "levels": tuple(one["levels"])}) for one in data["strengths"])
        for one in strengths:
            if not 0 < one.rate < 2 or one.iterations < 1 or not one.temperature >= 0 or not one.levels:
                raise ValueError(f"strength '{one.name}' cannot be carried out (rate above 0 and below 2, levels, ...)")
        weights = tuple(tuple(map(float, row)) for row in data["weights"])
        centre, scale, bias = (numbers(data[key]) for key in ("centre", "scale", "bias"))
        made = cls(
            strengths, tuple(data["readings"]), centre, scale, bias, weights, float(data["caution"]),
            data.get("level"), data.get("weights_digest"), data.get("about"),
        )  # fmt: skip
        wide, high = len(made.readings), len(strengths)
        rows, columns = {len(made.bias), len(weights)}, {len(made.centre), len(made.scale), *map(len, weights)}
        if columns != {wide} or rows != {high}:
            raise ValueError("its tables do not fit each other")
        return made


def numbers(values: Sequence[float]) -> tuple[float, ...]:
    """Finite numbers. Raises ValueError where one is not."""
    found = tuple(map(float, values))
    if not all(map(math.isfinite, found)):
        raise ValueError("it holds numbers that are not finite")
    return found


@cache
def load_calibration(path: Path | None = None) -> Calibration:
    """The calibration of a file; of the built-in prior where None.

    Raises:
        ConfigError: no such file, or it is no calibration.
    """
    file = path or BUILT_IN
    try:
        return Calibration.from_tree(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"the meter's calibration {file} cannot be used: {error}; "
            f"write one with 'odekit calibrate meter'"
        ) from error
