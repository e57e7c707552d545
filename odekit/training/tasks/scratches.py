"""The task of training scratch inpainting: scratched crops in, the colour correction and a scratch mask out."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.psnr import psnr_of
from odekit.training import seeding
from odekit.training.data import canvases, crops, scratched
from odekit.training.data.faces import Faces
from odekit.training.options.scratches import SIDE_MULTIPLE, ScratchDamageOptions, ScratchOptions
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
CHARBONNIER_EPSILON = 1e-3
"""epsilon of the Charbonnier loss: smaller errors are penalised quadratically."""


class ScratchTask:
    """See `odekit.training.task.Task`.

    A batch is: scratched crops (n, 3, S, S) and the same without scratches, both in [0, 1]; masks (n, S, S), 1 where
    a scratch is visible, else 0.
    """

    def __init__(self, faces: Faces, options: ScratchOptions) -> None:
        self.faces, self.options = faces, options
        self.fingerprint = faces.fingerprint
        photographs = (
            canvases.load_backgrounds(options.backgrounds, canvases.SKIMAGE_FREE_PHOTOGRAPHS) if options.scenes else []
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
        """Scratched crops, target crops and masks, rotated by multiples of 90 degrees and mirrored at random."""
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
        """(n,): Charbonnier loss of the colours, with scratches weighted more, + `mask` * cross entropy of the mask."""
        import torch
        from torch.nn import functional

        inputs, target, mask = rows
        if self.options.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        output = network(inputs).float()
        error = ((inputs + output[:, :3] - target) ** 2 + CHARBONNIER_EPSILON**2).sqrt().mean(1)
        weight = 1 + self.options.scratched * mask
        entropy = functional.binary_cross_entropy_with_logits(output[:, 3], mask, reduction="none")
        loss: Tensor = (error * weight).mean((1, 2)) + self.options.mask * entropy.mean((1, 2))
        return loss

    def validate(self, average: nn.Module, cast: AbstractContextManager[object]) -> Mapping[str, float]:
        """Metrics for each kind of damage, with the correction applied where the predicted mask is set.

        `-gain` is the PSNR gain in dB, `-found` the recall of the mask, `-wrong` the share of its pixels that are not
        scratched, and `clean-false` the share of clean pixels in the mask. 'loss' is the mean of the ratios of squared
        errors after and before, and of 100 times `clean-false`.
        """
        import torch

        average.eval()
        figures: dict[str, float] = {}
        losses = []
        for kind, (inputs, target, mask) in self.validation.items():
            output = self._outputs(average, inputs, cast)
            predicted = (output[:, 3] > 0).float()
            filled = torch.where(predicted[:, None] > 0, (inputs + output[:, :3]).clamp(0, 1), inputs)
            if kind == "clean":
                figures["clean-false"] = float(predicted.mean())
                losses.append(figures["clean-false"] * 100)
                continue
            after, before = (float(((pictures - target) ** 2).mean()) for pictures in (filled, inputs))
            figures[f"{kind}-gain"] = psnr_of(max(after, 1e-9)) - psnr_of(before)
            figures[f"{kind}-found"] = float((predicted * mask).sum() / mask.sum().clamp(min=1))
            figures[f"{kind}-wrong"] = float((predicted * (1 - mask)).sum() / predicted.sum().clamp(min=1))
            losses.append(after / before)
        return {"loss": float(np.mean(losses)), **figures}

    def sheet(self, average: nn.Module, cast: AbstractContextManager[object]) -> NDArray[np.uint8] | None:
        """Input, output, predicted mask and ground truth side by side; one row for each kind of damage."""
        import torch

        if not self.options.samples:
            return None
        rows = []
        for inputs, target, _ in self.validation.values():
            inputs, target = inputs[: self.options.samples], target[: self.options.samples]
            output = self._outputs(average, inputs, cast)
            mask = output[:, 3:].sigmoid().expand(-1, 3, -1, -1)
            rows.append(torch.stack([inputs, inputs + output[:, :3], mask, target], 1).flatten(0, 1))
        return sheet.tile(sheet.to_uint8(torch.cat(rows) * 2 - 1), 4 * self.options.samples)

    def write(self, folder: Path, average: nn.Module, facts: Mapping[str, Any]) -> None:
        """`model.safetensors` (float16), odekit.json and train.json."""
        o = self.options
        description = {"kind": "mender", "widths": list(o.widths), "pairs": list(o.pairs)}
        facts = {**facts, "pictures": {**self.faces.counts, "scenes": len(self.scenes)}}
        networks.write(folder, average, {"odekit.json": description, "train.json": facts})

    def _outputs(self, network: nn.Module, inputs: Tensor, cast: AbstractContextManager[object]) -> Tensor:
        import torch

        with torch.no_grad(), cast:
            return networks.outputs(network, inputs, 4)

    def _make_crop(self, number: int) -> tuple[NDArray[np.float32], ...]:
        """Crop `number`: input (S, S, 3), target (S, S, 3) and mask (S, S). Cached by `_crop`."""
        o = self.options
        rng = seeding.keyed_generator(o.seed, "crop", number)
        use_scene = self.scenes and rng.random() < o.scenes
        pictures: Any = self.scenes if use_scene else self.faces.train
        clean = crops.random_crop(pictures[int(rng.integers(len(pictures)))], o.crop + SIDE_MULTIPLE, rng, o)
        inputs, target, mask = scratched.damaged_pair(clean, rng, o.damage)
        y, x = rng.integers(0, SIDE_MULTIPLE, 2)  # a random offset of the JPEG block grid
        window = np.s_[y : y + o.crop, x : x + o.crop]
        return inputs[window], target[window], mask[window].astype(np.float32)

    def _validation_batch(self, kind: str) -> tuple[Tensor, ...]:
        """The same pictures in every run, whatever the `damage` option: each validation face, damaged by `kind`."""
        rng = seeding.keyed_generator(VALIDATION_SEED, f"mender-{kind}", 0)
        rows = []
        for face in self.faces.val[: self.options.validation]:
            picture = face.astype(np.float32) / np.float32(255)
            inputs, target, mask = scratched.damaged_pair(picture, rng, VALIDATION_DAMAGE[kind])
            rows.append([inputs, target, mask.astype(np.float32)])
        return _stack(rows)


def read(network: nn.Module, folder: Path) -> dict[str, Any]:
    """Load the weights of a scratch network; returns the folder's train.json ({} if it has none).

    Raises:
        WeightsError: the folder has no weights, or weights of another shape.
    """
    from odekit.parts.repair.scratches import load_scratch_network

    return networks.load(network, folder, "mender", load_scratch_network)


def _stack(rows: list[list[NDArray[np.float32]]]) -> tuple[Tensor, ...]:
    """Rows of input, target (S, S, 3) and mask (S, S) as three tensors, channels first."""
    import torch

    inputs, target, mask = (
        torch.from_numpy(np.ascontiguousarray(np.stack(column))) for column in zip(*rows, strict=True)
    )
    return _channels_first(inputs), _channels_first(target), mask


def _channels_first(pictures: Tensor) -> Tensor:
    return pictures.permute(0, 3, 1, 2).contiguous()
