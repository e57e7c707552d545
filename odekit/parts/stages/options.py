"""Options of the stages `restore`, `upsample` and `save`. Importing this loads no torch."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field as Limits

from odekit.core.abilities import (
    Cost,
    CostContext,
    HasActsOn,
    HasCheck,
    HasEditCalls,
    HasEnhancerCalls,
    HasInverterCalls,
    HasLevels,
    HasUpsamplerCalls,
)
from odekit.core.grid import Levels
from odekit.core.options import EnhancerRef, InverterRef, Options, Part, PriorName, UpsamplerRef
from odekit.errors import ConfigError

COLDEST, HOTTEST = 0.3, 0.8
"""Temperatures at fidelity 0 and 1: colder loses decibels as well, hotter gains no realism (docs/strength.md)."""


class Restore(Options):
    """The stage `restore`: Algorithm 1 on aligned faces."""

    part = "restore"
    prior: PriorName = None
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
    before the inversion, whatever inverter and enhancer do (see `odekit.parts.repair.colour`); the record tells. It is fitted to
    faces, not to a network; `keep` for other pictures, and for a round trip."""
    blur: Literal["keep", "undo"] = "keep"
    """`undo`: a face that is evenly blurred (a Gaussian's blur, or a lens out of focus) and has hardly any noise is
    sharpened before the inversion by Wiener's filter for the width that its spectrum tells (see `odekit.parts.repair.deblur`);
    the record tells. Other faces stay bit for bit."""
    aligned: Literal["check", "trust"] = "check"
    """`check`: a square picture of 160 pixels or more that holds smaller faces is refused as a whole photograph (see
    `odekit.parts.faces.is_aligned`); crops of the stage `faces` are not looked at. `trust`: every square is an aligned face."""
    mask: str | None = None
    """A picture whose white pixels (over one half) keep the input as it is."""

    @property
    def extras(self) -> list[str]:
        """Names of what comes beside the result."""
        return [*(f"sample{i + 1}" for i in range(1, self.samples)), "spread"] if self.samples > 1 else []

    def tempered(self) -> Part:
        """The enhancer, with the temperature that `fidelity` asks for.

        Raises:
            ConfigError: fidelity for an enhancer without a temperature.
        """
        part: Part = self.enhancer
        if self.fidelity is None:
            return part
        if "temperature" not in type(part.options).model_fields:
            raise ConfigError(
                f"fidelity sets an enhancer's temperature, and '{part.name}' has none; leave fidelity out"
            )
        temperature = COLDEST + (HOTTEST - COLDEST) * self.fidelity
        return replace(part, options=part.options.model_copy(update={"temperature": temperature}))

    def cost(self, chain: CostContext) -> Cost:
        """Network calls for each picture: samples x rounds x (up and down, updates, what follows the edits)."""
        schedule, inverter = chain.schedule(self.prior), self.inverter.options
        if schedule is None or not isinstance(inverter, HasLevels):
            return Cost(None)
        levels, enhancer = inverter.levels(schedule), self.tempered().options
        if isinstance(enhancer, HasCheck):
            enhancer.check(levels)
        per_step = chain.calls_per_step(self.inverter)
        ways = inverter.calls(per_step) if isinstance(inverter, HasInverterCalls) else math.nan
        updates = enhancer.calls(levels) if isinstance(enhancer, HasEnhancerCalls) else math.nan
        total = self.samples * self.repeats * (ways + updates + self._edit_calls(levels))
        return Cost(None if math.isnan(total) else round(total))

    def _edit_calls(self, levels: Levels) -> float:
        """Calls by which a solver follows the edits; NaN where the enhancer does not say at which levels it acts."""
        inverter, enhancer = self.inverter.options, self.enhancer.options
        if not isinstance(inverter, HasEditCalls):
            return 0
        if isinstance(enhancer, HasActsOn):
            return inverter.edit_calls(enhancer.acts_on(levels))
        return 0 if inverter.edit_calls(frozenset({0})) == 0 else math.nan

    def describe(self) -> str:
        """What is undone first, then inverter and enhancer."""
        first = [text for text, set_ in (("blur", self.blur), ("colours", self.colour)) if set_ == "undo"]
        return "".join(f"{text} undone, " for text in first) + f"{self.inverter.short()}, {self.enhancer.short()}"


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

    def describe(self) -> str:
        """The upsampler, with the calls of its own network where it has an iterated one."""
        part: Part = self.upsampler
        own = part.options.calls() if isinstance(part.options, HasUpsamplerCalls) else 0
        return part.short() + (f"; {own} calls of its own network" if own else "")


class Save(Options):
    """The stage `save`: how results are written. It comes last; without it the defaults hold."""

    part = "save"
    last = True
    format: Literal["same", "png", "jpeg", "webp", "tiff", "bmp"] = "same"
    keep_metadata: bool = True
    quality: int = Limits(default=95, ge=1, le=100)
    """For JPEG and lossy WebP."""
