"""Measures pairs as a stream: images are read, compared and released, in order, by several processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image
from odekit.core.parallel import map_in_order
from odekit.errors import OdekitError
from odekit.evaluation.pairing import Case
from odekit.evaluation.panel import Panel, measure_pair, measure_pairs, rebuild
from odekit.images import io
from odekit.images.resize import area_resize_image, resized

CHUNK = 16
"""Cases in one task of a process, and images in one call of a network."""
PARALLEL_MIN_COUNT = 300
"""Smallest number of images for which several processes are started automatically."""
Levels = NDArray[np.uint8]


@dataclass
class Measured:
    """One case with its values."""

    case: Case
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    """By method and metric."""
    problems: dict[str, dict[str, str]] = field(default_factory=dict)
    """By method and metric: the reason for a missing value."""
    errors: dict[str, str] = field(default_factory=dict)
    """By method: the reason why nothing could be measured."""
    reference: Levels | None = None
    pictures: dict[str, Levels] = field(default_factory=dict)
    """By method; kept only for metrics of sets and networks."""


def stream(
    cases: Sequence[Case], panel: Panel, processes: int | None = None, fit: bool = False
) -> Iterator[list[Measured]]:
    """The cases in order, a chunk at a time, with the values of all metrics of pairs.

    Args:
        cases: to measure.
        panel: the metrics.
        processes: number of processes; None: automatic. The result does not depend on it.
        fit: resize images to the reference's size (area means to reduce, Lanczos to enlarge). Otherwise another size
            is an error of that image.
    """
    keep = bool(panel.sets or panel.heavy)
    chunks = [list(cases[i : i + CHUNK]) for i in range(0, len(cases), CHUNK)]
    if processes is None:
        count = sum(len(case.pictures) for case in cases)
        processes = min(os.cpu_count() or 1, 8) if count >= PARALLEL_MIN_COUNT else 1
    work = partial(_chunk, recipe=panel.recipe(), fit=fit, keep=keep)
    for chunk in map_in_order(work, chunks, processes):
        for name in panel.heavy:
            _heavy(name, panel, chunk)
        yield chunk


def _chunk(cases: Sequence[Case], *, recipe: str, fit: bool, keep: bool) -> list[Measured]:
    return [_one(case, recipe, fit, keep) for case in cases]


def _one(case: Case, recipe: str, fit: bool, keep: bool) -> Measured:
    """A case with its light metrics."""
    out = Measured(case, errors=dict(case.errors))
    try:
        reference = finite(io.read(case.reference))
    except OdekitError as error:
        return Measured(case, errors=dict.fromkeys([*case.pictures, *case.errors], _line(error)))
    for method, path in case.pictures.items():
        try:
            picture = to_reference_size(finite(io.read(path)), reference, fit)
        except OdekitError as error:
            out.errors[method] = _line(error)
            continue
        out.values[method], out.problems[method] = measure_pair(rebuild(recipe), picture, reference)
        if keep:
            out.pictures[method] = picture.to_uint8()
    if keep:
        out.reference = reference.to_uint8()
    return out


def finite(image: Image) -> Image:
    """The image. Raises OdekitError where a pixel is NaN or infinite."""
    if not np.isfinite(image.pixels).all():
        raise OdekitError(f"{image.meta.path or 'the picture'}: holds pixels that are not finite (NaN or infinite)")
    return image


def to_reference_size(image: Image, reference: Image, fit: bool) -> Image:
    """The image at the reference's size. Raises OdekitError where the size differs and `fit` is false."""
    size, reference_size = (image.height, image.width), (reference.height, reference.width)
    if size == reference_size:
        return image
    if not fit:
        raise OdekitError(
            f"{image.meta.path or 'the picture'}: {image.width}x{image.height}, its reference is "
            f"{reference.width}x{reference.height}; resize one of them, or use --fit"
        )
    shrinks = size[0] >= reference_size[0] and size[1] >= reference_size[1]
    return area_resize_image(image, *reference_size) if shrinks else resized(image, *reference_size, "lanczos")


def _heavy(name: str, panel: Panel, chunk: list[Measured]) -> None:
    """Add the values of a network metric on all images of a chunk."""
    places = [(one, method) for one in chunk for method in one.pictures]
    restored = [Image.from_uint8(one.pictures[method]) for one, method in places]
    reference = [Image.from_uint8(one.reference) for one, _ in places if one.reference is not None]
    values, reasons = measure_pairs(panel.metrics[name], restored, reference)
    for (one, method), value, reason in zip(places, values, reasons, strict=True):
        one.values[method][name] = value
        if reason:
            one.problems[method][name] = reason


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
