"""Undoes damage to brightness, contrast, saturation, tint, and fog: a few numbers of colour, estimated blindly.

R, G and B are turned into luma and two chroma axes (orthonormal). Luma is shifted and stretched to a mean and a spread,
chroma likewise to two means and one spread for both: five numbers, the ones that a face like this would have. Fog is
no such change, because it differs from place to place: there the 8 x 8 lowest DCT coefficients of luma are estimated,
and the rest stretched. The numbers follow from statistics of the picture by a quadratic function that was fitted to
the prior's own training faces with damage that was known (`odekit calibrate colour`); two logistic gates,
fitted likewise, say whether the colours are damaged at all, and whether by fog. Where they are not, the picture stays
as it is to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.files import ASSETS
from odekit.core.image import Image
from odekit.errors import ConfigError
from odekit.images.colour import LUMA_CHROMA

Array = NDArray[np.float64]
BUILT_IN = ASSETS / "face64" / "balance.npz"
LOW = 8
"""Side of the block of DCT coefficients that fog is undone in."""
NUMBERS = ("mean", "spread", "tint 1", "tint 2", "colour")
FIELDS = (
    "mean", "spread", "low", "tenth", "middle", "ninetieth", "high", "chroma 1", "chroma 2", "chroma spread",
    "saturation", "saturation spread", "black", "white", "detail",
)  # fmt: skip
"""The statistics."""


def statistics(pixels: NDArray[np.float32]) -> Array:
    """The statistics of one picture (3, H, W) in [0, 1], as `FIELDS` names them."""
    turned = np.einsum("ij,jhw->ihw", LUMA_CHROMA, pixels.astype(np.float64))
    luma, chroma = turned[0] / np.sqrt(3), turned[1:]
    quantiles = np.quantile(luma, [0.01, 0.1, 0.5, 0.9, 0.99])
    colourful = pixels.max(0) - pixels.min(0)
    detail = np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean()
    clipped = [float((pixels < 0.02).mean()), float((pixels > 0.98).mean())]
    return np.array(
        [
            luma.mean(), luma.std(), *quantiles, *chroma.mean((1, 2)), chroma.std(), colourful.mean(), colourful.std(),
            *clipped, detail / max(luma.std(), 0.02),
        ]
    )  # fmt: skip


def powers(standardised: Array) -> Array:
    """1, the statistics, and their products in pairs: (n, 1 + d + d (d + 1) / 2); values held within 4 deviations."""
    held = np.clip(standardised, -4, 4)
    first, second = np.triu_indices(held.shape[1])
    return np.concatenate([np.ones((len(held), 1)), held, held[:, first] * held[:, second]], axis=1)


@dataclass(frozen=True)
class ColourCorrection:
    """The fitted estimates; p is the length of `powers`."""

    centre: Array
    scale: Array
    """Of the statistics."""
    numbers: Array
    """(5, p): the weights of each of `NUMBERS`."""
    gate: Array
    """(p,): the logit of damaged colours."""
    threshold: Array
    """The logit from which colours count as damaged, as an array of one number."""
    fog_gate: Array
    """(p,): the logit of fog, where they are damaged."""
    low_centre: Array
    low_scale: Array
    """(64,): of the low coefficients."""
    fog: Array
    """(66, p + 64): weights for the low coefficients of luma, and for the sizes of the rest of luma and of chroma."""

    def undo(self, image: Image) -> tuple[Image, dict[str, Any]]:
        """The picture with its colours undone, and what was decided; the same picture where nothing is damaged.

        Pictures smaller than 8 pixels say too little and stay as they are.
        """
        if min(image.pixels.shape[1:]) < LOW:
            return image, {"damaged": False, "certainty": 0.0}
        terms = self.terms(statistics(image.pixels)[None])
        over = float(terms[0] @ self.gate - self.threshold[0])
        told: dict[str, Any] = {"damaged": over > 0, "certainty": round(over, 3)}
        if over <= 0:
            return image, told
        told["fog"] = bool(terms[0] @ self.fog_gate > 0)
        if told["fog"]:
            changed = defogged(image.pixels, self.fog @ self.with_low(terms, low(image.pixels)[None])[0])
        else:
            found = self.numbers @ terms[0]
            changed = transformed(image.pixels, found)
            told |= {name: round(float(value), 4) for name, value in zip(NUMBERS, found, strict=True)}
        return image.with_pixels(np.clip(changed, 0, 1).astype(np.float32)), told

    def terms(self, raw: Array) -> Array:
        """The powers of statistics (n, d)."""
        return powers((raw - self.centre) / self.scale)

    def with_low(self, terms: Array, coefficients: Array) -> Array:
        """(n, p + 64)."""
        held = np.clip((coefficients - self.low_centre) / self.low_scale, -4, 4)
        return np.concatenate([terms, held], axis=1)


def coefficients(pixels: NDArray[np.float32]) -> Array:
    """Orthonormal DCT of luma and chroma (3, H, W)."""
    turned = LUMA_CHROMA @ pixels.reshape(3, -1).astype(np.float64)
    from scipy.fft import dctn  # its import takes a third of a second, and few pictures are foggy

    found: Array = dctn(turned.reshape(pixels.shape), axes=(1, 2), norm="ortho")
    return found


def low(pixels: NDArray[np.float32]) -> Array:
    """The lowest coefficients of luma, per pixel of the picture's side, so that they do not depend on its size."""
    side = float(np.sqrt(pixels.shape[1] * pixels.shape[2]))
    return coefficients(pixels)[0, :LOW, :LOW].ravel() / side


