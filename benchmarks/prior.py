"""`python -m benchmarks prior`: figures of a face prior for its model card."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks import memorised
from benchmarks.damage import damage_in_turn
from benchmarks.flow import round_trip, sample, statistics, validation_loss
from benchmarks.options import AsJson, Device, Faces, Precision, PriorName
from benchmarks.parts import make_raw
from odekit.cli.experiment import parse_prior
from odekit.cli.show import print_json, print_table
from odekit.core.interfaces import Prior
from odekit.errors import ConfigError
from odekit.evaluation.experiments.faces import FaceSet, Pictures, face_set
from odekit.parts.inverters.ode import best_grid
from odekit.parts.metrics.fd_pca import COMPONENTS, FdPca
from odekit.parts.metrics.swd import repeated_distances
from odekit.parts.solvers.ddim import DdimOptions

SHEET = 16
"""Samples on the sheet of nearest training faces."""


def command(
    prior: PriorName = "face64",
    data: Faces = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Faces for loss and round trips; default: all.")] = None,
    samples: Annotated[
        int, typer.Option(min=0, help="Images drawn from the prior (33 or more for FD-PCA); 0: none.")
    ] = 250,
    steps: Annotated[int, typer.Option(min=2, help="Levels of the grid for samples and round trips.")] = 100,
    batch: Annotated[int, typer.Option("--batch-size", min=1, help="Images in a network call.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Seed of samples, patches, directions and damage.")] = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    sheet: Annotated[
        Path | None, typer.Option(help="Draw 16 samples and their nearest training faces into this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Validation loss by noise level, SWD and FD-PCA of samples, round trips and latents of clean and damaged faces.

    Example: python -m benchmarks prior --samples 32 --steps 20 --limit 16
    """
    loaded = load_prior(prior, device, precision)
    faces = face_set(data, loaded.shape[1])
    if sheet is not None and not (samples and len(faces.train)):
        raise ConfigError("--sheet needs samples, and train faces in --data")
    rows = measure(loaded, faces, Sizes(limit, samples, steps, batch, seed=seed, sheet=sheet))
    if as_json:
        print_json([row.tree() for row in rows])
        return
    cells = [
        (r.name, f"{r.value:.4g} {r.unit}".strip(), "" if r.spread is None else f"{r.spread:.2g}", str(r.count), r.note)
        for r in rows
    ]
    print_table("", ("figure", "value", "spread", "pictures", "how"), cells)


def load_prior(text: str, device: str, precision: str) -> Prior:
    """A prior as a chain names it, or of a folder. Raises ConfigError, WeightsError or DeviceError."""
    prior: Prior = make_raw("prior", parse_prior(text), device, precision)
    return prior


@dataclass(frozen=True)
class Row:
    """One measured figure."""

    name: str
    value: float
    unit: str = ""
    spread: float | None = None
    """Standard deviation of the values that are averaged; None for a single value."""
    count: int = 0
    """Number of images (of each set)."""
    note: str = ""

    def tree(self) -> dict[str, Any]:
        """Plain data; numbers that are not finite become None."""
        rest = {"unit": self.unit, "count": self.count, "note": self.note}
        return {"name": self.name, "value": _number(self.value), "spread": _number(self.spread), **rest}


@dataclass(frozen=True)
class Sizes:
    """The amount of work; network calls grow in proportion."""

    limit: int | None = None
    """Faces for the loss and for the round trips; all where None."""
    samples: int = 250
    steps: int = 100
    """Levels of the grid for samples and round trips."""
    batch: int = 8
    draws: int = 8
    """Draws of patches and directions for SWD."""
    seed: int = 0
    sheet: Path | None = None
    """A file for samples and their nearest training faces."""


def measure(prior: Prior, faces: FaceSet, sizes: Sizes) -> list[Row]:
    """All figures of a prior on faces of its side."""
    parts: tuple[Callable[[Prior, FaceSet, Sizes], Iterator[Row]], ...] = (losses, sample_rows, trips)
    return [row for part in parts for row in part(prior, faces, sizes)]


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


def sample_rows(prior: Prior, faces: FaceSet, sizes: Sizes) -> Iterator[Row]:
    """SWD and FD-PCA of samples against the held-out faces; of as many training faces for comparison."""
    held_out = faces.held_out
    count = min(sizes.samples, len(held_out))
    if not count:
        return
    order = np.random.Generator(np.random.Philox(sizes.seed)).permutation(len(faces.train))[:count]
    sets = {"samples": sample(prior, count, sizes.steps, sizes.batch, sizes.seed)}
    if len(order) == count:
        sets["train faces"] = faces.train[np.sort(order)]
    basis = FdPca.fit(faces.train) if len(faces.train) > COMPONENTS else None
    for name, pictures in sets.items():
        note = f"against {len(held_out)} held-out faces"
        draws = repeated_distances(pictures, held_out, sizes.draws, sizes.seed)
        for side in draws[0].levels:
            yield _mean(f"SWD {side} px, {name}", [one.levels[side] for one in draws], "x 1e-3", count, note)
        yield _mean(f"SWD, {name}", [one.mean for one in draws], "x 1e-3", count, f"{note}, {sizes.draws} draws")
        if basis is not None and count > COMPONENTS:
            # Both sets have the same number of images, because the distance falls with it.
            yield Row(f"FD-PCA, {name}", basis.distance(pictures, held_out), "", None, count, f"{note}; not an FID")
    if len(faces.train):
        yield from memorisation(sets["samples"], faces, sizes.sheet)


def memorisation(samples: Pictures, faces: FaceSet, sheet: Path | None) -> Iterator[Row]:
    """Distances of samples and of held-out faces to their nearest training faces; see `memorised`."""
    for name, pictures in (("samples", samples), ("held-out faces", faces.held_out)):
        neighbours = memorised.nearest(pictures, faces.train)
        note = f"RMS at {memorised.SIDE} px of the nearest of {len(faces.train)}, mirrored or not"
        yield _mean(f"nearest train face, {name}", neighbours.distance[:, 0], "", len(pictures), note)
        yield Row(
            f"nearest train face, least, {name}", float(neighbours.distance[:, 0].min()), "", None, len(pictures), note
        )
    if sheet is not None:
        first = samples[:SHEET]
        memorised.draw(sheet, first, faces.train, memorised.nearest(first, faces.train))


def trips(prior: Prior, faces: FaceSet, sizes: Sizes) -> Iterator[Row]:
    """Round trips of held-out faces, clean and damaged, and the statistics of their latents."""
    clean = faces.test_or_val[: sizes.limit]
    for name, pictures in (("clean", clean), ("damaged", damage_in_turn(clean, sizes.seed))):
        trip = round_trip(prior, pictures, sizes.steps, sizes.batch)
        note = f"DDIM, {sizes.steps} levels up and down, grid {best_grid(DdimOptions())}"
        yield _mean(f"round trip, {name}", trip.psnr, "dB", len(pictures), note)
        for key, values in statistics(trip.latents).items():
            yield _mean(f"latent {key}, {name}", values, "", len(pictures), "inverted, by picture")


def _mean(name: str, values: list[float] | NDArray[np.float64], unit: str, count: int, note: str) -> Row:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Row(name, float(np.mean(values)), unit, spread, count, note)


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 6)
