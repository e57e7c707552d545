"""Fits the meter of `iterations: auto`: the gain of each strength as a linear function of the readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.evaluation.experiments.faces import Pictures
from odekit.parts.enhancers.calibration import Calibration, Strength
from odekit.training.calibration.treated import STRENGTHS, Treated

Array = NDArray[np.float64]
RIDGES = (1.0, 3.0, 10.0, 30.0)
"""Penalties that are tried; the one with the smallest leave-one-out error is taken."""
SSIM_WEIGHT = 10.0
"""dB that one unit of SSIM counts."""
HELD = (-6.0, 12.0)
"""dB within which a picture's gain counts, so that none rules the fit."""


def chosen(train: Pictures, limit: int) -> Pictures:
    """Training faces to calibrate on: a fixed random choice."""
    return train[np.random.Generator(np.random.PCG64(5)).permutation(len(train))[:limit]]


def worth(treated: Treated, name: str) -> Array:
    """What a strength gained on each picture, dB: PSNR and `SSIM_WEIGHT` times SSIM."""
    found: Array = treated.gain(name) + SSIM_WEIGHT * (treated.ssim[name] - treated.ssim["none"])
    return np.clip(found, *HELD)


def fit(
    readings: Sequence[Mapping[str, float]],
    gains: Mapping[str, Array],
    strengths: Sequence[Strength] = STRENGTHS,
    about: Mapping[str, Any] | None = None,
    level: float | None = None,
    digest: str | None = None,
) -> Calibration:
    """Ridge regression of every gain on the standardised readings.

    The penalty is the one of `RIDGES` with the smallest mean squared leave-one-out error (closed form: residual over
    one minus leverage).
    """
    names = tuple(readings[0])
    raw = np.array([[one[name] for name in names] for one in readings])
    centre, scale = raw.mean(0), np.maximum(raw.std(0), 1e-6)
    z = np.clip((raw - centre) / scale, -3, 3)
    wanted = np.array([gains[one.name] for one in strengths]).T
    left = {ridge: leave_one_out(z, wanted, ridge) for ridge in RIDGES}
    ridge = min(left, key=lambda r: float(np.mean((wanted - left[r]) ** 2)))
    bias, weights = solve(z, wanted, ridge)
    return Calibration(
        tuple(strengths), names, tuple(centre.tolist()), tuple(scale.tolist()), tuple(bias.tolist()),
        tuple(map(tuple, weights.T.tolist())), caution(left[ridge], wanted), level, digest,
        {**(about or {}), "ridge": ridge},
    )  # fmt: skip


def solve(z: Array, wanted: Array, ridge: float) -> tuple[Array, Array]:
    """(bias, weights) of the ridge regression of (n, k) on (n, d); the bias is not penalised."""
    middle, mean = z.mean(0), wanted.mean(0)
    centred = z - middle
    weights = np.linalg.solve(centred.T @ centred + ridge * np.eye(z.shape[1]), centred.T @ (wanted - mean))
    return mean - middle @ weights, weights


def leave_one_out(z: Array, wanted: Array, ridge: float) -> Array:
    """Each picture's promises by a fit without it, in closed form."""
    bias, weights = solve(z, wanted, ridge)
    centred = z - z.mean(0)
    hat = centred @ np.linalg.solve(centred.T @ centred + ridge * np.eye(z.shape[1]), centred.T) + 1 / len(z)
    residual: Array = (wanted - bias - z @ weights) / (1 - np.diag(hat))[:, None]
    return wanted - residual


def caution(promised: Array, wanted: Array) -> float:
    """The highest promise to ask for that loses nothing: what is in doubt is left alone.

    On pictures that the fit did not see the mean gain hardly depends on it. So it is the highest bound whose mean gain
    is within one standard error (of the difference, paired) of the best bound's: the one-standard-error rule of
    Breiman, Friedman, Olshen and Stone, Classification and Regression Trees (1984).
    """
    best = promised.argmax(1)
    promise, gain = promised.max(1), wanted[np.arange(len(wanted)), best]
    bounds = np.linspace(0, 3, 31)
    gained = np.where(promise > bounds[:, None], gain, 0)
    lost = gained[int(gained.mean(1).argmax())] - gained
    within = lost.mean(1) <= lost.std(1) / np.sqrt(len(promise))
    return float(bounds[within].max())
