"""Fits the damage meter of `iterations: auto`: the gain of each strength as a linear function of the readings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.evaluation.experiments.faces import Pictures, choose_faces, train_faces
from odekit.parts.enhancers.calibration import Strength, StrengthCalibration
from odekit.training.calibration.regression import ridge_weights
from odekit.training.calibration.restored_cases import (
    STRENGTHS,
    RestoredCases,
    open_restore,
    plain_and_prepared_cases,
    restore_cases,
)

Array = NDArray[np.float64]
FACES_SEED = 5
"""Seed of the choice of faces."""
RIDGES = (1.0, 3.0, 10.0, 30.0)
"""Candidate penalties; the one with the smallest leave-one-out error is used."""
SSIM_WEIGHT = 10.0
"""Weight of SSIM in the combined gain: dB for one unit of SSIM."""
GAIN_RANGE = (-6.0, 12.0)
"""dB to which the combined gain of an image is clipped, so that no image dominates the fit."""


def calibrate(
    chain: str,
    data: Path | None,
    limit: int = 128,
    *,
    seed: int = 0,
    keep: Path | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> StrengthCalibration:
    """Fit the meter of a chain on training faces with known damage.

    Args:
        chain: a chain that begins with `restore`; prior and inverter are taken from it.
        data: aligned faces with a training split.
        limit: at most this many faces.
        seed: of damage and noise.
        keep: a folder for finished results; nothing in it is computed again.
        progress: called with a line of text after each batch.

    Raises:
        ConfigError: the chain begins with another stage.
        InputError: no training faces.
    """
    session, stage = open_restore(chain, batch_size=8, enhancer="none")
    pictures = choose_faces(train_faces(data, stage.prior.shape[1]), limit, seed=FACES_SEED)
    cases = plain_and_prepared_cases(pictures, seed, lambda image: stage.preprocess(image)[0])
    restored = restore_cases(cases, stage.inverter, stage.prior, seed=seed, keep=keep, progress=progress)
    gains = {one.name: combined_gain(restored, one.name) for one in STRENGTHS}
    levels, digests = stage.inverter.levels, list(session.weights().values())
    level, digest = levels.t[-1] / len(levels.schedule), digests[0] if digests else None
    about = {"faces": describe_faces(pictures, "train"), "seed": seed}
    return fit(restored.readings, gains, STRENGTHS, about, level, digest)


def describe_faces(pictures: Pictures, split: str) -> str:
    """The faces and their damage in one line."""
    return f"{len(pictures)} {split} faces, 20 kinds of damage, severities 0 to 5"


def combined_gain(restored: RestoredCases, name: str) -> Array:
    """The gain of a strength on each image, dB: PSNR plus `SSIM_WEIGHT` times SSIM, clipped to `GAIN_RANGE`."""
    gain: Array = restored.gain(name) + SSIM_WEIGHT * (restored.ssim[name] - restored.ssim["none"])
    return np.clip(gain, *GAIN_RANGE)


def fit(
    readings: Sequence[Mapping[str, float]],
    gains: Mapping[str, Array],
    strengths: Sequence[Strength] = STRENGTHS,
    about: Mapping[str, Any] | None = None,
    level: float | None = None,
    digest: str | None = None,
) -> StrengthCalibration:
    """Ridge regression of every gain on the standardised readings.

    The penalty is the one of `RIDGES` with the smallest mean squared leave-one-out error (closed form: residual over
    one minus leverage).

    Args:
        readings: of the meter, one mapping for each image.
        gains: of each image in dB, by strength.
        strengths: that the meter chooses from.
        about: a description of the faces, stored with the calibration.
        level: of the latents that were read, as a fraction of the schedule.
        digest: SHA-256 of the prior's weights.
    """
    names = tuple(readings[0])
    raw = np.array([[one[name] for name in names] for one in readings])
    centre, scale = raw.mean(0), np.maximum(raw.std(0), 1e-6)
    z = np.clip((raw - centre) / scale, -3, 3)
    wanted = np.array([gains[one.name] for one in strengths]).T
    left_out = {ridge: leave_one_out(z, wanted, ridge) for ridge in RIDGES}
    ridge = min(left_out, key=lambda r: float(np.mean((wanted - left_out[r]) ** 2)))
    bias, weights = solve_with_bias(z, wanted, ridge)
    return StrengthCalibration(
        tuple(strengths), names, tuple(centre.tolist()), tuple(scale.tolist()), tuple(bias.tolist()),
        tuple(map(tuple, weights.T.tolist())), fit_threshold(left_out[ridge], wanted), level, digest,
        {**(about or {}), "ridge": ridge},
    )  # fmt: skip


def solve_with_bias(z: Array, wanted: Array, ridge: float) -> tuple[Array, Array]:
    """(bias, weights) of the ridge regression of (n, k) on (n, d); the bias is not penalised."""
    middle, mean = z.mean(0), wanted.mean(0)
    centred = z - middle
    weights = ridge_weights(centred, wanted - mean, ridge)
    return mean - middle @ weights, weights


def leave_one_out(z: Array, wanted: Array, ridge: float) -> Array:
    """The gains that a fit without the image predicts for it, in closed form."""
    bias, weights = solve_with_bias(z, wanted, ridge)
    centred = z - z.mean(0)
    hat = centred @ np.linalg.solve(centred.T @ centred + ridge * np.eye(z.shape[1]), centred.T) + 1 / len(z)
    residual: Array = (wanted - bias - z @ weights) / (1 - np.diag(hat))[:, None]
    return wanted - residual


def fit_threshold(predicted: Array, measured: Array) -> float:
    """The predicted gain below which an image stays unchanged, in dB; both arguments are (images, strengths).

    On images outside the fit the mean gain hardly depends on the threshold. So it is the highest threshold whose mean
    gain is within one standard error (paired) of the best threshold's: the one-standard-error rule of Breiman,
    Friedman, Olshen and Stone, Classification and Regression Trees (1984).
    """
    best = predicted.argmax(1)
    prediction, gain = predicted.max(1), measured[np.arange(len(measured)), best]
    thresholds = np.linspace(0, 3, 31)
    gained = np.where(prediction > thresholds[:, None], gain, 0)
    loss = gained[int(gained.mean(1).argmax())] - gained
    within = loss.mean(1) <= loss.std(1) / np.sqrt(len(prediction))
    return float(thresholds[within].max())
