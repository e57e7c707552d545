"""The task of training an aligner: crops that hold a face somewhere in, its place and "a face or none" out."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from odekit.errors import WeightsError
from odekit.parts.corruptions.kinds import KINDS
from odekit.parts.faces.geometry import TEMPLATES
from odekit.training import run_folder as folders
from odekit.training import seeding
from odekit.training.data import canvases
from odekit.training.data.canvases import FACE, SIZE, Picture
from odekit.training.data.faces import Faces
from odekit.training.options.aligner import AlignerOptions, Placing
from odekit.training.tasks import sheet
from odekit.training.tasks.prior_validation import SEED

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

WEIGHTS = "model.safetensors"
POINTS: NDArray[np.float32] = (2 * TEMPLATES["ffhq-5"] - 1).astype(np.float32)
"""(5, 2): the template in coordinates from -1 to 1."""
Placed = NDArray[np.float32]
"""(N, 4): a, b, x, y of `crop = [[a, -b], [b, a]] template + (x, y)`, coordinates from -1 to 1."""


class AlignerTask:
    """See `odekit.training.task.Task`. Rows are crops (n, 3, 64, 64), places (n, 4), and the labels of the score (n,)."""

    def __init__(self, faces: Faces, options: AlignerOptions) -> None:
        self.faces, self.options = faces, options
        self.fingerprint = faces.fingerprint
        self.scenes = canvases.backgrounds(options.backgrounds)
        self.made: OrderedDict[int, Picture] = OrderedDict()
        self.hard: list[Picture] = []
        if options.hard and options.init:
            from odekit.training.data.hard_negatives import seek

            self.hard = seek(options.init, self.scenes, faces.train, options)
        self.questions = {name: self._questions(name) for name in ("clean", "damaged")}

    def network(self, start: bool) -> tuple[nn.Module, Mapping[str, Any]]:
        """A fresh network (its numbers a function of the seed), or the one that `init` names."""
        import torch

        from odekit.parts.faces.aligner_network import AlignerNet

        o = self.options
        with torch.random.fork_rng([]):
            torch.manual_seed(o.seed)
            fresh = AlignerNet(o.widths, o.dense)
        return fresh, read(fresh, o.init) if o.init and start else {}

    def batch(self, step: int, rank: int, size: int) -> tuple[Tensor, ...]:
        """Crops in [0, 1], their places, and 1 for a face, 0 for none, -1 where neither would be fair."""
        o = self.options
        rng = seeding.generator(o.seed, "crops", step)
        numbers = step * o.fresh + rng.integers(0, o.pool, o.batch)
        void = rng.random(o.batch) < o.negatives
        wrong = rng.random(o.batch) < 0.6
        where = places(rng, o.batch, o.placing)
        astray = misplaced(rng, o.batch)
        mine = range(rank, o.batch, size)
        where[void] = astray[void]
        numbers = np.where(void & ~wrong, -1 - numbers, numbers)
        crops = cut(np.stack([self._canvas(int(numbers[i])) for i in mine]), where[mine])
        again, flips = rng.random(o.batch) < 0.5, rng.random(o.batch) < 0.5
        picks = rng.integers(0, max(1, len(self.hard)), o.batch)
        for row, i in enumerate(mine):
            if void[i] and again[i] and self.hard:
                crops[row] = _tensor(canvases.light(self.hard[picks[i]], rng, 0.2)).permute(2, 0, 1).float() / 255
                crops[row] = crops[row].flip(2) if flips[i] else crops[row]
        return crops, _tensor(where[mine]), _tensor(np.where(void, 0.0, 1.0).astype(np.float32)[mine])

    def losses(self, network: nn.Module, rows: tuple[Tensor, ...]) -> Tensor:
        """Mean distance of the five points as a fraction of the side, faces only, plus `score` times cross entropy."""
        import torch
        from torch.nn import functional

        crops, where, label = rows
        if self.options.channels_last:
            crops = crops.contiguous(memory_format=torch.channels_last)
        said = network(crops).float()
        far = distance(said[:, :4], where) * label
        return far + self.options.score * functional.binary_cross_entropy_with_logits(
            said[:, 4], label, reduction="none"
        )

    def validate(self, average: nn.Module, cast: AbstractContextManager[object]) -> Mapping[str, float]:
        """Median error of one look at clean and damaged faces, and how often the score is on the wrong side."""
        import torch

        average.eval()
        device = next(average.parameters()).device
        figures: dict[str, float] = {}
        with torch.no_grad(), cast:
            for name, (crops, where, label) in self.questions.items():
                said = torch.cat([average(x.to(device)).float().cpu() for x in torch.split(crops, 64)])
                far = distance(said[:, :4], where)[label == 1]
                figures[name] = float(far.median())
                figures[f"{name}-90"] = float(far.quantile(0.9))
                figures[f"{name}-missed"] = float((said[label == 1, 4] < 0).float().mean())
                figures[f"{name}-false"] = float((said[label == 0, 4] > 0).float().mean())
        figures["loss"] = sum(figures[n] for n in ("clean", "damaged")) / 2 + 0.1 * sum(
            figures[f"{n}-{k}"] for n in ("clean", "damaged") for k in ("missed", "false")
        )
        return figures

    def sheet(self, average: nn.Module, cast: AbstractContextManager[object]) -> Picture | None:
        """Damaged crops with the found points (green) and the true ones (red)."""
        import torch

        if not self.options.samples:
            return None
        crops, where, _ = (rows[: self.options.samples] for rows in self.questions["damaged"])
        with torch.no_grad(), cast:
            said = average(crops.to(next(average.parameters()).device)).float().cpu()[:, :4]
        pictures = sheet.to_bytes(crops * 2 - 1).repeat(2, axis=1).repeat(2, axis=2)
        for marks, colour in ((where, (255, 0, 0)), (torch.cat([said[:, :1] + 1, said[:, 1:]], 1), (0, 255, 0))):
            _mark(pictures, marks.numpy(), colour)
        return sheet.tile(pictures, 8)

    def write(self, folder: Path, average: nn.Module, facts: Mapping[str, Any]) -> None:
        """`model.safetensors` (float16), odekit.json and train.json."""
        import torch
        from safetensors.torch import save_file

        fresh = folders.draft(folder)
        state = {k: v.detach().cpu().contiguous() for k, v in average.state_dict().items() if "num_batches" not in k}
        save_file({k: v.to(torch.float16) for k, v in state.items()}, fresh / WEIGHTS)
        about = {"kind": "aligner", "widths": list(self.options.widths), "dense": self.options.dense}
        counts = {"train": len(self.faces.train), "val": len(self.faces.val)}
        for name, content in {"odekit.json": about, "train.json": {**facts, "pictures": counts}}.items():
            (fresh / name).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        folders.publish(fresh, folder)

    def _canvas(self, number: int) -> Picture:
        """Canvas `number`, made when first asked for: with a face from 0 up, without one below."""
        if number not in self.made:
            o = self.options
            rng = seeding.generator(o.seed, "canvas", number)
            face = self.faces.train[rng.integers(len(self.faces.train))] if number >= 0 else None
            if face is not None and rng.random() < 0.5:
                face = np.ascontiguousarray(face[:, ::-1])
            self.made[number] = canvases.canvas(face, self.scenes, self.faces.train, rng, o.canvas)
            while len(self.made) > 2 * o.pool:
                self.made.popitem(last=False)
        self.made.move_to_end(number)
        return self.made[number]

    def _questions(self, name: str) -> tuple[Tensor, ...]:
        """The same crops in every run: each validation face once, and half as many without a face."""
        rng = seeding.generator(SEED, f"aligner-{name}", 0)
        faces = list(self.faces.val)
        kinds = [[] if name == "clean" else [(KINDS[i % len(KINDS)], 4)] for i in range(len(faces))]
        how = self.options.canvas.model_copy(update={"smallest": 64})
        full = [canvases.canvas(f, self.scenes, faces, rng, how, k) for f, k in zip(faces, kinds, strict=True)]
        empty = [canvases.canvas(None, self.scenes, faces, rng, how, k) for k in kinds[::2]]
        where = places(rng, len(full + empty), Placing(shift=0.15, angle=20, zoom=1.15, near=0))
        label = np.array([1.0] * len(full) + [0.0] * len(empty), dtype=np.float32)
        return cut(np.stack(full + empty), where), _tensor(where), _tensor(label)


def places(rng: np.random.Generator, count: int, options: Placing) -> Placed:
    """Where the template lies in each crop, for crops that are off by at most what the options say."""
    small = np.where(rng.random(count) < options.near, 0.2, 1.0)
    shift = 2 * options.shift * rng.uniform(-1, 1, (count, 2)) * small[:, None]
    turn = np.deg2rad(options.angle) * rng.uniform(-1, 1, count) * small
    size = np.exp(np.log(options.zoom) * rng.uniform(-1, 1, count) * small)
    return np.column_stack([size * np.cos(turn), size * np.sin(turn), shift]).astype(np.float32)


def misplaced(rng: np.random.Generator, count: int) -> Placed:
    """Places so far out that the crop shows no face one could align: aside, far too large, or upside down."""
    which = rng.integers(0, 3, count)
    aside = rng.uniform(0, 2 * np.pi, count)
    far = np.where(which == 0, rng.uniform(0.9, 1.3, count), rng.uniform(0, 0.4, count))
    turn = np.where(which == 2, np.pi + rng.uniform(-1.2, 1.2, count), rng.uniform(-0.4, 0.4, count))
    size = np.where(which == 1, rng.uniform(2.2, 4.0, count), np.exp(rng.uniform(-0.2, 0.4, count)))
    far = far * np.where(which == 1, size, 1.0)
    return np.column_stack([size * np.cos(turn), size * np.sin(turn), far * np.cos(aside), far * np.sin(aside)]).astype(
        np.float32
    )


def cut(pictures: Sequence[Picture] | NDArray[np.uint8], where: Placed) -> Tensor:
    """Crops (N, 3, 64, 64) in [0, 1] of canvases, in which the template lies at `where`."""
    import torch
    from torch.nn import functional

    from odekit.parts.faces.aligner_network import SIDE

    # crop = M template + t and canvas = (FACE / SIZE) template, so canvas = (FACE / SIZE) M^-1 (crop - t).
    a, b, x, y = where.T
    size = (a * a + b * b) * SIZE / FACE
    c, s = a / size, b / size
    theta = np.stack([c, s, -(c * x + s * y), -s, c, s * x - c * y], 1).reshape(-1, 2, 3).astype(np.float32)
    grid = functional.affine_grid(torch.from_numpy(theta), [len(theta), 3, SIDE, SIDE], align_corners=False)
    planes = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
    return functional.grid_sample(planes, grid, "bilinear", "reflection", align_corners=False)


def distance(said: Tensor, where: Tensor) -> Tensor:
    """Mean distance of the five points as a fraction of the crop's side, (n,); `said` counts a from 1."""
    import torch

    q = torch.from_numpy(POINTS).to(said)
    a, b, x, y = (said - where).unbind(1)
    a = a + 1
    dx = a[:, None] * q[:, 0] - b[:, None] * q[:, 1] + x[:, None]
    dy = b[:, None] * q[:, 0] + a[:, None] * q[:, 1] + y[:, None]
    return (dx * dx + dy * dy + 1e-8).sqrt().mean(1) / 2


def read(network: nn.Module, folder: Path) -> dict[str, Any]:
    """Load the weights of an aligner folder; returns its train.json ({} where it has none).

    Raises:
        WeightsError: no such folder, or weights of another shape.
    """
    from odekit.parts.faces.aligner import load

    if not (folder / WEIGHTS).is_file():
        raise WeightsError(f"{folder}: no aligner to start from (needs {WEIGHTS})")
    load(network, folder / WEIGHTS)
    facts = folder / "train.json"
    return dict(json.loads(facts.read_text(encoding="utf-8"))) if facts.is_file() else {}


def _mark(pictures: Picture, where: Placed, colour: tuple[int, int, int]) -> None:
    side = pictures.shape[1]
    for picture, (a, b, x, y) in zip(pictures, where, strict=True):
        for px, py in POINTS @ np.array([[a, b], [-b, a]]) + (x, y):
            column, line = int((px + 1) / 2 * side), int((py + 1) / 2 * side)
            picture[max(0, line - 1) : line + 2, max(0, column - 1) : column + 2] = colour


def _tensor(values: NDArray[Any]) -> Tensor:
    import torch

    return torch.from_numpy(values)
