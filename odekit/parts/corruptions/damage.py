"""The built-in kinds of damage as parts: an option model for each kind, and the part itself. Loads no torch.

In YAML a kind is `fog`, or `{use: mask_lines, severity: 4, fraction: 0.5}`: the severity and, optionally, parameters
that replace those of the tables.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import numpy as np
from pydantic import create_model, field_validator

from odekit.core.image import Image
from odekit.core.options import Options
from odekit.parts.corruptions.kinds import SEVERITIES, check_corruption, corrupt
from odekit.parts.corruptions.tables import INTEGER_PARAMETERS, PARAMETER_NAMES

EXTRA_OPTIONS: dict[str, dict[str, Any]] = {
    "motion_blur": {"angle": (float | None, None)},
    "frost": {"folder": (str | None, None)},
    "mask_pixels": {"colour": (str | list[int] | None, None), "per_channel": (bool | None, None)},
    "mask_lines": {"colour": (str | list[int] | None, None), "per_channel": (bool | None, None)},
    "mask_gaussian": {"std": (float | None, None), "per_channel": (bool | None, None)},
}
"""Options of a kind besides the parameters of the tables; None is the kind's default."""

SUMMARIES: dict[str, str] = {
    "gaussian_noise": "Gaussian noise", "shot_noise": "Poisson noise", "impulse_noise": "salt-and-pepper noise",
    "defocus_blur": "out of focus", "glass_blur": "frosted glass", "motion_blur": "camera motion",
    "zoom_blur": "zoom during the exposure", "snow": "falling snow", "frost": "ice on the glass", "fog": "fog",
    "brightness": "overexposure", "contrast": "low contrast", "elastic": "elastic deformation",
    "pixelate": "low resolution with visible pixels", "jpeg": "JPEG compression",
    "speckle_noise": "noise proportional to intensity", "gaussian_blur": "Gaussian blur",
    "spatter": "water or mud on the lens", "saturate": "too much or too little saturation",
    "mask_pixels": "random pixels in one colour", "mask_lines": "random columns in random colours",
    "mask_gaussian": "random pixels of Gaussian noise", "scratches": "scratched print", "stains": "stained print",
}  # fmt: skip


class CorruptionOptions(Options):
    """Options that all built-in kinds have."""

    severity: int = 4
    """1 (mild) to 5 (severe); the paper uses 4."""
    table: Literal["auto", "64", "224"] = "auto"
    """Published parameters for 64-pixel or 224-pixel pictures; `auto` uses 64 for pictures up to 64 pixels."""

    @field_validator("severity")
    @classmethod
    def _severity(cls, value: int) -> int:
        if value not in SEVERITIES:
            raise ValueError("a severity is a whole number from 1 (mild) to 5 (severe)")
        return value

    def explicit_options(self) -> dict[str, Any]:
        """The options of the kind itself that are set."""
        options = {
            name: getattr(self, name) for name in type(self).model_fields if name not in CorruptionOptions.model_fields
        }
        return {name: value for name, value in options.items() if value is not None}


@functools.cache
def options_model(kind: str) -> type[CorruptionOptions]:
    """The option model of a built-in kind: the parameters of the tables, and its `EXTRA_OPTIONS`."""
    fields: dict[str, Any] = {
        name: ((int if name in INTEGER_PARAMETERS else float) | None, None) for name in PARAMETER_NAMES[kind]
    }
    model: type[CorruptionOptions] = create_model(
        f"{kind.title().replace('_', '')}Options", __base__=CorruptionOptions, **(fields | EXTRA_OPTIONS.get(kind, {}))
    )
    model.part = kind
    return model


class BuiltinCorruption:
    """A built-in kind with its options; see `odekit.core.interfaces.Corruption`."""

    def __init__(self, kind: str, options: CorruptionOptions) -> None:
        """Check the options.

        Raises:
            ConfigError: an option is out of range.
        """
        self.kind = kind
        self.options = options
        check_corruption(kind, options.severity, **options.explicit_options())

    def corrupt(self, image: Image, rng: np.random.Generator) -> Image:
        """The damaged picture, with levels of 8 bits; alpha and metadata are unchanged."""
        options = self.options
        pixels = corrupt(
            image.to_uint8(), self.kind, options.severity, rng, options.table, **options.explicit_options()
        )
        return image.with_pixels(Image.from_uint8(pixels).pixels)
