"""FILL training.calibration.colour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image
from odekit.evaluation.degrade.recipe import damage
from odekit.evaluation.experiments.faces import Pictures
from odekit.parts.corruptions.kinds import KINDS
from odekit.parts.repair.colour import ColourCorrection, best_fog, best_numbers, low, statistics

Array = NDArray[np.float64]
COLOUR_KINDS, SEVERITY = ("brightness", "contrast", "fog", "saturate"), 4


def examples(faces: Pictures, seed: int) -> Iterator[tuple[Image, Image, str, int]]:
    """(clean, damaged, kind, severity): colour damage of every severity often, other kinds in turn, and none."""
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


def calibrate(faces: Pictures, seed: int = 0, ridge: float = 10.0, spared: float = 0.999) -> ColourCorrection:
    """The numbers by ridge regression on colour damage, the gates by logistic regression.

    Faint colour damage (severities 1 and 2) counts for neither side of the first gate. Its threshold spares the share
    `spared` of the pictures whose colours are whole.
    """
    stats, numbers, lows, fogs, label, fog = [], [], [], [], [], []
    for clean, hurt, kind, severity in examples(faces, seed):
        stats.append(statistics(hurt.pixels))
        numbers.append(best_numbers(hurt.pixels, clean.pixels))
        lows.append(low(hurt.pixels))
        fogs.append(best_fog(hurt.pixels, clean.pixels))
        label.append(0 if kind not in COLOUR_KINDS else 1 if severity > 2 else -1)
        fog.append(kind == "fog")
    raw, coefficients, side, foggy = np.array(stats), np.array(lows), np.array(label), np.array(fog)
    made = ColourCorrection(
        raw.mean(0), np.maximum(raw.std(0), 1e-6), np.zeros(0), np.zeros(0), np.zeros(1), np.zeros(0),
        coefficients[foggy].mean(0), np.maximum(coefficients[foggy].std(0), 1e-6), np.zeros(0),
    )  # fmt: skip
    terms, hurt_ones, clear = made.terms(raw), side != 0, (side != 0) & ~foggy
    gate = logistic(terms[side >= 0], side[side >= 0].astype(np.float64), ridge)
    return replace(
        made,
        numbers=solve(terms[clear], np.array(numbers)[clear], ridge).T,
        gate=gate,
        threshold=np.array([max(0.0, float(np.quantile(terms[side == 0] @ gate, spared)))]),
        fog_gate=logistic(terms[hurt_ones], foggy[hurt_ones].astype(np.float64), ridge),
        fog=solve(made.with_low(terms, coefficients)[foggy], np.array(fogs)[foggy], ridge).T,
    )


def solve(terms: Array, wanted: Array, ridge: float) -> Array:
    """Weights (p, k) of a ridge regression."""
    found = np.linalg.solve(terms.T @ terms + ridge * np.eye(terms.shape[1]), terms.T @ wanted)
    return np.asarray(found, np.float64)


def logistic(terms: Array, label: Array, ridge: float, rounds: int = 30) -> Array:
    """Weights of a penalised logistic regression, by iteratively reweighted least squares; sides count the same."""
    share = np.where(label > 0, 0.5 / label.mean(), 0.5 / (1 - label.mean()))
    weights = np.zeros(terms.shape[1])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-np.clip(terms @ weights, -30, 30)))
        slope = terms.T @ (share * (label - p)) - ridge * weights
        bend = (terms * (share * np.maximum(p * (1 - p), 1e-6))[:, None]).T @ terms + ridge * np.eye(len(weights))
        weights = weights + np.linalg.solve(bend, slope)
    return weights
