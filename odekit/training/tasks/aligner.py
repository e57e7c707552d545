"""The task of training an aligner: crops in, the position of the face and a face score out."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from odekit.parts.corruptions.kinds import KINDS
from odekit.parts.faces.geometry import TEMPLATES
from odekit.training import seeding
from odekit.training.data import canvases
from odekit.training.data.canvases import CANVAS_SIDE, FACE_SIDE, Picture
from odekit.training.data.faces import Faces, to_tensor
from odekit.training.options.aligner import AlignerOptions, PlacementOptions
from odekit.training.tasks import networks, sheet
from odekit.training.tasks.prior_validation import VALIDATION_SEED

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

POINTS: NDArray[np.float32] = (2 * TEMPLATES["ffhq-5"] - 1).astype(np.float32)
"""(5, 2): the template in coordinates from -1 to 1."""
Placements = NDArray[np.float32]
"""(N, 4): a, b, x, y of `crop = [[a, -b], [b, a]] template + (x, y)`, coordinates from -1 to 1."""


class AlignerTask:
    """See `odekit.training.task.Task`.

    A batch is: crops (n, 3, 64, 64) in [0, 1]; placements (n, 4), see `Placements`; labels (n,), 1 for a face, else 0.
    """

    def __init__(self, faces: Faces, options: AlignerOptions) -> None:
        self.faces, self.options = faces, options
        self.fingerprint = faces.fingerprint
        self.scenes = canvases.load_backgrounds(options.backgrounds)
        self._canvas = functools.lru_cache(2 * options.pool)(self._compose)
        self.hard: list[Picture] = []
        """Crops without a face that the network of `init` takes for faces."""
        if options.hard and options.init:
            from odekit.training.data.hard_negatives import find_hard_negatives

            self.hard = find_hard_negatives(options.init, self.scenes, faces.train, options)
        self.validation = {name: self._validation_batch(name) for name in ("clean", "damaged")}

    def network(self, start: bool) -> tuple[nn.Module, Mapping[str, Any]]:
        """A new network, random by the seed, or the one of `init`."""
        from odekit.parts.faces.aligner_network import AlignerNet

        o = self.options
        return networks.create(lambda: AlignerNet(o.widths, o.dense), o.seed, o.init if start else None, read)

    def batch(self, step: int, rank: int, world_size: int) -> tuple[Tensor, ...]:
        """Crops, their placements and labels. Negatives show a face far off, no face, or a hard negative."""
        o = self.options
        rng = seeding.keyed_generator(o.seed, "crops", step)
        numbers = step * o.fresh + rng.integers(0, o.pool, o.batch)
        negative = rng.random(o.batch) < o.negatives
        far_off = rng.random(o.batch) < 0.6
        placements = draw_placements(rng, o.batch, o.placing)
        far_placements = draw_far_placements(rng, o.batch)
        local = range(rank, o.batch, world_size)
        placements[negative] = far_placements[negative]
        numbers = np.where(negative & ~far_off, -1 - numbers, numbers)
        crops = cut_crops(np.stack([self._canvas(int(numbers[i])) for i in local]), placements[local])
        hard, flips = rng.random(o.batch) < 0.5, rng.random(o.batch) < 0.5
        hard_index = rng.integers(0, max(1, len(self.hard)), o.batch)
        for row, i in enumerate(local):
            if negative[i] and hard[i] and self.hard:
                crops[row] = to_tensor(canvases.random_light(self.hard[hard_index[i]], rng, 0.2)[None])[0]
                crops[row] = crops[row].flip(2) if flips[i] else crops[row]
        labels = np.where(negative, 0.0, 1.0).astype(np.float32)
        return crops, _tensor(placements[local]), _tensor(labels[local])

    def losses(self, network: nn.Module, rows: tuple[Tensor, ...]) -> Tensor:
        """(n,): mean distance of the five points as a fraction of the side (faces only) + `score` * cross entropy."""
        import torch
        from torch.nn import functional

        crops, placements, labels = rows
        if self.options.channels_last:
            crops = crops.contiguous(memory_format=torch.channels_last)
        output = network(crops).float()
        error = point_error(output[:, :4], placements) * labels
        return error + self.options.score * functional.binary_cross_entropy_with_logits(
            output[:, 4], labels, reduction="none"
        )

    def validate(self, average: nn.Module, cast: AbstractContextManager[object]) -> Mapping[str, float]:
        """Metrics of a single pass over clean and damaged crops.

        For each kind: the median and (`-90`) the 90th percentile of the point error, and the rates of missed faces
        (`-missed`) and of false positives (`-false`).
        """
        import torch

        average.eval()
        figures: dict[str, float] = {}
        with torch.no_grad(), cast:
            for name, (crops, placements, labels) in self.validation.items():
                output = networks.outputs(average, crops, 64)
                errors = point_error(output[:, :4], placements)[labels == 1]
                figures[name] = float(errors.median())
                figures[f"{name}-90"] = float(errors.quantile(0.9))
                figures[f"{name}-missed"] = float((output[labels == 1, 4] < 0).float().mean())
                figures[f"{name}-false"] = float((output[labels == 0, 4] > 0).float().mean())
        figures["loss"] = sum(figures[n] for n in ("clean", "damaged")) / 2 + 0.1 * sum(
            figures[f"{n}-{k}"] for n in ("clean", "damaged") for k in ("missed", "false")
        )
        return figures

    def sheet(self, average: nn.Module, cast: AbstractContextManager[object]) -> Picture | None:
        """Damaged crops with the predicted points (green) and the true ones (red)."""
        import torch

        if not self.options.samples:
            return None
        crops, placements, _ = (rows[: self.options.samples] for rows in self.validation["damaged"])
        with torch.no_grad(), cast:
            output = average(crops.to(next(average.parameters()).device)).float().cpu()[:, :4]
        predicted = torch.cat([output[:, :1] + 1, output[:, 1:]], 1)
        pictures = sheet.to_uint8(crops * 2 - 1).repeat(2, axis=1).repeat(2, axis=2)
        _mark(pictures, placements.numpy(), (255, 0, 0))
        _mark(pictures, predicted.numpy(), (0, 255, 0))
        return sheet.tile(pictures, 8)

    def write(self, folder: Path, average: nn.Module, facts: Mapping[str, Any]) -> None:
        """`model.safetensors` (float16), odekit.json and train.json."""
        description = {"kind": "aligner", "widths": list(self.options.widths), "dense": self.options.dense}
        facts = {**facts, "pictures": self.faces.counts}
        networks.write(folder, average, {"odekit.json": description, "train.json": facts})

    def _compose(self, number: int) -> Picture:
        """Canvas `number`: with a face from 0 up, without one below. Cached by `_canvas`."""
        o = self.options
        rng = seeding.keyed_generator(o.seed, "canvas", number)
        face = self.faces.train[rng.integers(len(self.faces.train))] if number >= 0 else None
        if face is not None and rng.random() < 0.5:
            face = np.ascontiguousarray(face[:, ::-1])
        return canvases.compose_canvas(face, self.scenes, self.faces.train, rng, o.canvas)

    def _validation_batch(self, name: str) -> tuple[Tensor, ...]:
        """The same crops in every run: each validation face once, and half as many crops without a face."""
        rng = seeding.keyed_generator(VALIDATION_SEED, f"aligner-{name}", 0)
        faces = list(self.faces.val)
        kinds = [[] if name == "clean" else [(KINDS[i % len(KINDS)], 4)] for i in range(len(faces))]
        options = self.options.canvas.model_copy(update={"smallest": 64})
        full = [
            canvases.compose_canvas(f, self.scenes, faces, rng, options, k) for f, k in zip(faces, kinds, strict=True)
        ]
        empty = [canvases.compose_canvas(None, self.scenes, faces, rng, options, k) for k in kinds[::2]]
        placements = draw_placements(rng, len(full + empty), PlacementOptions(shift=0.15, angle=20, zoom=1.15, near=0))
        labels = np.array([1.0] * len(full) + [0.0] * len(empty), dtype=np.float32)
        return cut_crops(np.stack(full + empty), placements), _tensor(placements), _tensor(labels)


def draw_placements(rng: np.random.Generator, count: int, options: PlacementOptions) -> Placements:
    """Random placements of the template in a crop, within the limits of `options`."""
    scale = np.where(rng.random(count) < options.near, 0.2, 1.0)
    shift = 2 * options.shift * rng.uniform(-1, 1, (count, 2)) * scale[:, None]
    angle = np.deg2rad(options.angle) * rng.uniform(-1, 1, count) * scale
    size = np.exp(np.log(options.zoom) * rng.uniform(-1, 1, count) * scale)
    return np.column_stack([size * np.cos(angle), size * np.sin(angle), shift]).astype(np.float32)


def draw_far_placements(rng: np.random.Generator, count: int) -> Placements:
    """Random placements that leave no face to align in the crop: off to the side, far too large, or upside down."""
    kind = rng.integers(0, 3, count)
    direction = rng.uniform(0, 2 * np.pi, count)
    offset = np.where(kind == 0, rng.uniform(0.9, 1.3, count), rng.uniform(0, 0.4, count))
    angle = np.where(kind == 2, np.pi + rng.uniform(-1.2, 1.2, count), rng.uniform(-0.4, 0.4, count))
    size = np.where(kind == 1, rng.uniform(2.2, 4.0, count), np.exp(rng.uniform(-0.2, 0.4, count)))
    offset = offset * np.where(kind == 1, size, 1.0)
    rotation = [size * np.cos(angle), size * np.sin(angle)]
    translation = [offset * np.cos(direction), offset * np.sin(direction)]
    return np.column_stack([*rotation, *translation]).astype(np.float32)


def cut_crops(pictures: Sequence[Picture] | NDArray[np.uint8], where: Placements) -> Tensor:
    """Crops (N, 3, 64, 64) in [0, 1] of canvases, with the template placed at `where` in each crop."""
    import torch
    from torch.nn import functional

    from odekit.parts.faces.aligner_network import SIDE

    # crop = M template + t and canvas = k template with k = FACE_SIDE / CANVAS_SIDE, so canvas = k M^-1 (crop - t).
    a, b, x, y = where.T
    size = (a * a + b * b) * CANVAS_SIDE / FACE_SIDE
    c, s = a / size, b / size
    theta = np.stack([c, s, -(c * x + s * y), -s, c, s * x - c * y], 1).reshape(-1, 2, 3).astype(np.float32)
    grid = functional.affine_grid(torch.from_numpy(theta), [len(theta), 3, SIDE, SIDE], align_corners=False)
    return functional.grid_sample(to_tensor(pictures), grid, "bilinear", "reflection", align_corners=False)


def point_error(predicted: Tensor, where: Tensor) -> Tensor:
    """Mean distance of the five points as a fraction of the crop's side, (n,).

    Args:
        predicted: placements of the network (n, 4), with a - 1 in place of a.
        where: true placements (n, 4).
    """
    import torch

    q = torch.from_numpy(POINTS).to(predicted)
    a, b, x, y = (predicted - where).unbind(1)
    a = a + 1
    dx = a[:, None] * q[:, 0] - b[:, None] * q[:, 1] + x[:, None]
    dy = b[:, None] * q[:, 0] + a[:, None] * q[:, 1] + y[:, None]
    return (dx * dx + dy * dy + 1e-8).sqrt().mean(1) / 2


def read(network: nn.Module, folder: Path) -> dict[str, Any]:
    """Load the weights of an aligner folder; returns its train.json ({} if it has none).

    Raises:
        WeightsError: the folder has no weights, or weights of another shape.
    """
    from odekit.parts.faces.aligner import load_aligner

    return networks.load(network, folder, "aligner", load_aligner)


def _mark(pictures: Picture, placements: Placements, colour: tuple[int, int, int]) -> None:
    """Draw the five points of each placement as squares of 3 x 3 pixels into pictures (N, S, S, 3)."""
    side = pictures.shape[1]
    for picture, (a, b, x, y) in zip(pictures, placements, strict=True):
        for px, py in POINTS @ np.array([[a, b], [-b, a]]) + (x, y):
            column, line = int((px + 1) / 2 * side), int((py + 1) / 2 * side)
            picture[max(0, line - 1) : line + 2, max(0, column - 1) : column + 2] = colour


def _tensor(values: NDArray[Any]) -> Tensor:
    import torch

    return torch.from_numpy(values)
