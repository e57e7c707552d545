"""Conformance checks of stages, detectors, masks, priors, corruptions and metrics. See `odekit.testing.conformance`."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from odekit.chains.chain import Chain
from odekit.chains.context import RunContext
from odekit.core.abilities import HasBest
from odekit.core.counter import CallCounter
from odekit.core.image import Image
from odekit.core.interfaces import Corruption, FaceDetector, FaceMask, Metric, Prior, Stage
from odekit.core.objects import missing_members
from odekit.core.options import Options, Part
from odekit.parts.metrics.base import SetMetric

Figures = dict[str, float]
"""Measured values by name."""


@contextmanager
def untouched_generators() -> Iterator[None]:
    """Check that the global generators of torch and numpy are not used meanwhile."""
    before = torch.get_rng_state(), pickle.dumps(np.random.get_state())  # noqa: NPY002 (that it is not used)
    yield
    assert torch.equal(torch.get_rng_state(), before[0]), "torch's global generator was used; draw from `rng` alone"
    after = pickle.dumps(np.random.get_state())  # noqa: NPY002
    assert after == before[1], "numpy's global generator was used; draw from `rng` alone"


def has_interface(kind: str, part: object) -> None:
    """Check that a part has every member of the kind's interface."""
    missing = missing_members(kind, part)
    assert not missing, f"{type(part).__name__} has no {', '.join(missing)}; see odekit.plugins"


