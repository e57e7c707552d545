"""The stage `restore` at work: aligned faces through Algorithm 1, in calls of a fixed number of slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.core.abilities import HasTrouble
from odekit.core.image import Image, Metadata, is_square
from odekit.core.interfaces import Adaptive, Enhancer, Fitted, Inverter, Latent, StageContext, Tools
from odekit.core.noise import BatchNoise, Noise, ZeroNoise, batch_noise
from odekit.errors import ConfigError, InputError
from odekit.images.resize import area_resized
from odekit.parts.faces.is_aligned import AlignedFaceCheck
from odekit.parts.priors.batched import BatchedPrior
from odekit.parts.repair.colour import load_colour_correction
from odekit.parts.repair.deblur import undone
from odekit.parts.stages.options import Restore
from odekit.parts.stages.spread import spread_of

if TYPE_CHECKING:
    from torch import Tensor


class RestoreStage:
    """Runs `edit` on aligned faces, in batches padded to the slots.

    Where an adaptive enhancer decides for each picture, all are held together, and the `BatchedPrior` packs them.
    """

    def __init__(self, options: Restore, tools: Tools) -> None:
        """Make the parts; whatever cannot work shows here.

        Raises:
            ConfigError: a level that is not on the grid, or a decision calibrated for another prior.
        """
        self.options = options
        prior = tools.prior(options.prior)
        self.prior = prior if isinstance(prior, BatchedPrior) else BatchedPrior(prior, 1)
        self.enhancer: Enhancer = tools.make(options.tempered())
        self.inverter: Inverter = tools.make(options.inverter, prior=self.prior)
        self.adaptive = isinstance(self.enhancer, Adaptive)
        """Pictures may be treated differently, and are held together."""
        if isinstance(self.enhancer, Adaptive):
            self.enhancer.belongs(self.prior.weights_digest)
        self.enhancer.acts_on(self.inverter.levels)
        look = options.aligned == "check" and not tools.aligned
        self.check = AlignedFaceCheck(tools) if look else None
        self.keep = None if options.mask is None else read_mask(options.mask, *self.prior.shape[1:])

    @property
    def packed(self) -> tuple[int, int] | None:
        """Rows asked about and slots called so far, where pictures are held together; see `PacksRows`."""
        return (self.prior.rows, self.prior.room) if self.adaptive else None

    def run(self, batch: Sequence[Image], context: StageContext) -> list[Image]:
        """Restored faces at the prior's side. Pictures that are no aligned faces fail, the others go on."""
        images = list(batch)
        ready: list[int] = []
        for i, (image, reason) in enumerate(zip(batch, self.why_not_aligned(batch), strict=True)):
            try:
                if reason:
                    raise not_aligned_error(image, reason)
                images[i], told = self.taken(image)
                context.note(i, **told)
                ready.append(i)
            except InputError as error:
                context.fail(i, error)
        self.prior.slots = context.slots
        rows = max(1, len(ready)) if self.adaptive else context.slots
        made: dict[int, list[Image]] = {i: [] for i in ready}
        for sample in range(self.options.samples):
            for start in range(0, len(ready), rows):
                members = ready[start : start + rows]
                for i, image in self._rows(members, rows, images, context, sample).items():
                    made[i].append(image)
        for i, variants in made.items():
            if i in context.failures:
                continue
            if len(variants) > 1:
                for number, variant in enumerate(variants[1:], 2):
                    context.extra(i, f"sample{number}", variant)
                context.extra(i, "spread", spread_of(variants))
            images[i] = variants[0]
        return images

    def why_not_aligned(self, batch: Sequence[Image]) -> list[str]:
        """For each picture what speaks against its being an aligned face, or ''."""
        if self.check is None:
            return [""] * len(batch)
        looked = [i for i, image in enumerate(batch) if is_square(image)]
        reasons = dict(zip(looked, self.check.why_not([batch[i] for i in looked]), strict=True)) if looked else {}
        return [reasons.get(i, "") for i in range(len(batch))]

    def prepare(self, image: Image) -> tuple[Image, dict[str, Any]]:
        """What happens to one picture before its first network call: it is looked at, reduced, and undone.

        Raises:
            InputError: no aligned face.
        """
        if reason := self.why_not_aligned([image])[0]:
            raise not_aligned_error(image, reason)
        return self.taken(image)

    def taken(self, image: Image) -> tuple[Image, dict[str, Any]]:
        """The picture as it is inverted: at the prior's size, blur and colours undone where asked; and what was undone.

        Raises:
            InputError: no aligned face.
        """
        image = fit(image, self.prior.shape)
        told: dict[str, Any] = {}
        if self.options.blur == "undo":
            image, told["blur"] = undone(image)
        if self.options.colour == "undo":
            image, told["colour"] = load_colour_correction().undo(image)
        return image, {name: what for name, what in told.items() if what}

    def _rows(
        self, members: list[int], rows: int, images: list[Image], context: StageContext, sample: int
    ) -> dict[int, Image]:
        """One sample of some pictures, by number; what failed is told to the context and left out."""
        import torch

        from odekit.core.image import from_state, stack
        from odekit.edit import edit

        # Every row of every operation has the same shape whatever the number of pictures, so that no picture's
        # bytes depend on its batch mates; spare rows hold a grey picture and get no noise.
        clean = torch.zeros((rows, *self.prior.shape), dtype=torch.float64)
        clean[: len(members)] = stack([images[i] for i in members])
        clean = clean.to(context.state_device)
        noise: list[Noise] = [context.noise(images[i], sample) for i in members]
        noise += [ZeroNoise() for _ in range(rows - len(members))]
        calls = context.counter.calls
        asked = (self.prior.rows, self.prior.room)
        trouble: dict[int, str] = {}
        decisions: list[Fitted] = []

        def watch(event: str, latent: Latent) -> None:
            if event == "restored" and isinstance(latent, HasTrouble):  # once in a round: asking waits for the device
                for row, reason in latent.trouble.items():
                    trouble.setdefault(row, reason)
            if event == "inverted" and sample == 0:
                for row, i in enumerate(members):
                    context.picture(i, "latent", latent_picture(images[i], latent.x[row]))

        with torch.inference_mode():
            result = edit(
                clean, self.inverter, self.enhancer, self.prior, batch_noise(noise, context.state_device), watch,
                repeats=self.options.repeats, keep=None if self.keep is None else self.keep.to(clean.device),
                decided=decisions.append,
            )  # fmt: skip
        calls = context.counter.calls - calls
        facts: list[dict[str, Any]] = [{"calls": calls}] * len(members)
        if self.adaptive:
            facts = self._decided(decisions, asked)
        out: dict[int, Image] = {}
        finite = torch.isfinite(result).flatten(1).all(dim=1).tolist()  # all rows at once: to ask is to wait
        for row, (i, pixels) in enumerate(zip(members, from_state(result), strict=False)):
            before = context.notes.get(i, {}).get("calls", 0) if sample else 0
            context.note(i, **facts[row] | {"calls": before + facts[row]["calls"]})
            if row in trouble or not finite[row]:
                context.fail(i, InputError(trouble.get(row, "the result is NaN or infinite; try precision float32")))
            else:
                out[i] = images[i].with_pixels(pixels)
        return out

    def decide(self, image: Image, device: str = "cpu") -> dict[str, Any]:
        """What an adaptive enhancer decides for a picture, as records say it; nothing is restored.

        Raises:
            InputError: no aligned face.
            ConfigError: the enhancer does the same to every picture.
        """
        import torch

        from odekit.core.image import stack

        if not isinstance(self.enhancer, Adaptive):
            raise ConfigError("this chain does the same to every picture; with iterations: auto it decides for each")
        clean = stack([self.prepare(image)[0]]).to(device)
        asked = self.prior.rows
        with torch.inference_mode():
            latent = self.inverter.invert(clean, BatchNoise([ZeroNoise()]))
            fitted = self.enhancer.fitted(clean, latent, self.inverter.levels)
        told: dict[str, Any] = fitted.decisions[0].tree()
        return told | {"calls": 2 * (self.prior.rows - asked) + fitted.calls(0, self.inverter.levels)}

    def _decided(self, rounds: list[Fitted], before: tuple[int, int]) -> list[dict[str, Any]]:
        """For each picture: what was decided, the calls that it took part in, and how full the slots were."""
        rows, room = self.prior.rows - before[0], self.prior.room - before[1]
        count = len(rounds[0].decisions)
        own = [sum(fitted.calls(row, self.inverter.levels) for fitted in rounds) for row in range(count)]
        shared = (rows - sum(own)) // count
        return [
            {
                "calls": shared + own[row],
                "fill": round(rows / room, 4),
                "strength": [fitted.decisions[row].tree() for fitted in rounds],
            }
            for row in range(count)
        ]


