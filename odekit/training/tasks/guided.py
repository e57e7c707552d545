"""The task of training the guided face upsampler: restored small face and damaged original in, large face out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from odekit.errors import WeightsError
from odekit.parts.installed import catalog
from odekit.training import seeding
from odekit.training.data import guided_faces
from odekit.training.data.faces import Faces
from odekit.training.options.guided import GuidedDamageOptions, GuidedOptions
from odekit.training.tasks import networks, sheet
from odekit.training.tasks.prior_validation import VALIDATION_SEED

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

VALIDATION_SEVERITIES = {"mild": 1, "medium": 3, "heavy": 5}
"""Severity of the corruption `photo` of the validation faces."""
CHARBONNIER_EPSILON = 1e-3
LPIPS_STRIDE = 4


class GuidedTask:
    """See `odekit.training.task.Task`.

    A batch is: restored faces (n, 3, s, s), originals and truths (n, 3, S, S), all in [0, 1], the trust (n,), and
    the offsets (n, 2) of the parts of the faces that LPIPS is measured on: at a fixed offset the network learns
    patterns that AlexNet's first convolution, with its stride of 4, does not see.
    """

    def __init__(self, faces: Faces, options: GuidedOptions) -> None:
        self.faces, self.options = faces, options
        self.pairs = guided_faces.find_pairs(options.damage, faces.train_names)
        """Files of damaged and restored faces by the index of their training picture."""
        digest = hashlib.sha256(faces.fingerprint.encode())
        for number, files in sorted(self.pairs.items()):
            truth = f" {files.truth.name}" if files.truth else ""
            digest.update(f"{number} {files.damaged.name} {files.restored.name}{truth}".encode())
        self.fingerprint = digest.hexdigest() if self.pairs else faces.fingerprint
        self.small_side = options.side // options.scale
        self.validation = {kind: self._validation_batch(kind) for kind in ("clean", *VALIDATION_SEVERITIES)}
        pairs = guided_faces.find_pairs(options.damage, faces.val_names)
        if pairs:
            always = GuidedDamageOptions(share=1, grey=0, toned=0, jitter=0, hue=0)
            rows = [
                self._face(faces.val[i], files, always, seeding.keyed_generator(VALIDATION_SEED, "restored", i))
                for i, files in sorted(pairs.items())[: options.validation]
            ]
            self.validation["restored"] = stacked(rows)
        self._judges: dict[str, Any] = {}

    def network(self, start: bool) -> tuple[nn.Module, Mapping[str, Any]]:
        """A new network, random by the seed, or the one of `init` (`face-x4`'s too)."""
        from odekit.parts.upsamplers.guided_network import GuidedNet

        o = self.options
        return networks.create(
            lambda: GuidedNet(o.features, o.convs, o.scale, o.context), o.seed, o.init if start else None, read
        )

    def batch(self, step: int, rank: int, world_size: int) -> tuple[Tensor, ...]:
        """Faces damaged at random, mirrored at random."""
        import torch

        o, damage = self.options, self.options.damage
        index = seeding.batch_indices(o.seed, step, o.batch, len(self.faces.train))
        rng = seeding.keyed_generator(o.seed, "guided", step)
        flips, kinds, amounts = rng.random(o.batch) < 0.5, rng.random(o.batch), rng.random(o.batch)
        trust = np.where(kinds < damage.blind, 0, np.where(kinds < damage.blind + damage.partial, amounts, 1))
        rows, mine = [], range(rank, o.batch, world_size)
        for i in mine:
            number = int(index[i])
            face_rng = seeding.keyed_generator(o.seed, "face", step * o.batch + i)
            face = self._face(self.faces.train[number], self.pairs.get(number), damage, face_rng)
            rows.append(face)
        small, original, truth = stacked(rows)
        flipped = torch.from_numpy(flips[list(mine)])[:, None, None, None]
        small, original, truth = (torch.where(flipped, x.flip(3), x) for x in (small, original, truth))
        offsets = torch.from_numpy(rng.integers(0, LPIPS_STRIDE, (o.batch, 2))[list(mine)])
        return small, original, truth, torch.from_numpy(trust[list(mine)]).float(), offsets

    def losses(self, network: nn.Module, rows: tuple[Tensor, ...]) -> Tensor:
        """(n,): Charbonnier loss + `lpips` * LPIPS, `inner` times the same of the inner face, `identity` times the
        distance of face descriptors, `colour` times the error of coarse colours, and `harm` times the harm done to what
        the network saw of the original.
        """
        import torch

        from odekit.training.tasks.guided_losses import colour_error, harm, inner_face

        small, original, truth, trust, offsets = rows
        if self.options.channels_last:
            small, original = (x.contiguous(memory_format=torch.channels_last) for x in (small, original))
        output = network(small, original, trust[:, None, None, None]).float()
        error = self._difference(output, truth, offsets[0])
        if self.options.inner:
            error = error + self.options.inner * self._difference(inner_face(output), inner_face(truth), offsets[0])
        if self.options.identity:
            error = error + self.options.identity * self._identity(output.device)(output, truth)
        if self.options.colour:
            error = error + self.options.colour * colour_error(output, truth)
        if self.options.harm:
            error = error + self.options.harm * trust * harm(output, original, truth)
        return error

    def validate(self, average: nn.Module, cast: AbstractContextManager[object]) -> Mapping[str, float]:
        """For each kind of damage PSNR in dB and the parts of the loss; 'loss' is the mean of the losses."""
        import torch

        from odekit.training.tasks.guided_losses import colour_error, harm

        average.eval()
        figures: dict[str, float] = {}
        losses = []
        with torch.no_grad():
            for kind, (small, original, truth) in self.validation.items():
                with cast:
                    output = self._outputs(average, small, original)
                parts = {
                    "l1": (output - truth).abs().mean((1, 2, 3)),
                    "psnr": -10 * ((output - truth) ** 2).mean((1, 2, 3)).clamp(min=1e-9).log10(),
                    "lpips": in_pieces(self._lpips(output.device), output, truth) if self.options.lpips else None,
                    "colour": colour_error(output, truth) if self.options.colour else None,
                    "harm": harm(output, original, truth) if self.options.harm else None,
                    "identity": in_pieces(self._identity(output.device), output, truth)
                    if self.options.identity
                    else None,
                }
                means = {name: float(value.mean()) for name, value in parts.items() if value is not None}
                o = self.options
                weights = {"l1": 1.0, "lpips": o.lpips, "identity": o.identity, "colour": o.colour, "harm": o.harm}
                losses.append(sum(weights[name] * value for name, value in means.items() if name in weights))
                figures |= {f"{kind}-{name}": value for name, value in means.items() if name != "l1"}
        return {"loss": float(np.mean(losses)), **figures}

    def sheet(self, average: nn.Module, cast: AbstractContextManager[object]) -> NDArray[np.uint8] | None:
        """Damaged, network, truth; one row of faces for each kind of damage."""
        import torch

        n = self.options.samples
        if not n:
            return None
        rows = []
        with torch.no_grad(), cast:
            for small, original, truth in self.validation.values():
                output = self._outputs(average, small[:n], original[:n])
                rows.append(torch.stack([original[:n], output, truth[:n]], 1).flatten(0, 1))
        return sheet.tile(sheet.to_uint8(torch.cat(rows) * 2 - 1), 3 * n)

    def write(self, folder: Path, average: nn.Module, facts: Mapping[str, Any]) -> None:
        """`model.safetensors` (float16), odekit.json and train.json."""
        o = self.options
        description = {"kind": "guided", "scale": o.scale, "features": o.features, "convs": o.convs, "side": o.side}
        if o.context:
            description["context"] = o.context
        facts = {**facts, "pictures": {**self.faces.counts, "pairs": len(self.pairs)}}
        networks.write(folder, average, {"odekit.json": description, "train.json": facts})

    def _face(
        self, picture: Any, pair: guided_faces.Pair | None, options: GuidedDamageOptions, rng: np.random.Generator
    ) -> guided_faces.GuidedFace:
        return guided_faces.draw_face(picture, pair, self.options.side, self.small_side, options, rng)

    def _validation_batch(self, kind: str) -> tuple[Tensor, Tensor, Tensor]:
        """The same faces in every run: clean, or damaged by `photo`, the small face as the restoration found it."""
        quiet: dict[str, Any] = {
            "share": 0,
            "ideal": 0,
            "noisy": 0,
            "grey": 0,
            "toned": 0,
            "jitter": 0,
            "hue": 0,
            "spectacles": 0,
            "in_front": 0,
        }
        plain = GuidedDamageOptions(clean=float(kind == "clean"), **quiet)
        if kind != "clean":
            chosen = tuple(float(s == VALIDATION_SEVERITIES[kind]) or 1e-9 for s in range(1, 6))
            plain = plain.model_copy(update={"severities": chosen})
        pictures = self.faces.val[: self.options.validation]
        return stacked([
            self._face(picture, None, plain, seeding.keyed_generator(VALIDATION_SEED, f"guided-{kind}", i))
            for i, picture in enumerate(pictures)
        ])  # fmt: skip

    def _difference(self, output: Tensor, truth: Tensor, offset: Tensor) -> Tensor:
        """(n,): Charbonnier loss + `lpips` * LPIPS of pictures without their first rows and columns (see the class)."""
        error: Tensor = ((output - truth) ** 2 + CHARBONNIER_EPSILON**2).sqrt().mean((1, 2, 3))
        if self.options.lpips:
            y, x = (int(v) for v in offset)
            shifted = (picture[..., y:, x:] for picture in (output, truth))
            error = error + self.options.lpips * self._lpips(output.device)(*shifted)
        return error

    def _outputs(self, network: nn.Module, small: Tensor, original: Tensor) -> Tensor:
        import torch

        device = next(network.parameters()).device
        pieces = zip(torch.split(small, 4), torch.split(original, 4), strict=True)
        return torch.cat([network(x.to(device), y.to(device)).float().cpu().clamp(0, 1) for x, y in pieces])

    def _lpips(self, device: Any) -> Any:
        if "lpips" not in self._judges:
            from odekit.chains.tools import PartTools
            from odekit.parts.metrics.lpips import load_network

            self._judges["lpips"] = load_network(self.options.lpips_weights, PartTools(catalog(), "cpu", "float32"))
        return self._judges["lpips"].to(device)

    def _identity(self, device: Any) -> Any:
        if "identity" not in self._judges:
            from odekit.chains.tools import PartTools
            from odekit.parts.metrics.face_distance import FaceDistanceMetric
            from odekit.training.tasks.descriptor_loss import DescriptorLoss

            tools = PartTools(catalog(), "cpu", "float32")
            self._judges["identity"] = DescriptorLoss(FaceDistanceMetric(tools=tools).network)
        return self._judges["identity"].to(device)


def in_pieces(judge: Any, output: Tensor, truth: Tensor) -> Tensor:
    """A distance (n,) of many pictures, a few at a time."""
    import torch

    pieces = zip(torch.split(output, 4), torch.split(truth, 4), strict=True)
    return torch.cat([judge(a, b) for a, b in pieces])


def stacked(faces: list[guided_faces.GuidedFace]) -> tuple[Tensor, Tensor, Tensor]:
    """Small faces, originals and truths as tensors (n, 3, H, W)."""
    import torch

    small, original, truth = (
        torch.from_numpy(np.stack([getattr(face, name) for face in faces])) for name in ("small", "original", "truth")
    )
    return small, original, truth


def read(network: nn.Module, folder: Path) -> dict[str, Any]:
    """Load the weights of a guided upsampler, or start from those of an unguided one; returns its train.json.

    Raises:
        WeightsError: the folder has no weights, or weights of another shape.
    """
    return networks.load(network, folder, "guided upsampler", _load_file)


def _load_file(network: nn.Module, path: Path) -> None:
    from safetensors.torch import load_file

    from odekit.parts.upsamplers.guided_network import from_unguided

    state = load_file(path)
    try:
        own = network.state_dict()
        if state["body.0.weight"].shape == own["body.0.weight"].shape:
            context = {name: tensor for name, tensor in own.items() if name.startswith("context.")}
            network.load_state_dict({**context, **state})
        else:
            from_unguided(state, network)  # type: ignore[arg-type]
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"{path.parent}: weights of another shape than features, convs and scale give") from error
