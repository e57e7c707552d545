"""The task of training the mender: scratched crops in; what lies under the scratches, and their place, out."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.psnr import psnr_of
from odekit.errors import WeightsError
from odekit.training import run_folder as folders
from odekit.training import seeding
from odekit.training.data import canvases, crops
from odekit.training.data import scratched as spoil
from odekit.training.data.faces import Faces
from odekit.training.options.scratches import EIGHT, Damage, MenderOptions
from odekit.training.tasks import sheet
from odekit.training.tasks.prior_validation import SEED

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

WEIGHTS = "model.safetensors"
QUESTIONS = {
    "clean": Damage(grainy=0, compressed=0, blurred=0, soft=0, clean=1),
    "scratches": Damage(grainy=0, compressed=0, blurred=0, soft=0, clean=0),
    "compressed": Damage(grainy=0, compressed=1, blurred=0, soft=0, clean=0, jpeg=40),
}
"""The damage of the validation, the same in every run."""
SMOOTH = 1e-3
"""Charbonnier's epsilon: below it the error counts squared."""


class MenderTask:
    """See `odekit.training.task.Task`. Rows: scratched crops (n, 3, S, S), whole ones, where scratches show (n, S, S)."""

    def __init__(self, faces: Faces, options: MenderOptions) -> None:
        self.faces, self.options = faces, options
        self.fingerprint = faces.fingerprint
        found = canvases.backgrounds(options.backgrounds, canvases.FREE) if options.scenes else []
        self.scenes = crops.scenes(found)
        self.made: OrderedDict[int, tuple[NDArray[np.float32], ...]] = OrderedDict()
        self.questions = {kind: self._question(kind) for kind in QUESTIONS}

    def network(self, start: bool) -> tuple[nn.Module, Mapping[str, Any]]:
        """A fresh network (its numbers a function of the seed), or the one that `init` names."""
        import torch

        from odekit.parts.repair.scratch_network import MendNet

        o = self.options
        with torch.random.fork_rng([]):
            torch.manual_seed(o.seed)
            fresh = MendNet(o.widths, o.pairs)
        return fresh, read(fresh, o.init) if o.init and start else {}

    def batch(self, step: int, rank: int, size: int) -> tuple[Tensor, ...]:
        """Scratched crops, the crops without scratches, both in [0, 1], and 1 where scratches show."""
        o = self.options
        rng = seeding.generator(o.seed, "mender", step)
        numbers = step * o.fresh + rng.integers(0, o.pool, o.batch)
        turns, flips = rng.integers(0, 4, o.batch), rng.random(o.batch) < 0.5
        rows = []
        for i in range(rank, o.batch, size):
            turned = [np.rot90(part, int(turns[i])) for part in self._crop(int(numbers[i]))]
            rows.append([part[:, ::-1] if flips[i] else part for part in turned])
        bad, whole, shown = (_tensor(np.stack(each)) for each in zip(*rows, strict=True))
        return _planes(bad), _planes(whole), shown

    def losses(self, network: nn.Module, rows: tuple[Tensor, ...]) -> Tensor:
        """Charbonnier's error of the colours, scratches weighing more, and the cross entropy of the mask, (n,)."""
        from torch.nn import functional

        bad, whole, shown = rows
        if self.options.channels_last:
            bad = bad.contiguous(memory_format=_channels_last())
        said = network(bad).float()
        error = ((bad + said[:, :3] - whole) ** 2 + SMOOTH**2).sqrt().mean(1)
        weight = 1 + self.options.scratched * shown
        entropy = functional.binary_cross_entropy_with_logits(said[:, 3], shown, reduction="none")
        out: Tensor = (error * weight).mean((1, 2)) + self.options.mask * entropy.mean((1, 2))
        return out

    def validate(self, average: nn.Module, cast: AbstractContextManager[object]) -> Mapping[str, float]:
        """Decibels gained where the mask is followed, how much of the scratches it finds, its share of wrong pixels.

        'loss' is the mean ratio of squared errors after and before, and a hundred times the share of clean pixels taken
        for scratched.
        """
        import torch

        average.eval()
        figures: dict[str, float] = {}
        losses = []
        for kind, (bad, whole, shown) in self.questions.items():
            said = self._said(average, bad, cast)
            hit = (said[:, 3] > 0).float()
            mended = torch.where(hit[:, None] > 0, (bad + said[:, :3]).clamp(0, 1), bad)
            if kind == "clean":
                figures["clean-false"] = float(hit.mean())
                losses.append(figures["clean-false"] * 100)
                continue
            after, before = (float(((each - whole) ** 2).mean()) for each in (mended, bad))
            figures[f"{kind}-gain"] = psnr_of(max(after, 1e-9)) - psnr_of(before)
            figures[f"{kind}-found"] = float((hit * shown).sum() / shown.sum().clamp(min=1))
            figures[f"{kind}-wrong"] = float((hit * (1 - shown)).sum() / hit.sum().clamp(min=1))
            losses.append(after / before)
        return {"loss": float(np.mean(losses)), **figures}

    def sheet(self, average: nn.Module, cast: AbstractContextManager[object]) -> NDArray[np.uint8] | None:
        """Scratched, mended, the mask and the truth for every question, a row each."""
        import torch

        if not self.options.samples:
            return None
        rows = []
        for bad, whole, _ in self.questions.values():
            bad, whole = bad[: self.options.samples], whole[: self.options.samples]
            said = self._said(average, bad, cast)
            mask = said[:, 3:].sigmoid().expand(-1, 3, -1, -1)
            rows.append(torch.stack([bad, bad + said[:, :3], mask, whole], 1).flatten(0, 1))
        return sheet.tile(sheet.to_bytes(torch.cat(rows) * 2 - 1), 4 * self.options.samples)

    def write(self, folder: Path, average: nn.Module, facts: Mapping[str, Any]) -> None:
        """`model.safetensors` (float16), odekit.json and train.json."""
        import torch
        from safetensors.torch import save_file

        fresh = folders.draft(folder)
        state = {k: v.detach().to("cpu", torch.float16).contiguous() for k, v in average.state_dict().items()}
        save_file(state, fresh / WEIGHTS)
        o = self.options
        about = {"kind": "mender", "widths": list(o.widths), "pairs": list(o.pairs)}
        counts = {"train": len(self.faces.train), "val": len(self.faces.val), "scenes": len(self.scenes)}
        for name, content in {"odekit.json": about, "train.json": {**facts, "pictures": counts}}.items():
            (fresh / name).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        folders.publish(fresh, folder)

    def _said(self, network: nn.Module, bad: Tensor, cast: AbstractContextManager[object]) -> Tensor:
        import torch

        device = next(network.parameters()).device
        with torch.no_grad(), cast:
            return torch.cat([network(x.to(device)).float().cpu() for x in torch.split(bad, 4)])

    def _crop(self, number: int) -> tuple[NDArray[np.float32], ...]:
        """Crop `number`, made when first asked for."""
        if number not in self.made:
            o = self.options
            rng = seeding.generator(o.seed, "crop", number)
            scene = self.scenes and rng.random() < o.scenes
            pictures: Any = self.scenes if scene else self.faces.train
            whole = crops.view(pictures[int(rng.integers(len(pictures)))], o.crop + EIGHT, rng, o)
            bad, target, shown = spoil.spoiled(whole, rng, o.damage)
            y, x = rng.integers(0, EIGHT, 2)  # JPEG blocks begin anywhere
            part = np.s_[y : y + o.crop, x : x + o.crop]
            self.made[number] = (bad[part], target[part], shown[part].astype(np.float32))
            while len(self.made) > 2 * o.pool:
                self.made.popitem(last=False)
        return self.made[number]

    def _question(self, kind: str) -> tuple[Tensor, ...]:
        """The same pictures in every run, whatever the run's damage: each validation face, damaged in this way."""
        rng = seeding.generator(SEED, f"mender-{kind}", 0)
        rows = []
        for face in self.faces.val[: self.options.validation]:
            picture = face.astype(np.float32) / np.float32(255)
            scratched, clean, where = spoil.spoiled(picture, rng, QUESTIONS[kind])
            rows.append((scratched, clean, where.astype(np.float32)))
        bad, whole, shown = (_tensor(np.stack(each)) for each in zip(*rows, strict=True))
        return _planes(bad), _planes(whole), shown


def read(network: nn.Module, folder: Path) -> dict[str, Any]:
    """Load the weights of a mender folder; returns its train.json ({} where it has none).

    Raises:
        WeightsError: no such folder, or weights of another shape.
    """
    from odekit.parts.repair.scratches import fill

    if not (folder / WEIGHTS).is_file():
        raise WeightsError(f"{folder}: no mender to start from (needs {WEIGHTS})")
    fill(network, folder / WEIGHTS)
    facts = folder / "train.json"
    return dict(json.loads(facts.read_text(encoding="utf-8"))) if facts.is_file() else {}


def _planes(pictures: Tensor) -> Tensor:
    return pictures.permute(0, 3, 1, 2).contiguous()


def _channels_last() -> Any:
    import torch

    return torch.channels_last


def _tensor(values: NDArray[Any]) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values))
