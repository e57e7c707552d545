"""Options of the stages `restore`, `upsample`, `keep-identity` and `save`. Importing this loads no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field as Limits

from odekit.core.abilities import (
    Cost,
    CostContext,
    DrawsHoles,
    HasActsOn,
    HasCallRange,
    HasCheck,
    HasEditCalls,
    HasEnhancerCalls,
    HasInverterCalls,
    HasLevels,
    HasStrength,
    HasTemperature,
    HasUpsamplerCalls,
    MayBeIdle,
    TreatsRowsApart,
)
from odekit.core.grid import Levels
from odekit.core.options import Options, Part, PicturesPath, PriorName
from odekit.core.references import EnhancerChoice, InverterChoice, UpsamplerChoice, named
from odekit.core.schedule import NoiseSchedule
from odekit.errors import ConfigError, OptionError

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
    first: InverterChoice = named(None)
    """An inverter that runs alone before `inverter` and `enhancer`, which continue from its result: `blind` removes
    noise and outliers."""
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
    with a Wiener filter, for the blur width estimated from its spectrum (see `odekit.parts.repair.deblur`), and
    so is motion blur along a line (`odekit.parts.repair.motion`). What was found is
    recorded. Other faces stay unchanged, bit for bit."""
    occlusions: Literal["keep", "undo"] = "keep"
    """`undo`: large areas of one saturated colour in front of the face are detected, and the face is drawn anew there
    if that is likelier (see `odekit.parts.repair.occlusion`). Needs an inverter that takes masks, such as `blind`."""
    aligned: Literal["check", "trust"] = "check"
    """`check`: a square picture of 160 pixels or more that contains smaller faces is refused as a whole photograph (see
    `odekit.parts.faces.is_aligned`); crops of the stage `faces` are not checked. `trust`: every square picture is taken
    as an aligned face."""
    mask: PicturesPath | None = None
    """Path of a mask picture of any size, or of a folder with one for each picture, named by its stem: where it is
    white (over one half), the input is kept; an inverter that takes masks draws the rest anew."""

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
        self.check()
        cost = self._edit_cost(chain, schedule)
        for more in self._earlier_costs(chain, schedule):
            cost = _sum(cost, more)
        return cost

    def check(self) -> None:
        """Raises ConfigError: `occlusions: undo` without an inverter that takes masks."""
        if self.occlusions == "undo" and self.hole_inverter is None:
            raise ConfigError(
                "occlusions: undo needs an inverter that draws holes anew; set first or inverter to blind"
            )

    @property
    def hole_inverter(self) -> Part | None:
        """The inverter that draws holes anew, with its options for that; None if neither inverter can."""
        for part in (self.first, self.inverter):
            if isinstance(part, Part) and isinstance(part.options, DrawsHoles):
                return replace(part, options=part.options.for_holes())
        return None

    @property
    def edit_inverter(self) -> Part:
        """The inverter that runs with the enhancer; with a mask and without `first`, it draws the holes."""
        holes = self.hole_inverter if self.mask is not None and self.first is None else None
        return self.inverter if holes is None else holes

    @property
    def idle(self) -> bool:
        """`inverter` and `enhancer` do not run: there are no updates, whatever the picture."""
        options = self.enhancer.options
        return isinstance(options, MayBeIdle) and options.idle

    def with_strength(self, strength: str) -> Restore:
        """`none` leaves out what runs before the enhancer, too, if that has strengths."""
        options = self.enhancer.options
        strong = isinstance(options, HasStrength) and options.with_strength("none") != options.with_strength("light")
        off = strong and strength == "none" and self.first is not None
        return self.model_copy(update={"first": None, "occlusions": "keep"}) if off else self

    def _earlier_costs(self, chain: CostContext, schedule: NoiseSchedule) -> Iterator[Cost]:
        """Of `first`, and of the holes: a picture without any needs none of their calls."""
        if self.first is not None and isinstance(self.first.options, HasLevels):
            yield self._call_range(self.first, chain, schedule, self.samples)
        holes = self.hole_inverter
        if holes is not None and (self.occlusions == "undo" or (self.mask is not None and self.first is not None)):
            most = self._call_range(holes, chain, schedule, self.samples)
            yield Cost(None, None if most.span is None else (0, most.span[1])) if most.calls is None else most

    def _call_range(self, part: Part, chain: CostContext, schedule: NoiseSchedule, times: int) -> Cost:
        """Network calls of an inverter that runs alone."""
        levels = part.options.levels(schedule) if isinstance(part.options, HasLevels) else None
        per_step = chain.calls_per_step(part)
        calls = part.options.calls(per_step) if isinstance(part.options, HasInverterCalls) else math.nan
        if not math.isnan(calls):
            return Cost(round(times * calls))
        span = (calls, calls) if levels is None else _range(part.options, calls, levels)
        return Cost(None, None if any(map(math.isnan, span)) else (round(times * span[0]), round(times * span[1])))

    def _edit_cost(self, chain: CostContext, schedule: NoiseSchedule) -> Cost:
        inverter = self.edit_inverter.options
        assert isinstance(inverter, HasLevels)
        levels, enhancer = inverter.levels(schedule), self.enhancer_with_temperature().options
        if isinstance(enhancer, HasCheck):
            enhancer.check(levels)
        per_step = chain.calls_per_step(self.inverter)
        round_trip = inverter.calls(per_step) if isinstance(inverter, HasInverterCalls) else math.nan
        updates = enhancer.calls(levels) if isinstance(enhancer, HasEnhancerCalls) else math.nan
        if math.isnan(updates) and isinstance(inverter, TreatsRowsApart):
            raise ConfigError(NO_METER.format(self.inverter.name))
        if self.idle:
            return Cost(0)
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
        options = (("blur", self.blur), ("colours", self.colour), ("occlusions", self.occlusions))
        parts = [f"{name} undone" for name, option in options if option == "undo"]
        parts += [] if self.first is None else [f"first {self.first.one_line()}"]
        edit = ["no updates"] if self.idle else [self.inverter.one_line(), self.enhancer.one_line()]
        return ", ".join([*parts, *edit])


def _sum(a: Cost, b: Cost) -> Cost:
    """The costs of two edits of one picture."""
    if a.calls is not None and b.calls is not None:
        return Cost(a.calls + b.calls)
    spans = [(cost.calls, cost.calls) if cost.calls is not None else cost.span for cost in (a, b)]
    if spans[0] is None or spans[1] is None:
        return Cost(None)
    return Cost(None, (spans[0][0] + spans[1][0], spans[0][1] + spans[1][1]))


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
        elif upsampler is not None and options:
            raise OptionError(f"Upsample.{next(iter(options))}: belongs into the object that was given, or use a name")
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
