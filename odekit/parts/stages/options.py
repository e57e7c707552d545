"""Options of the stages `restore`, `upsample`, `keep-identity` and `save`. Importing this loads no torch."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field as Limits

from odekit.core.abilities import (
    Cost,
    CostContext,
    HasActsOn,
    HasCallRange,
    HasCheck,
    HasEditCalls,
    HasEnhancerCalls,
    HasInverterCalls,
    HasLevels,
    HasTemperature,
    HasUpsamplerCalls,
    TreatsRowsApart,
)
from odekit.core.grid import Levels
from odekit.core.options import Options, Part, PicturePath, PriorName
from odekit.core.references import EnhancerChoice, InverterChoice, UpsamplerChoice, named
from odekit.errors import ConfigError

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.3, 0.8
"""Temperatures at fidelity 0 and 1. Below this range PSNR drops too; above it realism does not improve
(docs/strength.md)."""


NO_METER = (
    "iterations: auto reads the latent of a deterministic inversion, which '{}' does not make; "
    "give iterations as a number, or use the enhancer none"
)


class Restore(Options):
    """The stage `restore`: Algorithm 1 on aligned faces."""

    part = "restore"
    prior: PriorName = None
    """Name of the prior; required only if the chain has several."""
    inverter: InverterChoice = named("ode")
    enhancer: EnhancerChoice = named("langevin")
    repeats: int = Limits(default=1, ge=1, le=100)
    """Number of rounds; each starts from the result of the previous one."""
    fidelity: float | None = Limits(default=None, ge=0, le=1)
    """Trade-off from faithful (0: closest to the original, and smooth) to realistic (1: texture is sampled from the
    prior). Sets the enhancer's temperature to 0.3 + 0.5 fidelity, also where the enhancer chooses its strength for each
    picture: below this range PSNR drops too, above it nothing improves. null leaves the temperature unchanged."""
    samples: int = Limits(default=1, ge=1, le=64)
    """Number of samples with independent noise. The first is the result; the others, and a map of where they differ,
    are written as extras."""
    colour: Literal["keep", "undo"] = "keep"
    """`undo`: damage to brightness, contrast, saturation or tint, and fog, are detected and corrected before the
    inversion, independent of inverter and enhancer (see `odekit.parts.repair.colour`). The correction is recorded.
    It is fitted to faces, not to a network; use `keep` for other pictures and for a round trip."""
    blur: Literal["keep", "undo"] = "keep"
    """`undo`: a face with uniform blur (Gaussian or defocus) and hardly any noise is sharpened before the inversion
    with a Wiener filter, for the blur width estimated from its spectrum (see `odekit.parts.repair.deblur`). The
    blur width is recorded. Other faces stay unchanged, bit for bit."""
    aligned: Literal["check", "trust"] = "check"
    """`check`: a square picture of 160 pixels or more that contains smaller faces is refused as a whole photograph (see
    `odekit.parts.faces.is_aligned`); crops of the stage `faces` are not checked. `trust`: every square picture is taken
    as an aligned face."""
    mask: PicturePath | None = None
    """Path of a mask picture: where it is white (over one half), the input is kept."""

    @property
    def extras(self) -> list[str]:
        """Names of the extra outputs."""
        return [*(f"sample{i + 1}" for i in range(1, self.samples)), "spread"] if self.samples > 1 else []

    def enhancer_with_temperature(self) -> Part:
        """The enhancer with the temperature set by `fidelity`.

        Raises:
            ConfigError: `fidelity` is set for an enhancer without a temperature.
        """
        part: Part = self.enhancer
        if self.fidelity is None:
            return part
        if not isinstance(part.options, HasTemperature):
            raise ConfigError(f"fidelity sets the enhancer's temperature, but '{part.name}' has none; remove fidelity")
        temperature = MIN_TEMPERATURE + (MAX_TEMPERATURE - MIN_TEMPERATURE) * self.fidelity
        return replace(part, options=part.options.model_copy(update={"temperature": temperature}))

    def cost(self, chain: CostContext) -> Cost:
        """Network calls per picture: samples x rounds x (inversion and decoding, updates, calls after edits)."""
        schedule, inverter = chain.schedule(self.prior), self.inverter.options
        if schedule is None or not isinstance(inverter, HasLevels):
            return Cost(None)
        levels, enhancer = inverter.levels(schedule), self.enhancer_with_temperature().options
        if isinstance(enhancer, HasCheck):
            enhancer.check(levels)
        per_step = chain.calls_per_step(self.inverter)
        round_trip = inverter.calls(per_step) if isinstance(inverter, HasInverterCalls) else math.nan
        updates = enhancer.calls(levels) if isinstance(enhancer, HasEnhancerCalls) else math.nan
        if math.isnan(updates) and isinstance(inverter, TreatsRowsApart):
            raise ConfigError(NO_METER.format(self.inverter.name))
        times, after_edits = self.samples * self.repeats, self._edit_calls(levels)
        total = times * (round_trip + updates + after_edits)
        if not math.isnan(total):
            return Cost(round(total))
        ways, edits = (_range(part, n, levels) for part, n in ((inverter, round_trip), (enhancer, updates)))
        span = (times * (ways[0] + edits[0]), times * (ways[1] + edits[1] + after_edits))
        return Cost(None, None if any(map(math.isnan, span)) else (round(span[0]), round(span[1])))

    def _edit_calls(self, levels: Levels) -> float:
        """Extra solver calls caused by edits; NaN if the enhancer does not declare the levels it acts on."""
        inverter, enhancer = self.inverter.options, self.enhancer.options
        if not isinstance(inverter, HasEditCalls):
            return 0
        if isinstance(enhancer, HasActsOn):
            return inverter.edit_calls(enhancer.acts_on(levels))
        return 0 if inverter.edit_calls(frozenset({0})) == 0 else math.nan

    def describe(self) -> str:
        """The corrections before the inversion, then inverter and enhancer."""
        undone = [name for name, option in (("blur", self.blur), ("colours", self.colour)) if option == "undo"]
        return (
            "".join(f"{name} undone, " for name in undone) + f"{self.inverter.one_line()}, {self.enhancer.one_line()}"
        )


def _range(options: object, calls: float, levels: Levels) -> tuple[float, float]:
    """Smallest and largest number of calls of an inverter or enhancer; `calls` where that is known."""
    return options.call_range(levels) if math.isnan(calls) and isinstance(options, HasCallRange) else (calls, calls)


class Upsample(Options):
    """The stage `upsample`. Its options are those of one upsampler."""

    part = "upsample"
    inline: ClassVar[str] = "upsampler"
    upsampler: UpsamplerChoice

    def __init__(self, upsampler: Any = None, /, **options: Any) -> None:
        if isinstance(upsampler, str):
            upsampler = {"use": upsampler, **options}
        # pydantic passes the field by keyword, users as the positional argument.
        fields = options if upsampler is None else {"upsampler": upsampler}
        super().__init__(**fields)

    def describe(self) -> str:
        """The upsampler, with its number of network calls if it is iterative."""
        part: Part = self.upsampler
        calls = part.options.calls() if isinstance(part.options, HasUpsamplerCalls) else 0
        return part.one_line() + (f"; {calls} calls of its own network" if calls else "")


class KeepIdentity(Options):
    """The stage `keep-identity`: results stay within a face distance of the face that entered the chain."""

    part = "keep-identity"
    max_shift: float = Limits(default=0.45, ge=0, le=2)
    """Largest distance of face descriptors (metric `face-distance`; the same person is below 0.45) between the face
    that entered the chain and its result. Beyond it the result is mixed with the original, and at worst left out.
    Faces below 32 pixels, of which the descriptor says nothing, pass."""

    def describe(self) -> str:
        """The limit."""
        return f"face distance at most {self.max_shift:g}"


class Save(Options):
    """The stage `save`: how results are written. It must be the last stage; without it the defaults apply."""

    part = "save"
    last = True
    format: Literal["same", "png", "jpeg", "webp", "tiff", "bmp"] = "same"
    keep_metadata: bool = True
    quality: int = Limits(default=95, ge=1, le=100)
    """Quality of JPEG and lossy WebP, 1 to 100."""
