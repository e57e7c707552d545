"""Fits when `act: auto` of `face-guided` uses its result, on faces with the damage of photographs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.chains.chain import Chain
from odekit.chains.resolve import iter_stages
from odekit.chains.tools import PartTools
from odekit.core.image import Image, Pixels
from odekit.errors import InputError
from odekit.evaluation.experiments.faces import Pictures, choose_faces, train_faces
from odekit.images.io import IMAGE_SUFFIXES, read
from odekit.images.resize import square_resize
from odekit.parts.corruptions.photo import STRENGTHS, PhotoDamage, damage
from odekit.parts.faces.find import FaceFinder
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.parts.faces.options import Alignment, Faces
from odekit.parts.faces.warp import crop_face
from odekit.parts.installed import catalog
from odekit.parts.metrics.face_distance import FaceDistanceMetric
from odekit.parts.metrics.lpips import Lpips, LpipsMetric
from odekit.parts.upsamplers.change_measures import LARGEST_SIDE, measure, measure_face
from odekit.parts.upsamplers.gain_model import GainModel, standardised
from odekit.parts.upsamplers.worth import LARGE_FACE, Foresight, WorthCalibration, measured_side
from odekit.training.calibration.small_networks import fit_networks

Array = NDArray[np.float64]
FACES_SEED = 6
"""Seed of the choice of faces."""
SIDES = (256, 180, 128, 90, 64)
"""Sides of the faces in their photographs, in turn."""
SEVERITIES = (0, 3, 1, 5, 0, 2, 4)
"""Severities of the corruption `photo`, in turn; 0 is what a camera makes of a face (see `CAMERA`)."""
CAMERA = PhotoDamage(blur=(0.0, 0.6), factor=(1, 1), noise=(0, 1.5), quality=(85, 98))
"""Softness, noise and compression of healthy photographs; the blur in pixels of the photograph."""
DISTANCE_WEIGHT = 0.5
"""Weight of the face distance next to LPIPS. Both run from 0 to about 0.7."""
FALSE_ACTS = 0.01
"""Share of undamaged faces that may be treated; one half of what is demanded of faces outside the fit."""
MARGIN = 0.025
"""Added to the threshold, for photographs unlike those of the fit: a soft face, whose teeth the detail specks, is
expected to gain 0.022 more than any healthy one of it."""
LOST = 0.001
"""Share of the faces of the fit whose result is used, and that may be left without a result."""
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
        truth = square_resize(Image.from_uint8(picture).pixels, side)
        levels = Image(truth).to_uint8()
        rng = np.random.Generator(np.random.Philox([seed, i]))
        ranges = STRENGTHS[severity] if severity else at_side_of(CAMERA, side)
        damaged = damage(levels, ranges, rng)
        crop = square_resize(Image.from_uint8(damaged).pixels, Alignment().side)
        truth = Image.from_uint8(levels if severity else damaged).pixels
        cases.append(ActCase(Image(crop, native=float(side)), truth, severity))
    return cases


def at_side_of(ranges: PhotoDamage, side: int) -> PhotoDamage:
    """Ranges whose blur is given in pixels of a picture of this side, as `damage` takes them: for 256 pixels."""
    low, high = ranges.blur
    return replace(ranges, blur=(low * 256 / side, high * 256 / side))


def cases_of_photos(folder: Path) -> list[ActCase]:
    """The faces of healthy photographs as undamaged cases, found by the chain `photo`; the truth is the face itself.

    Raises:
        InputError: no readable photograph in the folder.
    """
    stage = next(item for item, _ in iter_stages(Chain.load("photo").spec.items) if isinstance(item.options, Faces))
    assert isinstance(stage.options, Faces)
    finder = FaceFinder(stage.options, PartTools(catalog(), "cpu", "float32"))
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise InputError(f"{folder}: no photographs in it")
    cases = []
    for file in files:
        detection = finder.find(read(file))
        for number in detection.selected():
            frame = Frame.fit(detection.faces[number - 1].points, TEMPLATES["ffhq-5"])
            crop = crop_face(detection.photo.pixels, frame, Alignment().side, "reflect")
            side = measured_side(frame.side)
            cases.append(ActCase(Image(crop, native=frame.side), square_resize(crop, side), 0))
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
    scores: list[list[float]] = []
    for start in range(0, len(cases), BATCH):
        batch = cases[start : start + BATCH]
        for case, result in zip(batch, session.run([case.original for case in batch]), strict=True):
            side, truth = case.truth.shape[1], Image(case.truth)
            before, after = square_resize(case.original.pixels, side), square_resize(result.image.pixels, side)
            measures.append(measure(before, after))
            pair = [Image(before), Image(after)]
            scores.append(perceptual.measure_many(pair, [truth] * 2) + identity.measure_many(pair, [truth] * 2))
        progress(f"{min(start + BATCH, len(cases))} of {len(cases)} faces")
    table = np.array(scores)
    gains = (table[:, 0] - table[:, 1]) + DISTANCE_WEIGHT * (table[:, 2] - table[:, 3])
    return ActResults(cases, measures, gains, table[:, :2], table[:, 2:])


def fit(results: ActResults, about: dict[str, Any], healthy: int = 0) -> WorthCalibration:
    """Small networks for the gain, from the measures, and the thresholds that spare undamaged faces.

    Args:
        results: of the cases.
        about: a description, stored with the calibration.
        healthy: number of cases at the end that are faces of healthy photographs, neighbours of one photograph
            together. Whatever changes them counts as a loss, and the thresholds spare all of them.
    """
    names = tuple(results.measures[0])
    raw = np.array([[one[name] for name in names] for one in results.measures])
    ours = np.arange(len(raw)) < len(raw) - healthy
    centre, scale = spread(raw[ours])
    z = standardised(raw, centre, scale)
    severity = np.array([case.severity for case in results.cases])
    predicted = np.zeros(len(z))
    for part in folds(len(z), healthy):  # no face is judged by networks that have seen it
        predicted[part] = fit_networks(z[~part], results.gains[~part])(z[part])
    networks = fit_networks(z, results.gains)
    large = np.exp(raw[:, names.index("side")]) * LARGEST_SIDE > LARGE_FACE - 0.5
    small_limit, large_limit = (
        threshold_of(predicted, ours & (severity == 0) & size, ~ours & size) for size in (~large, large)
    )
    thresholds = np.where(large, large_limit, small_limit)
    foresight, spared = fit_foresight(results, networks(z) - thresholds, healthy)
    figures = {
        name: {
            "faces": int(rows.sum()), "acted": round(float((predicted > thresholds)[rows].mean()), 3),
            "foreseen": round(float(spared[rows].mean()), 3),
            "gain": round(float(results.gains[rows].mean()), 4),
            "lpips": [round(float(v), 4) for v in results.lpips[rows].mean(0)],
            "face_distance": [round(float(v), 4) for v in results.distance[rows].mean(0)],
        }
        for name, rows in groups(severity, ours)
    }  # fmt: skip
    model = GainModel(names, centre, scale, networks)
    return WorthCalibration(model, small_limit, large_limit, foresight, about | {"figures": figures})


def fit_foresight(results: ActResults, margins: Array, healthy: int) -> tuple[Foresight, NDArray[np.bool_]]:
    """Small networks for the margins (n,) of the judgement, from the measures of the face alone.

    Also which cases would be left without a result, each by networks that have not seen it. `healthy`: as for `fit`.
    """
    names = tuple(measure_face(results.cases[0].truth))
    raw = np.array([[one[name] for name in names] for one in results.measures])
    centre, scale = spread(raw[: len(raw) - healthy])
    z = standardised(raw, centre, scale)
    predicted = np.zeros(len(z))
    for part in folds(len(z), healthy):
        predicted[part] = fit_networks(z[~part], margins[~part])(z[part])
    used = predicted[margins > 0]
    threshold = float(np.quantile(used, LOST)) if used.size else 0.0
    return Foresight(GainModel(names, centre, scale, fit_networks(z, margins)), threshold), predicted < threshold


def threshold_of(predicted: Array, undamaged: NDArray[np.bool_], healthy: NDArray[np.bool_]) -> float:
    """The threshold that spares undamaged faces, but for `FALSE_ACTS` of them, and all faces of healthy photographs."""
    most = float(np.quantile(predicted[undamaged], 1 - FALSE_ACTS)) if undamaged.any() else 0.0
    return float(max(most, *predicted[healthy].tolist(), 0.0)) + MARGIN


def groups(severity: NDArray[np.int_], ours: NDArray[np.bool_]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Names and masks of the cases of each severity, and of the healthy photographs."""
    named = [(f"severity {s}", ours & (severity == s)) for s in sorted(set(severity.tolist()))]
    return named + ([("photographs", ~ours)] if not ours.all() else [])


