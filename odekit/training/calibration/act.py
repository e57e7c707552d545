"""Fits when `act: auto` of `face-guided` uses its result, on faces with the damage of photographs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.chains.chain import Chain
from odekit.chains.tools import PartTools
from odekit.core.image import Image, Pixels
from odekit.evaluation.experiments.faces import Pictures, choose_faces, train_faces
from odekit.parts.corruptions.photo import STRENGTHS, damage
from odekit.parts.faces.options import Alignment
from odekit.parts.installed import catalog
from odekit.parts.metrics.face_distance import FaceDistanceMetric
from odekit.parts.metrics.lpips import Lpips, LpipsMetric
from odekit.parts.upsamplers.worth import WorthCalibration, at_side, measure
from odekit.training.calibration.regression import ridge_weights

Array = NDArray[np.float64]
FACES_SEED = 6
"""Seed of the choice of faces."""
SIDES = (256, 180, 128, 90, 64)
"""Sides of the faces in their photographs, in turn."""
SEVERITIES = (0, 3, 1, 5, 0, 2, 4)
"""Severities of the corruption `photo`, in turn; 0 is no damage."""
DISTANCE_WEIGHT = 0.5
"""Weight of the face distance next to LPIPS. Both run from 0 to about 0.7."""
FALSE_ACTS = 0.01
"""Share of undamaged faces that may be treated; one half of what is demanded of faces outside the fit."""
RIDGE = 3.0
BATCH = 8


@dataclass(frozen=True)
class ActCase:
    """A face as the chain gets it, and the truth at the size of the face in its photograph."""

    original: Image
    truth: Pixels
    severity: int


@dataclass(frozen=True)
class ActResults:
    """Cases after the chain."""

    cases: Sequence[ActCase]
    measures: Sequence[dict[str, float]]
    gains: Array
    """Fall of LPIPS plus `DISTANCE_WEIGHT` times that of the face distance."""
    lpips: Array
    """(n, 2): before and after."""
    distance: Array
    """(n, 2): before and after."""


def make_cases(pictures: Pictures, seed: int = 0) -> list[ActCase]:
    """Faces of every side of `SIDES` with every severity of `SEVERITIES`, as crops of the stage `faces` hold them."""
    cases = []
    for i, picture in enumerate(pictures):
        side, severity = SIDES[i % len(SIDES)], SEVERITIES[i % len(SEVERITIES)]
        truth = at_side(Image.from_uint8(picture).pixels, side)
        levels = Image(truth).to_uint8()
        rng = np.random.Generator(np.random.Philox([seed, i]))
        damaged = damage(levels, STRENGTHS[severity], rng) if severity else levels
        crop = at_side(Image.from_uint8(damaged).pixels, Alignment().side)
        cases.append(ActCase(Image(crop, native=float(side)), Image.from_uint8(levels).pixels, severity))
    return cases


def run_cases(
    cases: Sequence[ActCase], chain: str, lpips: str | None, seed: int, progress: Callable[[str], None]
) -> ActResults:
    """Run the chain on the cases, with every result used, and measure what that gained.

    Args:
        cases: the faces.
        chain: one that ends with `face-guided`.
        lpips: weights of LPIPS, as in the metric's option `weights`.
        seed: of the noise.
        progress: called with a line of text after each batch.
    """
    session = Chain.load(chain, ["upsample.act=always"]).open(seed=seed, batch_size=BATCH)
    tools = PartTools(catalog(), "cpu", "float32")
    perceptual, identity = LpipsMetric(Lpips(weights=lpips), tools), FaceDistanceMetric(tools=tools)
    measures: list[dict[str, float]] = []
    scores: list[tuple[float, float, float, float]] = []
    for start in range(0, len(cases), BATCH):
        batch = cases[start : start + BATCH]
        for case, result in zip(batch, session.run([case.original for case in batch]), strict=True):
            side, truth = case.truth.shape[1], Image(case.truth)
            before, after = at_side(case.original.pixels, side), at_side(result.image.pixels, side)
            measures.append(measure(before, after))
            pair = [Image(before), Image(after)]
            scores.append((
                *perceptual.measure_many(pair, [truth, truth]), *identity.measure_many(pair, [truth, truth])
            ))  # fmt: skip
        progress(f"{min(start + BATCH, len(cases))} of {len(cases)} faces")
    table = np.array(scores)
    gains = (table[:, 0] - table[:, 1]) + DISTANCE_WEIGHT * (table[:, 2] - table[:, 3])
    return ActResults(cases, measures, gains, table[:, :2], table[:, 2:])


def fit(results: ActResults, about: dict[str, Any]) -> WorthCalibration:
    """Ridge regression of the gain on the standardised measures, and the threshold that spares undamaged faces."""
    names = tuple(results.measures[0])
    raw = np.array([[one[name] for name in names] for one in results.measures])
    centre, scale = raw.mean(0), np.maximum(raw.std(0), 1e-6)
    z = np.clip((raw - centre) / scale, -3, 3)
    severity = np.array([case.severity for case in results.cases])
    left_out = np.concatenate([
        predict(z[part], *solve(z[~part], results.gains[~part])) for part in folds(len(z))
    ])[np.argsort(np.concatenate([np.flatnonzero(part) for part in folds(len(z))]))]  # fmt: skip
    threshold = float(max(np.quantile(left_out[severity == 0], 1 - FALSE_ACTS), 0.0))
    weights, bias = solve(z, results.gains)
    figures = {
        f"severity {s}": {
            "faces": int((severity == s).sum()), "acted": round(float((left_out[severity == s] > threshold).mean()), 3),
            "gain": round(float(results.gains[severity == s].mean()), 4),
            "lpips": [round(float(v), 4) for v in results.lpips[severity == s].mean(0)],
            "face_distance": [round(float(v), 4) for v in results.distance[severity == s].mean(0)],
        }
        for s in sorted(set(severity.tolist()))
    }  # fmt: skip
    return WorthCalibration(
        names, tuple(centre.tolist()), tuple(scale.tolist()), tuple(weights.tolist()), bias, threshold,
        about | {"ridge": RIDGE, "figures": figures},
    )  # fmt: skip


def folds(count: int, number: int = 10) -> list[NDArray[np.bool_]]:
    """Masks of the cases of each fold of a cross-validation."""
    return [np.arange(count) % number == k for k in range(number)]


def solve(z: Array, gains: Array) -> tuple[Array, float]:
    """(weights, bias) of the ridge regression; the bias is not penalised."""
    middle, mean = z.mean(0), float(gains.mean())
    weights = ridge_weights(z - middle, (gains - mean)[:, None], RIDGE)[:, 0]
    return weights, mean - float(middle @ weights)


def predict(z: Array, weights: Array, bias: float) -> Array:
    """Predicted gains."""
    out: Array = z @ weights + bias
    return out


def calibrate(
    chain: str,
    data: Path | None,
    limit: int,
    *,
    lpips: str | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda text: None,
) -> WorthCalibration:
    """Fit `act: auto` of a chain on training faces.

    Args:
        chain: one that ends with `face-guided`.
        data: aligned faces of 256 px with a training split.
        limit: at most this many faces.
        lpips: weights of LPIPS, as in the metric's option `weights`.
        seed: of damage and noise.
        progress: called with a line of text after each batch.

    Raises:
        WeightsError: the weights of LPIPS are missing.
        InputError: no training faces.
    """
    pictures = choose_faces(train_faces(data, 256), limit, seed=FACES_SEED)
    results = run_cases(make_cases(pictures, seed), chain, lpips, seed, progress)
    return fit(results, {"faces": len(pictures), "chain": chain, "seed": seed})
