"""The task of training a face upsampler: small faces in, large faces out."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError, WeightsError
from odekit.training import run_folder as folders
from odekit.training import seeding
from odekit.training.data import augment, restored_inputs, small_inputs
from odekit.training.data.faces import Faces
from odekit.training.options.base import Inputs, UpsamplerOptions
from odekit.training.tasks import sheet
from odekit.training.tasks.prior_validation import SEED

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

WEIGHTS = "model.safetensors"
KINDS = {
    "clean": Inputs(clean=1),
    "blurred": Inputs(clean=0, noise=0, jpeg=100),
    "noisy": Inputs(clean=0, blur=0, jpeg=100),
    "damaged": Inputs(clean=0),
}
"""The inputs of the validation, each on every picture."""


class UpsamplerTask:
    """See `odekit.training.task.Task`."""

    def __init__(self, faces: Faces, options: UpsamplerOptions) -> None:
        self.faces, self.options = faces, options
        self.fingerprint = faces.fingerprint
        self.large = augment.reduce(_floats(faces.val[: options.validation]), options.side)
        small = augment.reduce(self.large, options.side // options.scale)
        self.small = {
            kind: small_inputs.worsen(small, seeding.generator(SEED, kind, 0), how) for kind, how in KINDS.items()
        }
        self.truth = dict.fromkeys(self.small, self.large)
        self.restored: Mapping[int, NDArray[np.uint8]] = {}
        if options.inputs.restored is not None:
            self._read_restored(options.inputs.restored)
        self.plain = {k: _error(small_inputs.lanczos(x, options.scale), self.truth[k]) for k, x in self.small.items()}

    def _read_restored(self, folder: Path) -> None:
        """Restored faces to learn from, and those of the validation where there are any."""
        import torch

        side, faces = self.options.side // self.options.scale, self.faces
        self.restored = restored_inputs.read(folder, faces.train_names, side)
        digest = hashlib.sha256(faces.fingerprint.encode())
        for number, face in self.restored.items():
            digest.update(str(number).encode() + face.tobytes())
        self.fingerprint = digest.hexdigest()
        with contextlib.suppress(InputError):
            held = restored_inputs.read(folder, faces.val_names[: len(self.large)], side)
            self.small["restored"] = _floats(np.stack(list(held.values())))
            self.truth["restored"] = self.large[torch.tensor(list(held))]

    def network(self, start: bool) -> tuple[nn.Module, Mapping[str, Any]]:
        """A fresh network (its numbers a function of the seed), or the one that `init` names."""
        import torch

        from odekit.parts.upsamplers.compact import Compact

        o = self.options
        with torch.random.fork_rng([]):
            torch.manual_seed(o.seed)
            fresh = Compact(o.features, o.convs, o.scale)
        return fresh, read(fresh, o.init) if o.init and start else {}

    def batch(self, step: int, rank: int, size: int) -> tuple[Tensor, ...]:
        """Small crops (n, 3, crop, crop) and the large ones they came from, both in [0, 1]."""
        import torch

        o = self.options
        index = seeding.rows(o.seed, step, o.batch, len(self.faces.train))
        room = o.side // o.scale - o.crop + 1
        places = seeding.generator(o.seed, "crops", step).integers(0, room, (o.batch, 2)) * o.scale
        flips = seeding.generator(o.seed, "flips", step).random(o.batch) < o.inputs.flip
        wide = o.crop * o.scale
        large = []
        for i in range(rank, o.batch, size):
            picture = augment.reduce(_floats(self.faces.train[index[i]][None]), o.side)[0]
            y, x = places[i]
            crop = picture[:, y : y + wide, x : x + wide]
            large.append(crop.flip(2) if flips[i] else crop)
        target = torch.stack(large)
        rng = seeding.generator(o.seed, f"inputs-{rank}-of-{size}", step)
        small = small_inputs.worsen(augment.reduce(target, o.crop), rng, o.inputs)
        chosen = seeding.generator(o.seed, "restored", step).random(o.batch) < o.inputs.share
        for row, i in enumerate(range(rank, o.batch, size)):
            face = self.restored.get(int(index[i])) if chosen[i] else None
            if face is not None:
                y, x = places[i] // o.scale
                crop = _floats(face[None])[0][:, y : y + o.crop, x : x + o.crop]
                small[row] = crop.flip(2) if flips[i] else crop
        return small, target

    def losses(self, network: nn.Module, rows: tuple[Tensor, ...]) -> Tensor:
        """Mean absolute error of each crop plus `ssim` times its dissimilarity, (n,)."""
        import torch

        small, large = rows
        if self.options.channels_last:
            small = small.contiguous(memory_format=torch.channels_last)
        said = network(small).float()
        error: Tensor = (said - large).abs().mean((1, 2, 3))
        return error + self.options.ssim * dissimilarity(said, large) if self.options.ssim else error

    def validate(self, average: nn.Module, cast: AbstractContextManager[object]) -> Mapping[str, float]:
        """Mean squared error over that of Lanczos, by kind of input, and their mean as 'loss': below 1 is better."""
        import torch

        average.eval()
        with torch.no_grad(), cast:
            ratio = {
                kind: _error(self._enlarge(average, x), self.truth[kind]) / self.plain[kind]
                for kind, x in self.small.items()
            }
        return {"loss": float(np.mean(list(ratio.values()))), **ratio}

    def sheet(self, average: nn.Module, cast: AbstractContextManager[object]) -> NDArray[np.uint8] | None:
        """Clean, damaged and restored input (enlarged by repetition), Lanczos, network, truth, a row each."""
        import torch

        o = self.options
        if not o.samples:
            return None
        rows = []
        with torch.no_grad(), cast:
            for kind in sorted(self.small.keys() & {"clean", "damaged", "restored"}):
                small, truth = self.small[kind][: o.samples], self.truth[kind][: o.samples]
                big = self._enlarge(average, small)
                repeated = small.repeat_interleave(o.scale, 2).repeat_interleave(o.scale, 3)
                rows.append(torch.stack([repeated, small_inputs.lanczos(small, o.scale), big, truth], 1).flatten(0, 1))
        return sheet.tile(sheet.to_bytes(torch.cat(rows) * 2 - 1), 4)

    def write(self, folder: Path, average: nn.Module, facts: Mapping[str, Any]) -> None:
        """`model.safetensors` (float16, Compact), odekit.json and train.json."""
        import torch
        from safetensors.torch import save_file

        fresh = folders.draft(folder)
        state = {k: v.detach().to("cpu", torch.float16).contiguous() for k, v in average.state_dict().items()}
        save_file(state, fresh / WEIGHTS)
        o = self.options
        about = {"kind": "compact", "scale": o.scale, "features": o.features, "convs": o.convs, "dtype": "float16"}
        counts = {"train": len(self.faces.train), "val": len(self.faces.val)}
        for name, content in {"odekit.json": about, "train.json": {**facts, "pictures": counts}}.items():
            (fresh / name).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        folders.publish(fresh, folder)

    def _enlarge(self, network: nn.Module, small: Tensor) -> Tensor:
        import torch

        device = next(network.parameters()).device
        return torch.cat([network(x.to(device)).float().cpu().clamp(0, 1) for x in torch.split(small, 8)])


def read(network: nn.Module, folder: Path) -> dict[str, Any]:
    """Load the weights of an upsampler folder; returns its train.json ({} where it has none).

    Raises:
        WeightsError: no such folder, or weights of another shape.
    """
    from safetensors.torch import load_file

    if not (folder / WEIGHTS).is_file():
        raise WeightsError(f"{folder}: no upsampler to start from (needs {WEIGHTS})")
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except RuntimeError as error:
        raise WeightsError(f"{folder}: weights of another shape than features, convs and scale say") from error
    facts = folder / "train.json"
    return dict(json.loads(facts.read_text(encoding="utf-8"))) if facts.is_file() else {}


def dissimilarity(said: Tensor, large: Tensor, window: int = 7, stride: int = 3) -> Tensor:
    """`1 - SSIM` of pictures (n, 3, H, W) in [0, 1], (n,), to train on.

    Wang et al. 2004 (doi:10.1109/TIP.2003.819861), eq. 13, in uniform windows, biased variances, at every third place
    along both axes only: the mean over all places costs nine times as much and says the same.
    """
    from torch.nn.functional import avg_pool2d

    x, y = said.contiguous(), large.contiguous()
    mx, my, xx, yy, xy = (avg_pool2d(z, window, stride) for z in (x, y, x * x, y * y, x * y))
    c1, c2 = 0.01**2, 0.03**2
    near = (2 * mx * my + c1) / (mx * mx + my * my + c1)
    alike = (2 * (xy - mx * my) + c2) / (xx - mx * mx + yy - my * my + c2)
    out: Tensor = 1 - (near * alike).mean((1, 2, 3))
    return out


def _error(said: Tensor, truth: Tensor) -> float:
    return float(((said - truth) ** 2).mean())


def _floats(pictures: NDArray[np.uint8]) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
