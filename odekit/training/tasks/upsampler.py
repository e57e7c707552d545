"""The task of training a face upsampler: small faces in, large faces out."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError, WeightsError
from odekit.training import seeding
from odekit.training.data import augment, restored_inputs, small_inputs
from odekit.training.data.faces import Faces, to_tensor
from odekit.training.options.base import SmallInputOptions, UpsamplerOptions
from odekit.training.tasks import networks, sheet
from odekit.training.tasks.prior_validation import VALIDATION_SEED

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

VALIDATION_INPUTS = {
    "clean": SmallInputOptions(clean=1),
    "blurred": SmallInputOptions(clean=0, noise=0, jpeg=100),
    "noisy": SmallInputOptions(clean=0, blur=0, jpeg=100),
    "damaged": SmallInputOptions(clean=0),
}
"""Degradations of the validation inputs; each is applied to every validation picture."""


class UpsamplerTask:
    """See `odekit.training.task.Task`.

    A batch is: small crops (n, 3, s, s) and the large ones they were reduced from (n, 3, S, S), both in [0, 1].
    """

    def __init__(self, faces: Faces, options: UpsamplerOptions) -> None:
        self.faces, self.options = faces, options
        self.fingerprint = faces.fingerprint
        self.large = augment.area_reduce(to_tensor(faces.val[: options.validation]), options.side)
        small = augment.area_reduce(self.large, options.side // options.scale)
        self.small = {
            kind: small_inputs.degrade(small, seeding.keyed_generator(VALIDATION_SEED, kind, 0), inputs)
            for kind, inputs in VALIDATION_INPUTS.items()
        }
        """Validation inputs by kind of degradation."""
        self.truth = dict.fromkeys(self.small, self.large)
        self.restored: Mapping[int, NDArray[np.uint8]] = {}
        """Restored small faces by the index of their training picture."""
        if options.inputs.restored is not None:
            self._read_restored(options.inputs.restored)
        self.lanczos_error = {
            kind: _squared_error(small_inputs.enlarge_lanczos(x, options.scale), self.truth[kind])
            for kind, x in self.small.items()
        }

    def _read_restored(self, folder: Path) -> None:
        """Read restored training faces, and restored validation faces if there are any."""
        import torch

        side, faces = self.options.side // self.options.scale, self.faces
        self.restored = restored_inputs.read(folder, faces.train_names, side)
        digest = hashlib.sha256(faces.fingerprint.encode())
        for number, face in self.restored.items():
            digest.update(str(number).encode() + face.tobytes())
        self.fingerprint = digest.hexdigest()
        with contextlib.suppress(InputError):
            validation = restored_inputs.read(folder, faces.val_names[: len(self.large)], side)
            self.small["restored"] = to_tensor(np.stack(list(validation.values())))
            self.truth["restored"] = self.large[torch.tensor(list(validation))]

    def network(self, start: bool) -> tuple[nn.Module, Mapping[str, Any]]:
        """A new network, random by the seed, or the one of `init`."""
        from odekit.parts.upsamplers.compact import Compact

        o = self.options
        return networks.create(lambda: Compact(o.features, o.convs, o.scale), o.seed, o.init if start else None, read)

    def batch(self, step: int, rank: int, world_size: int) -> tuple[Tensor, ...]:
        """Small crops and large crops. A share of the small ones is cut from restored faces."""
        import torch

        o = self.options
        index = seeding.batch_indices(o.seed, step, o.batch, len(self.faces.train))
        offsets_end = o.side // o.scale - o.crop + 1
        offsets = seeding.keyed_generator(o.seed, "crops", step).integers(0, offsets_end, (o.batch, 2)) * o.scale
        flips = seeding.keyed_generator(o.seed, "flips", step).random(o.batch) < o.inputs.flip
        large_side = o.crop * o.scale
        crops = []
        for i in range(rank, o.batch, world_size):
            picture = augment.area_reduce(to_tensor(self.faces.train[index[i]][None]), o.side)[0]
            y, x = offsets[i]
            crop = picture[:, y : y + large_side, x : x + large_side]
            crops.append(crop.flip(2) if flips[i] else crop)
        large = torch.stack(crops)
        rng = seeding.keyed_generator(o.seed, f"inputs-{rank}-of-{world_size}", step)
        small = small_inputs.degrade(augment.area_reduce(large, o.crop), rng, o.inputs)
        use_restored = seeding.keyed_generator(o.seed, "restored", step).random(o.batch) < o.inputs.share
        for row, i in enumerate(range(rank, o.batch, world_size)):
            face = self.restored.get(int(index[i])) if use_restored[i] else None
            if face is not None:
                y, x = offsets[i] // o.scale
                crop = to_tensor(face[None])[0][:, y : y + o.crop, x : x + o.crop]
                small[row] = crop.flip(2) if flips[i] else crop
        return small, large

    def losses(self, network: nn.Module, rows: tuple[Tensor, ...]) -> Tensor:
        """(n,): mean absolute error of each crop + `ssim` * (1 - SSIM)."""
        import torch

        small, large = rows
        if self.options.channels_last:
            small = small.contiguous(memory_format=torch.channels_last)
        output = network(small).float()
        error: Tensor = (output - large).abs().mean((1, 2, 3))
        return error + self.options.ssim * dissimilarity(output, large) if self.options.ssim else error

    def validate(self, average: nn.Module, cast: AbstractContextManager[object]) -> Mapping[str, float]:
        """Ratio of the mean squared errors of the network and of Lanczos for each kind of input; 'loss' is their mean.

        A ratio below 1 is better than Lanczos.
        """
        import torch

        average.eval()
        with torch.no_grad(), cast:
            ratios = {
                kind: _squared_error(_enlarge(average, x), self.truth[kind]) / self.lanczos_error[kind]
                for kind, x in self.small.items()
            }
        return {"loss": float(np.mean(list(ratios.values()))), **ratios}

    def sheet(self, average: nn.Module, cast: AbstractContextManager[object]) -> NDArray[np.uint8] | None:
        """Input (enlarged by repetition), Lanczos, network, ground truth; rows of clean, damaged, restored inputs."""
        import torch

        o = self.options
        if not o.samples:
            return None
        rows = []
        with torch.no_grad(), cast:
            for kind in sorted(self.small.keys() & {"clean", "damaged", "restored"}):
                small, truth = self.small[kind][: o.samples], self.truth[kind][: o.samples]
                repeated = small.repeat_interleave(o.scale, 2).repeat_interleave(o.scale, 3)
                columns = [repeated, small_inputs.enlarge_lanczos(small, o.scale), _enlarge(average, small), truth]
                rows.append(torch.stack(columns, 1).flatten(0, 1))
        return sheet.tile(sheet.to_uint8(torch.cat(rows) * 2 - 1), 4)

    def write(self, folder: Path, average: nn.Module, facts: Mapping[str, Any]) -> None:
        """`model.safetensors` (float16, Compact), odekit.json and train.json."""
        o = self.options
        description = {
            "kind": "compact",
            "scale": o.scale,
            "features": o.features,
            "convs": o.convs,
            "dtype": "float16",
        }
        facts = {**facts, "pictures": self.faces.counts}
        networks.write(folder, average, {"odekit.json": description, "train.json": facts})


def read(network: nn.Module, folder: Path) -> dict[str, Any]:
    """Load the weights of an upsampler folder; returns its train.json ({} if it has none).

    Raises:
        WeightsError: the folder has no weights, or weights of another shape.
    """
    return networks.load(network, folder, "upsampler", _load_file)


def dissimilarity(output: Tensor, target: Tensor, window: int = 7, stride: int = 3) -> Tensor:
    """`1 - SSIM` of pictures (n, 3, H, W) in [0, 1], (n,); differentiable.

    Wang et al. 2004 (doi:10.1109/TIP.2003.819861), eq. 13, with uniform windows and biased variances, at every third
    position along both axes. The mean over all positions costs nine times as much and hardly differs.
    """
    from torch.nn.functional import avg_pool2d

    x, y = output.contiguous(), target.contiguous()
    mx, my, xx, yy, xy = (avg_pool2d(z, window, stride) for z in (x, y, x * x, y * y, x * y))
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mx * my + c1) / (mx * mx + my * my + c1)
    structure = (2 * (xy - mx * my) + c2) / (xx - mx * mx + yy - my * my + c2)
    out: Tensor = 1 - (luminance * structure).mean((1, 2, 3))
    return out


def _enlarge(network: nn.Module, small: Tensor) -> Tensor:
    return networks.outputs(network, small, 8).clamp(0, 1)


def _load_file(network: nn.Module, path: Path) -> None:
    from safetensors.torch import load_file

    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise WeightsError(f"{path.parent}: weights of another shape than features, convs and scale give") from error


def _squared_error(output: Tensor, truth: Tensor) -> float:
    return float(((output - truth) ** 2).mean())