def spread(values: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the columns of (n, k)."""
    return tuple(values.mean(0).tolist()), tuple(np.maximum(values.std(0), 1e-6).tolist())


def folds(count: int, healthy: int = 0, number: int = 10) -> list[NDArray[np.bool_]]:
    """Masks of the cases of each fold of a cross-validation; the last `healthy` cases are divided in runs.

    So faces of one photograph, which are alike, are mostly left out together.
    """
    ours, photos = np.arange(count - healthy) % number, np.arange(healthy) * number // max(healthy, 1)
    return [np.concatenate([ours, photos]) == k for k in range(number)]


def calibrate(
    chain: str,
    data: Path | None,
    limit: int,
    *,
    lpips: str | None = None,
    photos: Path | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda text: None,
) -> WorthCalibration:
    """Fit `act: auto` of a chain on training faces.

    Args:
        chain: one that ends with `face-guided`.
        data: aligned faces of 256 px with a training split.
        limit: at most this many faces.
        lpips: weights of LPIPS, as in the metric's option `weights`.
        photos: a folder of healthy photographs, whose faces count as undamaged, too.
        seed: of damage and noise.
        progress: called with a line of text after each batch.

    Raises:
        WeightsError: the weights of LPIPS are missing.
        InputError: no training faces.
    """
    pictures = choose_faces(train_faces(data, 256), limit, seed=FACES_SEED)
    cases = make_cases(pictures, seed)
    healthy = [] if photos is None else cases_of_photos(photos)
    results = run_cases([*cases, *healthy], chain, lpips, seed, progress)
    about = {"faces": len(pictures), "photo_faces": len(healthy), "chain": Path(chain).stem, "seed": seed}
    return fit(results, about, len(healthy))
