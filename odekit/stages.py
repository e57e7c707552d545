"""What a chain is made of. Option models and the stages themselves; torch is imported when a stage first runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field as Limits

from odekit.arithmetic import arithmetic
from odekit.errors import ConfigError
from odekit.image import Image
from odekit.interfaces import Upsampler
from odekit.options import EnhancerRef, InverterRef, Options, Part, UpsamplerRef

if TYPE_CHECKING:
    from odekit.context import StageRun


COLDEST, HOTTEST = 0.3, 0.8
"""Temperatures at fidelity 0 and 1: colder loses decibels as well, hotter gains no realism (docs/strength.md)."""


class Restore(Options):
    """The stage `restore`: Algorithm 1 on aligned faces."""

    part = "restore"
    prior: str | None = None
    """Name of the prior; needed only where the chain has several."""
    inverter: InverterRef = "ode"
    enhancer: EnhancerRef = "langevin"
    repeats: int = Limits(default=1, ge=1, le=100)
    """Rounds; each starts from the result of the one before."""
    fidelity: float | None = Limits(default=None, ge=0, le=1)
    """One knob from faithful (0: closest to what was there, and smooth) to realistic (1: texture is sampled as the
    prior has it). It takes the place of the enhancer's temperature, decided or not: 0.3 + 0.5 fidelity, since colder
    loses decibels too, and hotter gains nothing. null leaves the temperature alone."""
    samples: int = Limits(default=1, ge=1, le=64)
    """Variants with other noise. The first is the result; the others, and a map of where they differ, are extras."""
    colour: Literal["keep", "undo"] = "keep"
    """`undo`: where brightness, contrast, saturation or tint are damaged, or fog lies over the face, that is undone
    before the inversion, whatever inverter and enhancer do (see `odekit.balance`); the record tells. It is fitted to
    faces, not to a network; `keep` for other pictures, and for a round trip."""
    blur: Literal["keep", "undo"] = "keep"
    """`undo`: a face that is evenly blurred (a Gaussian's blur, or a lens out of focus) and has hardly any noise is
    sharpened before the inversion by Wiener's filter for the width that its spectrum tells (see `odekit.faces.deblur`);
    the record tells. Other faces stay bit for bit."""
    aligned: Literal["check", "trust"] = "check"
    """`check`: a square picture of 160 pixels or more that holds smaller faces is refused as a whole photograph (see
    `odekit.faces.whole`); crops of the stage `faces` are not looked at. `trust`: every square is an aligned face."""
    mask: str | None = None
    """A picture whose white pixels (over one half) keep the input as it is."""

    @property
    def extras(self) -> list[str]:
        """Names of what comes beside the result."""
        return [*(f"sample{i + 1}" for i in range(1, self.samples)), "spread"] if self.samples > 1 else []


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


def enhancer_of(options: Restore) -> Part:
    """The enhancer of a `restore`, with the temperature that its fidelity asks for.

    Raises:
        ConfigError: fidelity for an enhancer without a temperature.
    """
    part: Part = options.enhancer
    if options.fidelity is None:
        return part
    if "temperature" not in type(part.options).model_fields:
        raise ConfigError(f"fidelity sets an enhancer's temperature, and '{part.name}' has none; leave fidelity out")
    temperature = COLDEST + (HOTTEST - COLDEST) * options.fidelity
    return replace(part, options=part.options.model_copy(update={"temperature": temperature}))


class UpsampleStage:
    """Runs one upsampler over the batch."""

    def __init__(self, upsampler: Upsampler) -> None:
        self.upsampler = upsampler

    def run(self, batch: Sequence[Image], context: StageRun) -> list[Image]:
        """Upsampled images, in order."""
        with arithmetic("float32", context.state_device):  # it makes one call where a prior makes hundreds
            out = self.upsampler.upsample(batch, [context.noise(image) for image in batch])
        if len(out) != len(batch):
            raise ConfigError(f"the upsampler gave {len(out)} images for {len(batch)}")
        return out


class SaveStage:
    """Changes nothing: the runner reads its options when it writes."""

    def run(self, batch: Sequence[Image], context: StageRun) -> list[Image]:
        """The batch as it is."""
        return list(batch)
