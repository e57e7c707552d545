"""Fits the colour correction: colour statistics and fog by ridge regression, its gates by logistic regression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image
from odekit.evaluation.degrade.recipe import damage
from odekit.evaluation.experiments.faces import Pictures
from odekit.images.colour import LUMA_CHROMA_AXES
from odekit.parts.corruptions.kinds import KINDS
from odekit.parts.repair.colour import (
    ColourCorrection,
    coefficient_norm,
    dct_coefficients,
    moments,
    other_coefficients,
    statistics,
)
from odekit.parts.repair.colour import low_coefficients as low
from odekit.training.calibration.regression import ridge_weights

Array = NDArray[np.float64]
FACES_SEED = 6
"""Seed of the choice of faces."""
COLOUR_KINDS, SEVERITY = ("brightness", "contrast", "fog", "saturate"), 4


def examples(faces: Pictures, seed: int) -> Iterator[tuple[Image, Image, str, int]]:
    """(clean, damaged, kind, severity): each face undamaged, with each colour damage, and with two other kinds."""
    others = [kind for kind in KINDS if kind not in COLOUR_KINDS]
    for i, face in enumerate(faces):
        clean = Image.from_uint8(face)
        yield clean, clean, "clean", 0
        for number, kind in enumerate(COLOUR_KINDS):
            for severity in {1 + (i + number) % 5, SEVERITY}:
                yield clean, damage(clean, kind, seed, severity), kind, severity
        for number in range(2):
            kind, severity = others[(2 * i + number) % len(others)], 1 + (i // len(others) + number) % 5
            yield clean, damage(clean, kind, seed, severity), kind, severity


def calibrate(faces: Pictures, seed: int = 0, ridge: float = 10.0, unchanged_share: float = 0.999) -> ColourCorrection:
    """Fit the colour correction to faces with known damage.

    Args:
        faces: clean, uint8 (N, S, S, 3).
        seed: of the damage.
        ridge: the penalty of all regressions.
        unchanged_share: the share of images with undamaged colours that the threshold of the first gate leaves
            unchanged. Mild colour damage (severities 1 and 2) counts for neither class of that gate.
    """
    stats, numbers, lows, fogs, labels, fog = [], [], [], [], [], []
    for clean, damaged, kind, severity in examples(faces, seed):
        stats.append(statistics(damaged.pixels))
        numbers.append(best_numbers(damaged.pixels, clean.pixels))
        lows.append(low(damaged.pixels))
        fogs.append(best_fog(damaged.pixels, clean.pixels))
        labels.append(0 if kind not in COLOUR_KINDS else 1 if severity > 2 else -1)
        fog.append(kind == "fog")
    raw, low_coefficients, label, foggy = np.array(stats), np.array(lows), np.array(labels), np.array(fog)
    scaling = ColourCorrection(
        raw.mean(0), np.maximum(raw.std(0), 1e-6), np.zeros(0), np.zeros(0), np.zeros(1), np.zeros(0),
        low_coefficients[foggy].mean(0), np.maximum(low_coefficients[foggy].std(0), 1e-6), np.zeros(0),
    )  # fmt: skip
    terms, recoloured = scaling.terms(raw), label != 0
    clear = recoloured & ~foggy
    gate = logistic(terms[label >= 0], label[label >= 0].astype(np.float64), ridge)
    return replace(
        scaling,
        numbers=ridge_weights(terms[clear], np.array(numbers)[clear], ridge).T,
        gate=gate,
        threshold=np.array([max(0.0, float(np.quantile(terms[label == 0] @ gate, unchanged_share)))]),
        fog_gate=logistic(terms[recoloured], foggy[recoloured].astype(np.float64), ridge),
        fog=ridge_weights(scaling.with_low(terms, low_coefficients)[foggy], np.array(fogs)[foggy], ridge).T,
    )


def best_numbers(damaged: NDArray[np.float32], clean: NDArray[np.float32]) -> Array:
    """The five numbers that bring a damaged image closest to the clean one (least squares over pixels)."""
    a, b = (LUMA_CHROMA_AXES @ p.reshape(3, -1).astype(np.float64) for p in (damaged, clean))
    means, deviations = moments(a)
    target_means = b.mean(1)
    products = ((a - means) * (b - target_means[:, None])).mean(1)
    spread, colour = products[0] / deviations[0], products[1:].mean() / deviations[1]
    return np.array([target_means[0], spread, target_means[1], target_means[2], colour])


def best_fog(damaged: NDArray[np.float32], clean: NDArray[np.float32]) -> Array:
    """The argument of `remove_fog` that brings a damaged image closest to the clean one."""
    targets = [low(clean)]
    for part, goal in zip(
        other_coefficients(dct_coefficients(damaged)), other_coefficients(dct_coefficients(clean)), strict=True
    ):
        targets.append(np.array([(part * goal).sum() / coefficient_norm(part) / (part.shape[1] * part.shape[2])]))
    return np.concatenate(targets)


def logistic(terms: Array, label: Array, ridge: float, rounds: int = 30) -> Array:
    """Weights of a penalised logistic regression with balanced classes, by iteratively reweighted least squares."""
    share = np.where(label > 0, 0.5 / label.mean(), 0.5 / (1 - label.mean()))
    weights = np.zeros(terms.shape[1])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-np.clip(terms @ weights, -30, 30)))
        slope = terms.T @ (share * (label - p)) - ridge * weights
        bend = (terms * (share * np.maximum(p * (1 - p), 1e-6))[:, None]).T @ terms + ridge * np.eye(len(weights))
        weights = weights + np.linalg.solve(bend, slope)
    return weights


def save(correction: ColourCorrection, path: Path) -> None:
    """Write the fitted numbers to an npz file, in float32."""
    np.savez_compressed(
        path, **{one.name: getattr(correction, one.name).astype(np.float32) for one in fields(ColourCorrection)}
    )