def not_aligned_error(image: Image, reason: str) -> InputError:
    """The error for a whole photograph where an aligned face is expected."""
    return InputError(
        f"{image.width}x{image.height} is a whole photograph ({reason}); use 'odekit run photo', or, if it is an "
        "aligned face all the same, --set restore.aligned=trust"
    )


def fit(image: Image, shape: tuple[int, int, int]) -> Image:
    """An aligned face at the prior's size.

    Raises:
        InputError: the sides differ by more than 5 %.
    """
    if not is_square(image):
        raise InputError(
            f"{image.width}x{image.height} is not an aligned square face; for a whole photograph use 'odekit run photo'"
        )
    return area_resized(image, shape[1], shape[2])


def latent_picture(image: Image, x: Tensor) -> Image:
    """A latent as a picture: 0 is mid grey, three standard deviations of N(0, 1) are black and white."""
    pixels = (0.5 + x.detach().cpu() / 6).clamp(0, 1).float().numpy()
    return replace(image, pixels=pixels, alpha=None, meta=Metadata(path=image.meta.path))


def read_mask(path: str, height: int, width: int) -> Tensor:
    """A mask picture as (1, 1, H, W) float64 of zeros and ones."""
    import torch

    from odekit.images.io import read

    image = area_resized(read(Path(path)), height, width)
    return torch.from_numpy((image.pixels.mean(axis=0) > 0.5).astype("float64"))[None, None]
