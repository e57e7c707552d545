"""`odekit bench prior`: how good a face prior is, in figures for its model card."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import memorised
from benchmarks.flow import round_trip, sample, statistics, validation_loss
from odekit.core.interfaces import Prior
from odekit.evaluation.experiments.faces import FaceSet, Pictures
from odekit.parts.inverters.ode import best_grid
from odekit.parts.metrics.fd_pca import COMPONENTS, FdPca
from odekit.parts.metrics.swd import repeated
from odekit.parts.solvers.ddim import DdimOptions

SHEET = 16
"""Samples on the sheet of nearest training faces."""
SEVERITY = 4
"""Of the damage, the paper's."""


@dataclass(frozen=True)
class Row:
    """One measured figure."""

    name: str
    value: float
    unit: str = ""
    spread: float | None = None
    """Standard deviation of what the value is the mean of; None where there is nothing to spread."""
    count: int = 0
    """Pictures (of each set)."""
    note: str = ""

    def tree(self) -> dict[str, Any]:
        """Plain data; numbers that are not finite become None."""
        rest = {"unit": self.unit, "count": self.count, "note": self.note}
        return {"name": self.name, "value": _number(self.value), "spread": _number(self.spread), **rest}


@dataclass(frozen=True)
class Sizes:
    """How much is measured; every figure costs network calls in proportion."""

    limit: int | None = None
    """Faces for the loss and for the round trips; all where None."""
    samples: int = 250
    steps: int = 100
    """Levels of the grid, for samples and round trips."""
    batch: int = 8
    draws: int = 8
    """Of patches and directions, for SWD."""
    seed: int = 0
    sheet: Path | None = None
    """A file for samples beside the training faces nearest to them."""


def measure(prior: Prior, faces: FaceSet, sizes: Sizes, tell: Callable[[str], None] = lambda text: None) -> list[Row]:
    """All figures of a prior on faces of its side. `tell` is told what is measured next."""
    rows: list[Row] = []
    for text, part in (("loss", losses), ("samples", sampled), ("round trips", trips)):
        tell(text)
        rows += part(prior, faces, sizes)
    return rows


def losses(prior: Prior, faces: FaceSet, sizes: Sizes) -> Iterator[Row]:
    """Validation loss by band of timesteps, and their mean."""
    name = "val" if len(faces.val) else "test"
    pictures = (faces.val if len(faces.val) else faces.test)[: sizes.limit]
    bands = validation_loss(prior, pictures)
    total = len(prior.schedule)
    edges = [round(i * total / len(bands)) for i in range(len(bands) + 1)]
    for (a, b), loss in zip(itertools.pairwise(edges), bands, strict=True):
        yield Row(f"loss t {a}-{b - 1}", float(loss), "", None, len(pictures), f"v-MSE, {name}")
    yield Row("loss", float(bands.mean()), "", None, len(pictures), f"v-MSE, {name}, mean of the bands")


def sampled(prior: Prior, faces: FaceSet, sizes: Sizes) -> Iterator[Row]:
    """SWD and FD-PCA of samples against the held-out faces; of as many training faces for comparison."""
    held = faces.held_out
    count = min(sizes.samples, len(held))
    if not count:
        return
    order = np.random.Generator(np.random.Philox(sizes.seed)).permutation(len(faces.train))[:count]
    sets = {"samples": sample(prior, count, sizes.steps, sizes.batch, sizes.seed)}
    if len(order) == count:
        sets["train faces"] = faces.train[np.sort(order)]
    basis = FdPca.fit(faces.train) if len(faces.train) > COMPONENTS else None
    for name, pictures in sets.items():
        note = f"against {len(held)} held-out faces"
        found = repeated(pictures, held, sizes.draws, sizes.seed)
        for side in found[0].levels:
            yield _mean(f"SWD {side} px, {name}", [one.levels[side] for one in found], "x 1e-3", count, note)
        yield _mean(f"SWD, {name}", [one.mean for one in found], "x 1e-3", count, f"{note}, {sizes.draws} draws")
        if basis is not None and count > COMPONENTS:
            # Of as many pictures, because the distance falls with their number.
            yield Row(f"FD-PCA, {name}", basis.distance(pictures, held), "", None, count, f"{note}; not an FID")
    if len(faces.train):
        yield from by_heart(sets["samples"], faces, sizes.sheet)


def by_heart(samples: Pictures, faces: FaceSet, sheet: Path | None) -> Iterator[Row]:
    """How near samples lie to training faces, beside faces that were never seen; `memorised` says how to read it."""
    for name, pictures in (("samples", samples), ("held-out faces", faces.held_out)):
        near = memorised.nearest(pictures, faces.train)
        note = f"RMS at {memorised.SIDE} px of the nearest of {len(faces.train)}, mirrored or not"
        yield _mean(f"nearest train face, {name}", near.distance[:, 0], "", len(pictures), note)
        yield Row(f"nearest train face, least, {name}", float(near.distance[:, 0].min()), "", None, len(pictures), note)
    if sheet is not None:
        shown = samples[:SHEET]
        memorised.draw(sheet, shown, faces.train, memorised.nearest(shown, faces.train))


def trips(prior: Prior, faces: FaceSet, sizes: Sizes) -> Iterator[Row]:
    """Round trips of held-out faces, clean and damaged, and the statistics of their latents."""
    clean = (faces.test if len(faces.test) else faces.val)[: sizes.limit]
    for name, pictures in (("clean", clean), ("damaged", damaged(clean, sizes.seed))):
        trip = round_trip(prior, pictures, sizes.steps, sizes.batch)
        note = f"DDIM, {sizes.steps} levels up and down, grid {best_grid(DdimOptions())}"
        yield _mean(f"round trip, {name}", trip.psnr, "dB", len(pictures), note)
        for key, values in statistics(trip.latents).items():
            yield _mean(f"latent {key}, {name}", values, "", len(pictures), "inverted, by picture")


def damaged(pictures: Pictures, seed: int = 0) -> Pictures:
    """Every picture with one of the paper's 20 kinds of damage in turn, at severity 4."""
    from odekit.core.image import Image
    from odekit.evaluation.degrade.recipe import damage
    from odekit.parts.corruptions.kinds import PAPER_KINDS

    kinds = itertools.islice(itertools.cycle(PAPER_KINDS), len(pictures))
    pairs = zip(pictures, kinds, strict=True)
    return np.stack([damage(Image.from_uint8(p), kind, seed, SEVERITY).to_uint8() for p, kind in pairs])


def _mean(name: str, values: list[float] | NDArray[np.float64], unit: str, count: int, note: str) -> Row:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Row(name, float(np.mean(values)), unit, spread, count, note)


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 6)
