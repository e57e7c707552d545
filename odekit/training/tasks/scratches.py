"""The task of training the scratch network: scratched crops in, the mask of the scratches out."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from odekit.training import seeding
from odekit.training.data import canvases, crops, scratched
from odekit.training.data.faces import Faces
from odekit.training.options.scratches import BLOCK, ScratchDamageOptions, ScratchOptions
from odekit.training.tasks import networks, sheet
from odekit.training.tasks.prior_validation import VALIDATION_SEED

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

VALIDATION_DAMAGE = {
    "clean": ScratchDamageOptions(grainy=0, compressed=0, blurred=0, soft=0, clean=1),
    "scratches": ScratchDamageOptions(grainy=0, compressed=0, blurred=0, soft=0, clean=0),
    "compressed": ScratchDamageOptions(grainy=0, compressed=1, blurred=0, soft=0, clean=0, jpeg=40),
}
"""Damage of the validation pictures, the same in every run."""


class ScratchTask:
    """See `odekit.training.task.Task`.

    A batch is: crops (n, 3, S, S) in [0, 1]; masks (n, S, S), 1 where a scratch is visible, else 0.
    """

    def __init__(self, faces: Faces, options: ScratchOptions) -> None:
        self.faces, self.options = faces, options
        self.fingerprint = faces.fingerprint
        photographs = (
            canvases.load_backgrounds(options.backgrounds, canvases.SKIMAGE_FREE_PHOTOGRAPHS, options.scene_side)
            if options.scenes
            else []
        )
        self.scenes = crops.large_enough(photographs)
        self._crop = functools.lru_cache(2 * options.pool)(self._make_crop)
        self.validation = {kind: self._validation_batch(kind) for kind in VALIDATION_DAMAGE}

    def network(self, start: bool) -> tuple[nn.Module, Mapping[str, Any]]:
        """A new network, random by the seed, or the one of `init`."""
        from odekit.parts.repair.scratch_network import ScratchNet

        o = self.options
        return networks.create(lambda: ScratchNet(o.widths, o.pairs), o.seed, o.init if start else None, read)

    def batch(self, step: int, rank: int, world_size: int) -> tuple[Tensor, ...]:
        """Crops and masks, rotated by multiples of 90 degrees and mirrored at random."""
        o = self.options
        rng = seeding.keyed_generator(o.seed, "mender", step)
        numbers = step * o.fresh + rng.integers(0, o.pool, o.batch)
        turns, flips = rng.integers(0, 4, o.batch), rng.random(o.batch) < 0.5
        rows = []
        for i in range(rank, o.batch, world_size):
            turned = [np.rot90(plane, int(turns[i])) for plane in self._crop(int(numbers[i]))]
            rows.append([plane[:, ::-1] if flips[i] else plane for plane in turned])
        return _stack(rows)

    def losses(self, network: nn.Module, rows: tuple[Tensor, ...]) -> Tensor:
        """(n,): cross entropy of the mask."""
        import torch
        from torch.nn import functional

        inputs, mask = rows
        if self.options.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        logit = network(inputs).float()
        loss: Tensor = functional.binary_cross_entropy_with_logits(logit, mask, reduction="none").mean((1, 2))
        return loss

    def validate(self, average: nn.Module, cast: AbstractContextManager[object]) -> Mapping[str, float]:
        """Metrics for each kind of damage.

        `-found` is the recall of the mask, `-wrong` the share of its pixels that are not scratched, `clean-false` the
        share of clean pixels in the mask. 'loss' is the mean cross entropy over all kinds.
        """
        from torch.nn import functional

        average.eval()
        figures: dict[str, float] = {}
        losses = []
        for kind, (inputs, mask) in self.validation.items():
            logit = self._logits(average, inputs, cast)
            losses.append(float(functional.binary_cross_entropy_with_logits(logit, mask)))
            predicted = (logit > 0).float()
            if kind == "clean":
                figures["clean-false"] = float(predicted.mean())
                continue
            hits = float((predicted * mask).sum())
            figures[f"{kind}-found"] = hits / max(float(mask.sum()), 1)
            figures[f"{kind}-wrong"] = 1 - hits / float(predicted.sum()) if predicted.any() else 0.0
        return {"loss": float(np.mean(losses)), **figures}

    def sheet(self, average: nn.Module, cast: AbstractContextManager[object]) -> NDArray[np.uint8] | None:
        """Input, predicted mask and true mask side by side; one row for each kind of damage."""
        import torch

        if not self.options.samples:
            return None
        rows = []
        count = self.options.samples
        for inputs, mask in self.validation.values():
            probability = self._logits(average, inputs[:count], cast).sigmoid()
            planes = [plane[:, None].expand(-1, 3, -1, -1) for plane in (probability, mask[:count])]
            rows.append(torch.stack([inputs[:count], *planes], 1).flatten(0, 1))
        return sheet.tile(sheet.to_uint8(torch.cat(rows) * 2 - 1), 3 * count)

    def write(self, folder: Path, average: nn.Module, facts: Mapping[str, Any]) -> None:
        """`model.safetensors` (float16), odekit.json and train.json."""
        o = self.options
        description = {"kind": "mender", "widths": list(o.widths), "pairs": list(o.pairs)}
        facts = {**facts, "pictures": {**self.faces.counts, "scenes": len(self.scenes)}}
        networks.write(folder, average, {"odekit.json": description, "train.json": facts})

    def _logits(self, network: nn.Module, inputs: Tensor, cast: AbstractContextManager[object]) -> Tensor:
        import torch

        with torch.no_grad(), cast:
            return networks.outputs(network, inputs, 4)

    def _make_crop(self, number: int) -> tuple[NDArray[np.float32], ...]:
        """Crop `number`: input (S, S, 3) and mask (S, S). Cached by `_crop`."""
        o = self.options
        rng = seeding.keyed_generator(o.seed, "crop", number)
        use_scene = self.scenes and rng.random() < o.scenes
        pictures: Any = self.scenes if use_scene else self.faces.train
        clean = crops.random_crop(pictures[int(rng.integers(len(pictures)))], o.crop + BLOCK, rng, o)
        inputs, _, mask = scratched.damaged_pair(clean, rng, o.damage)
        y, x = rng.integers(0, BLOCK, 2)  # a random offset of the JPEG block grid
        window = np.s_[y : y + o.crop, x : x + o.crop]
        return inputs[window], mask[window].astype(np.float32)

    def _validation_batch(self, kind: str) -> tuple[Tensor, ...]:
        """The same pictures in every run, whatever the `damage` option: each validation face, damaged by `kind`."""
        rng = seeding.keyed_generator(VALIDATION_SEED, f"mender-{kind}", 0)
        rows = []
        for face in self.faces.val[: self.options.validation]:
            picture = face.astype(np.float32) / np.float32(255)
            inputs, _, mask = scratched.damaged_pair(picture, rng, VALIDATION_DAMAGE[kind])
            rows.append([inputs, mask.astype(np.float32)])
        return _stack(rows)


def read(network: nn.Module, folder: Path) -> dict[str, Any]:
    """Load the weights of a scratch network; returns the folder's train.json ({} if it has none).

    Raises:
        WeightsError: the folder has no weights, or weights of another shape.
    """
    from odekit.parts.repair.scratches import load_scratch_network

    return networks.load(network, folder, "mender", load_scratch_network)


def _stack(rows: list[list[NDArray[np.float32]]]) -> tuple[Tensor, ...]:
    """Rows of input (S, S, 3) and mask (S, S) as two tensors, channels first."""
    import torch

    inputs, mask = (torch.from_numpy(np.ascontiguousarray(np.stack(column))) for column in zip(*rows, strict=True))
    return inputs.permute(0, 3, 1, 2).contiguous(), mask