def rest(found: Array) -> tuple[Array, Array]:
    """What is left of the coefficients: luma (1, H, W) without its low block, chroma (2, H, W)."""
    luma = found[:1].copy()
    luma[:, :LOW, :LOW] = 0
    return luma, found[1:]


def size(part: Array) -> float:
    """Root of the sum of squares, per pixel of the side."""
    return float(np.sqrt(max(float((part**2).sum()), 1e-8) / (part.shape[1] * part.shape[2])))


def defogged(pixels: NDArray[np.float32], wanted: Array) -> Array:
    """The picture with these low coefficients, the others of luma and of chroma stretched to these sizes."""
    from scipy.fft import idctn

    luma, chroma = rest(coefficients(pixels))
    luma, chroma = (
        part * (max(float(target), 0.0) / size(part)) for part, target in zip((luma, chroma), wanted[-2:], strict=True)
    )
    luma[0, :LOW, :LOW] = wanted[:-2].reshape(LOW, LOW) * np.sqrt(pixels.shape[1] * pixels.shape[2])
    turned = idctn(np.concatenate([luma, chroma]), axes=(1, 2), norm="ortho")
    back: Array = LUMA_CHROMA.T @ turned.reshape(3, -1)
    return back.reshape(pixels.shape)


def moments(turned: Array) -> tuple[Array, Array]:
    """Means of luma and the chroma axes (3, 1), and deviations (2,): of luma, and of both chroma axes together."""
    means = turned.mean(1, keepdims=True)
    squares = ((turned - means) ** 2).mean(1)
    return means, np.sqrt(np.maximum([squares[0], squares[1:].mean()], 1e-8))


def transformed(pixels: NDArray[np.float32], numbers: Array) -> Array:
    """(3, H, W) with the means and spreads of `NUMBERS`. A negative spread, which a fit may ask for, counts as none."""
    mean, spread, *tint, colour = (float(number) for number in numbers)
    turned = LUMA_CHROMA @ pixels.reshape(3, -1).astype(np.float64)
    means, deviations = moments(turned)
    factors = np.maximum([spread, colour], 0) / deviations
    scaled = (turned - means) * np.array([[factors[0]], [factors[1]], [factors[1]]])
    back: Array = LUMA_CHROMA.T @ (scaled + np.array([[mean], [tint[0]], [tint[1]]]))
    return back.reshape(pixels.shape)


@cache
def load_colour_correction(path: Path | None = None) -> ColourCorrection:
    """The estimates of a file; the built-in ones where None.

    Raises:
        ConfigError: no such file, or it is something else.
    """
    file = path or BUILT_IN
    try:
        with np.load(file, allow_pickle=False) as stored:
            made = ColourCorrection(
                **{one.name: stored[one.name].astype(np.float64) for one in fields(ColourCorrection)}
            )
        made.undo(Image(np.full((3, 16, 16), 0.5, np.float32)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"the colour estimate {file} cannot be used: {error}; write one with 'odekit calibrate colour'"
        ) from error
    return made
