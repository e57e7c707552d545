"""What a chain is made of. Option models and the stages themselves; torch is imported when a stage first runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field as Limits

from odekit.errors import ConfigError, InputError
from odekit.image import Image, Metadata
from odekit.interfaces import Enhancer, Inverter, Latent, Prior, Upsampler
from odekit.options import EnhancerRef, InverterRef, Options, UpsamplerRef
from odekit.rng import BatchNoise, Noise, Silence
from odekit.upsamplers.resize import area_resized

if TYPE_CHECKING:
    from torch import Tensor

    from odekit.context import StageRun

SQUARE = 0.05
"""How far the sides of an aligned face may differ, as a fraction of the longer one."""


class Restore(Options):
    """The stage `restore`: Algorithm 1 on aligned faces."""

    part = "restore"
    prior: str | None = None
    """Name of the prior; needed only where the chain has several."""
    inverter: InverterRef = "ode"
    enhancer: EnhancerRef = "langevin"
    repeats: int = Limits(default=1, ge=1, le=100)
    """Rounds; each starts from the result of the one before."""
    mask: str | None = None
    """A picture whose white pixels (over one half) keep the input as it is."""


class Upsample(Options):
    """The stage `upsample`: one upsampler, written in place of the options."""

    part = "upsample"
    inline: ClassVar[str] = "upsampler"
    upsampler: UpsamplerRef

    def __init__(self, upsampler: Any = None, /, **options: Any) -> None:
        if isinstance(upsampler, str):
            upsampler = {"use": upsampler, **options}
        # Validation passes the field by name, a person in the first place.
        fields = options if upsampler is None else {"upsampler": upsampler}
        super().__init__(**fields)


class Save(Options):
    """The stage `save`: how results are written. It comes last; without it the defaults hold."""

    part = "save"
    format: Literal["same", "png", "jpeg", "webp", "tiff", "bmp"] = "same"
    keep_metadata: bool = True
    quality: int = Limits(default=95, ge=1, le=100)
    """For JPEG and lossy WebP."""


class RestoreStage:
    """Runs `edit` on batches of aligned faces, padded to a fixed number of slots."""

    def __init__(self, options: Restore, prior: Prior, inverter: Inverter, enhancer: Enhancer) -> None:
        self.options = options
        self.prior = prior
        self.inverter = inverter
        self.enhancer = enhancer
        self.keep = None if options.mask is None else read_mask(options.mask, prior.shape[1], prior.shape[2])

    def run(self, batch: Sequence[Image], context: StageRun) -> list[Image]:
        """Restored faces at the prior's side. Pictures that are no aligned faces fail, the others go on."""
        out = list(batch)
        ready: list[int] = []
        for i, image in enumerate(batch):
            try:
                out[i] = fit(image, self.prior.shape)
                ready.append(i)
            except InputError as error:
                context.fail(i, error)
        for start in range(0, len(ready), context.slots):
            self._slots(ready[start : start + context.slots], out, context)
        return out

    def _slots(self, members: list[int], out: list[Image], context: StageRun) -> None:
        import torch

        from odekit.edit import edit
        from odekit.state import from_state, stack

        # Every row of every operation has the same shape whatever the number of pictures, so that no picture's
        # bytes depend on its batch mates; spare rows hold a grey picture and get no noise.
        clean = torch.zeros((context.slots, *self.prior.shape), dtype=torch.float64)
        clean[: len(members)] = stack([out[i] for i in members])
        clean = clean.to(context.state_device)
        noise: list[Noise] = [context.noise(out[i]) for i in members]
        noise += [Silence() for _ in range(context.slots - len(members))]
        calls = context.counter.calls

        trouble: dict[int, str] = {}

        def watch(event: str, latent: Latent) -> None:
            for row, reason in getattr(latent, "trouble", {}).items():
                trouble.setdefault(row, reason)
            if event == "inverted":
                for row, i in enumerate(members):
                    context.picture(i, "latent", latent_picture(out[i], latent.x[row]))

        with torch.inference_mode():
            result = edit(
                clean, self.inverter, self.enhancer, self.prior, BatchNoise(noise), watch,
                repeats=self.options.repeats, keep=None if self.keep is None else self.keep.to(clean.device),
            )  # fmt: skip
        calls = context.counter.calls - calls
        for row, (i, pixels) in enumerate(zip(members, from_state(result), strict=False)):
            context.note(i, calls=calls)
            if row in trouble or not bool(torch.isfinite(result[row]).all()):
                context.fail(i, InputError(trouble.get(row, "the result is NaN or infinite; try precision float32")))
            else:
                out[i] = out[i].with_pixels(pixels)


class UpsampleStage:
    """Runs one upsampler over the batch."""

    def __init__(self, upsampler: Upsampler) -> None:
        self.upsampler = upsampler

    def run(self, batch: Sequence[Image], context: StageRun) -> list[Image]:
        """Upsampled images, in order."""
        out = self.upsampler.upsample(batch, [context.noise(image) for image in batch])
        if len(out) != len(batch):
            raise ConfigError(f"the upsampler gave {len(out)} images for {len(batch)}")
        return out


class SaveStage:
    """Changes nothing: the runner reads its options when it writes."""

    def run(self, batch: Sequence[Image], context: StageRun) -> list[Image]:
        """The batch as it is."""
        return list(batch)


def fit(image: Image, shape: tuple[int, int, int]) -> Image:
    """An aligned face at the prior's size.

    Raises:
        InputError: the sides differ by more than 5 %.
    """
    short, long = sorted((image.height, image.width))
    if long - short > SQUARE * long:
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

    from odekit.io import read

    image = area_resized(read(Path(path)), height, width)
    return torch.from_numpy((image.pixels.mean(axis=0) > 0.5).astype("float64"))[None, None]