def example_images(count: int = 3, height: int = 16, width: int = 16) -> list[Image]:
    """Reproducible pictures with an edge and noise, 8 bits deep."""
    draws = np.random.Generator(np.random.Philox(5)).random((count, 3, height, width), dtype=np.float32)
    draws[:, :, :, width // 2 :] *= 0.5
    return [Image.from_uint8(Image(pixels).to_uint8()) for pixels in draws]


def unchanged(images: Sequence[Image], copies: Sequence[Image]) -> None:
    """Check that the pixels of inputs are those of their copies."""
    same = all(np.array_equal(a.pixels, b.pixels) for a, b in zip(images, copies, strict=True))
    assert same, "the input was modified; images are shared, so change a copy (`with_pixels`)"


def check_stage(
    make: Callable[[], Stage] | Options | Part, images: Sequence[Image] | None = None, chain: Chain | None = None
) -> Figures:
    """Check a stage: one image for each, in order; inputs unchanged; deterministic; independent of batch mates.

    Args:
        make: makes the stage; or the options of a registered stage, which then runs in a chain, as stages with
            sub-chains and priors need.
        images: that the stage accepts; three small pictures if None.
        chain: with the stage, instead of the options alone; its priors are used.

    Returns:
        The largest change of a pixel, and the number of images that failed.
    """
    images = list(images or example_images())
    copies = [copy.deepcopy(image) for image in images]
    if isinstance(make, (Options, Part)):
        # opened before the generators are watched: networks may draw their first weights from them
        session = (chain or Chain([make])).open(images=1, batch_size=1)

        def run(batch: Sequence[Image]) -> list[Image | None]:
            window = session.window
            parts = [session.run(batch[i : i + window]) for i in range(0, len(batch), window)]
            return [result.output for part in parts for result in part]

        run(images)
    else:
        has_interface("stage", make())

        def run(batch: Sequence[Image]) -> list[Image | None]:
            context = RunContext(
                0, "0", len(batch), "cpu", CallCounter(), originals=list(batch), earlier=[()] * len(batch)
            )
            out = make().run(batch, context)
            assert isinstance(out, list) and len(out) == len(batch), f"{len(batch)} images have {len(out)} results"
            for image in out:
                assert isinstance(image, Image), f"a result is {type(image).__name__}, not an Image"
            return [None if i in context.failures else image for i, image in enumerate(out)]

    with untouched_generators():
        first, second = run(images), run(images)
    unchanged(images, copies)
    change = 0.0
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        assert (a is None) == (b is None), f"image {number} fails in one of two equal runs"
        if a is None or b is None:
            continue
        assert np.isfinite(a.pixels).all() and a.pixels.min() >= 0 and a.pixels.max() <= 1, (
            f"the values of image {number} are not all in [0, 1]"
        )
        assert np.array_equal(a.pixels, b.pixels), f"two equal runs differ at image {number}; draw from context.noise"
        assert a.origin == images[number].origin, f"image {number} lost its origin; use with_pixels"
        alone = run([images[number]])[0]
        assert alone is not None and alone.pixels.shape == a.pixels.shape, f"image {number} alone gives another size"
        difference = float(np.abs(alone.pixels - a.pixels).max())
        assert difference <= 1e-4, f"image {number} depends on the other images of its batch (by {difference:.2g})"
        if a.pixels.shape == images[number].pixels.shape:
            change = max(change, float(np.abs(a.pixels - images[number].pixels).max()))
    return {"largest change": change, "failed": float(sum(image is None for image in first))}


def check_detector(make: Callable[[], FaceDetector], photo: Image | None = None) -> Figures:
    """Check a detector: boxes and points inside the photograph, best first, deterministic; an empty wall has no face.

    Args:
        make: makes the detector.
        photo: with at least one face; without it only the empty wall is tried.

    Returns:
        The number of faces found in the photograph, and the best score.
    """
    detector, other = make(), make()  # a network may draw its first weights from the global generators
    has_interface("detector", detector)
    wall = Image(np.full((3, 120, 160), 0.5, np.float32))
    detector.detect(wall)
    with untouched_generators():
        assert len(detector.detect(wall)) == 0, "a face was found on an empty grey wall"
        if photo is None:
            return {"faces": 0.0}
        before = photo.pixels.copy()
        faces, again = detector.detect(photo), other.detect(photo)
    assert np.array_equal(before, photo.pixels), "the photograph was modified"
    assert list(faces) == list(again), "two searches of the same photograph differ"
    assert faces, "no face was found in the photograph"
    scores = [face.score for face in faces]
    assert scores == sorted(scores, reverse=True), f"the best face is to be first; the scores are {scores}"
    for face in faces:
        x0, y0, x1, y1 = face.box
        assert x0 < x1 and y0 < y1, f"the box {face.box} is not x0, y0, x1, y1 with x0 < x1 and y0 < y1"
        assert x1 > 0 and y1 > 0 and x0 < photo.width and y0 < photo.height, f"the box {face.box} is outside"
        assert len(face.points) in (0, 5), f"{len(face.points)} points; five, or none if unknown"
        assert face.turn in (0, 90, 180, 270), f"a turn of {face.turn} degrees"
    return {"faces": float(len(faces)), "best score": scores[0]}


def check_mask(make: Callable[[], FaceMask], side: int = 64) -> Figures:
    """Check a mask: float32 of the face's size in [0, 1], 0 at the border, something inside; deterministic."""
    has_interface("mask", make())
    face = example_images(1, side, side)[0]
    with untouched_generators():
        mask, again = make()(face), make()(face)
    assert isinstance(mask, np.ndarray) and mask.dtype == np.float32, f"a mask is a float32 array, not {type(mask)}"
    assert mask.shape == (side, side), f"the mask of a face of {side} x {side} has the shape {mask.shape}"
    assert mask.min() >= 0 and mask.max() <= 1, f"values from {mask.min()} to {mask.max()}; they are in [0, 1]"
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert border.max() <= 0.05, (
        f"{border.max():.2g} at the border, where the edge of the crop would show; 0 to 0.05 is allowed"
    )
    assert np.array_equal(mask, again), "two masks of the same face differ"
    return {"share of the face": float(mask.mean()), "largest at the border": float(border.max())}


def check_prior(make: Callable[[], Prior], batch: int = 3) -> Figures:
    """Check a prior: shape and schedule; eps is float64, finite, deterministic, and independent of batch mates.

    Returns:
        RMS of the predicted noise over that of the noise in the input, at a low, a middle and the highest level: near 1
        for a trained network, and far below 1 at low levels only.
    """
    has_interface("prior", make())
    prior = make()
    channels, height, width = prior.shape
    assert channels == 3 and height >= 1 and width >= 1, f"the shape is (3, H, W), not {prior.shape}"
    draws = np.random.Generator(np.random.Philox(11)).standard_normal((batch, 3, height, width))
    noise, figures = torch.from_numpy(draws), Figures()
    last = len(prior.schedule) - 1
    for t in (last * 0.05, last * 0.5 + 0.25, float(last)):
        abar = prior.schedule.abar_at(t)
        x = math.sqrt(abar) * 0.3 * torch.sign(noise) + math.sqrt(1 - abar) * noise
        before = x.clone()
        with untouched_generators():
            eps, again = prior.eps(x, t), prior.eps(x, t)
        assert torch.equal(x, before), f"eps changed its input at timestep {t:g}"
        assert eps.shape == x.shape, f"eps of {tuple(x.shape)} has the shape {tuple(eps.shape)}"
        assert eps.dtype == torch.float64 and eps.device == x.device, f"eps is {eps.dtype} on {eps.device}, not as x"
        assert torch.isfinite(eps).all(), f"eps is not finite at timestep {t:g}"
        assert torch.equal(eps, again), f"two calls with the same input differ at timestep {t:g} (is dropout on?)"
        other = x.clone()
        other[0] = 0
        mates = float((prior.eps(other, t)[1:] - eps[1:]).abs().max())
        assert mates <= 1e-9, f"a row depends on the other rows of its batch at timestep {t:g} (by {mates:.2g})"
        figures[f"predicted noise at t = {t:g}, relative"] = float(
            eps.pow(2).mean().sqrt() / noise.pow(2).mean().sqrt()
        )
    return figures


def check_corruption(make: Callable[[], Corruption], side: int = 48) -> Figures:
    """Check a corruption: size kept, values in [0, 1], the input unchanged, decided by its generator alone.

    Returns:
        The RMS of the change.
    """
    has_interface("corruption", make())
    image = example_images(1, side, side)[0]
    before = copy.deepcopy(image)
    with untouched_generators():
        out, again = (make().corrupt(image, np.random.Generator(np.random.Philox(2))) for _ in range(2))
    unchanged([image], [before])
    assert out.pixels.shape == image.pixels.shape, f"{image.pixels.shape} became {out.pixels.shape}"
    assert out.pixels.min() >= 0 and out.pixels.max() <= 1, "values are outside [0, 1]"
    assert np.array_equal(out.pixels, again.pixels), "equal generators give different damage; draw from `rng` alone"
    change = float(np.sqrt(np.mean((out.pixels - image.pixels) ** 2)))
    assert change > 0, "the image is unchanged"
    return {"change, RMS": change}


def check_metric(make: Callable[[], Metric | SetMetric], side: int = 256) -> Figures:
    """Check a metric: a number or NaN, deterministic, inputs unchanged, and better for a copy than for a damaged one.

    The last rule is left out for metrics that do not look at the reference. Of metrics of two sets of pictures, the
    sets are some pictures and copies of them, or damaged ones.

    Returns:
        The values of exact copies and of damaged ones.
    """
    metric = make()
    of_sets = isinstance(metric, SetMetric)
    if not of_sets:
        has_interface("metric", metric)
    references = example_images(12 if of_sets else 1, *((64, 64) if of_sets else (side, side)))
    draw = np.random.Generator(np.random.Philox(3))
    noise = [draw.normal(0, 0.2, image.pixels.shape) for image in references]
    damaged = [
        image.with_pixels(np.clip(image.pixels + one, 0, 1).astype(np.float32))
        for image, one in zip(references, noise, strict=True)
    ]
    copies = copy.deepcopy([*damaged, *references])

    def value_of(images: list[Image], others: list[Image]) -> float:
        if isinstance(metric, SetMetric):
            collection = metric.collect()
            collection.add(images, others)
            return collection.distance().value
        return metric.measure(images[0], others[0])

    value_of(references, references)  # loads what is loaded on first use
    with untouched_generators():
        exact, value = value_of(references, references), value_of(damaged, references)
        again = value_of(damaged, references)
    unchanged([*damaged, *references], copies)
    assert isinstance(exact, float) and isinstance(value, float), f"a value is a float, not {type(value).__name__}"
    assert value == again or (math.isnan(value) and math.isnan(again)), f"two measurements differ: {value}, {again}"
    if not of_sets and value_of(damaged, damaged) == value:
        return {"of a copy": exact, "of a damaged one": value}
    if isinstance(metric, HasBest):
        better = abs(exact - metric.best) < abs(value - metric.best)
        rule = f"the best value is {metric.best:g}"
    else:
        better = exact < value if metric.lower_is_better else exact > value
        rule = f"lower_is_better is {metric.lower_is_better}"
    assert better or math.isnan(value) or math.isnan(exact), (
        f"a copy has {exact:.4g}, a damaged one {value:.4g}; {rule}"
    )
    return {"of a copy": exact, "of a damaged one": value}
