"""The inverter `blind`: restoration that estimates its own noise level and outliers, with the prior alone.

Derivation, comparison with other methods, and measurements: docs/blind.md.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field as Limits

from odekit.core.grid import Levels
from odekit.core.interfaces import Latent, Prior, State, Tools
from odekit.core.noise import Rng, array_to_device_of
from odekit.core.options import Options
from odekit.core.schedule import NoiseSchedule
from odekit.parts.inverters.blind_latent import BlindLatent, Row, Work

if TYPE_CHECKING:
    from torch import Tensor

    from odekit.parts.inverters.cosine import CosineBasis

PROBES = (0.28, 0.14)
"""Noise levels rho at which a picture is compared with its denoised version before anything else."""
HOLE_TOP, HOLE_STEPS = 0.85, 3
"""For large holes: level from which they are drawn, as a fraction of the schedule, and how many levels that adds."""
BOTTOM = 0.005
"""Lowest level of the grid, as a fraction of the schedule."""
RANGE = 1.2
"""Denoised values are clamped to this range around 0, in model space."""
SMALLEST_GAIN = 1e-3
"""Smallest mean derivative of the denoiser that a probe believes."""
CLEARLY_WRONG = 0.1
"""Reliability below which a value of a noisy picture is replaced; noise has values that are doubtful."""
AT_FLOOR = 1.5
"""Noise below this many times the floor counts as none: sound values are then kept as they are."""
DOUBTFUL, FEW, SOME = 1.6, (0.003, 0.008), 0.012
"""A picture whose `excess` is at most DOUBTFUL comes back untouched after all if the share of outliers is in this
range, or up to SOME where there is noise, too: noise alone leaves fewer, drops and masks more (docs/blind.md)."""


class Blind(Options):
    """Options of the inverter `blind`."""

    part = "blind"
    top: float = Limits(default=0.7, gt=0, le=1)
    """Level from which the picture is drawn anew, as a fraction of the schedule. Large holes need more."""
    steps: int = Limits(default=21, ge=2)
    """Levels from `top` down, in equal ratios of the timestep; one network call each."""
    trust: float = Limits(default=1.0, gt=0)
    """How much the prior counts against the picture: the prior's variance is divided by this."""
    churn: float = Limits(default=1.0, ge=0, le=1)
    """Share of fresh noise at each level: 1 is ancestral sampling, 0 is deterministic below `top`."""
    outliers: Literal["value", "pixel", "none"] = "value"
    """What may be an outlier: each of a pixel's three values, whole pixels, or nothing."""
    noise: Literal["auto"] | Annotated[float, Limits(gt=0, le=0.5)] = "auto"
    """Standard deviation of the noise on the scale 0 to 1; `auto` estimates it for each picture."""
    floor: float = Limits(default=0.005, gt=0, le=0.25)
    """Smallest standard deviation of the noise, on the scale 0 to 1."""
    rows_apart: ClassVar[bool] = True
    tolerance: float = Limits(default=1.3, ge=0)
    """A picture is returned untouched, bit for bit, if its squared distance from its denoised version is at most this
    many times the distance that the prior expects of clean pictures. 0: every picture is processed."""

    def for_holes(self) -> Blind:
        """From a level at which hardly anything of a face is left, so that it is drawn anew; without probes."""
        return self.model_copy(
            update={"top": max(self.top, HOLE_TOP), "steps": self.steps + HOLE_STEPS, "tolerance": 0.0}
        )

    def for_every_picture(self) -> Blind:
        """Without probes: every picture is processed."""
        return self.model_copy(update={"tolerance": 0.0})

    def levels(self, schedule: NoiseSchedule) -> Levels:
        """The grid on a schedule."""
        count = len(schedule)
        t = [float(t) for t in np.geomspace(BOTTOM * count, min(self.top * count, count - 1.0), self.steps)]
        return Levels(tuple(schedule.rho(k) for k in t), tuple(t), schedule)

    def calls(self, nfe_per_step: float) -> float:
        """NaN: the number of network calls depends on the picture."""
        return math.nan

    def call_range(self, levels: Levels) -> tuple[float, float]:
        """From the probes alone to the probes, every level, and the end of a noisy picture."""
        return 2, len(PROBES) * (self.tolerance > 0) + len(levels) + 1


class BlindInverter:
    """Probes the pictures, adds the noise of `top`, and comes down with the posterior mean of picture and prior."""

    rows_apart = True

    def __init__(self, options: Blind, prior: Prior) -> None:
        from odekit.parts.inverters.likelihood import Model

        self.options = options
        self.prior = prior
        self.levels = options.levels(prior.schedule)
        known = None if options.noise == "auto" else 2 * options.noise
        self.model = Model(options.outliers, known, 2 * options.floor)
        nearest = {min(range(len(self.levels)), key=lambda i: abs(self.levels.at(i) - rho)) for rho in PROBES}
        self.probes = sorted(nearest, reverse=True) if options.tolerance else []

    def invert(self, clean: State, rng: Rng) -> BlindLatent:
        """Compare the pictures with their denoised versions, then add the noise of the highest level to them.

        Pictures of one colour say nothing about a face; they are left untouched.
        """
        import torch

        from odekit.parts.inverters.repeats import repeated_values

        finite = clean.isfinite().flatten(1).all(dim=1).tolist()
        observed = clean.nan_to_num(0.0, 0.0, 0.0)
        excess = self._probe(observed, rng)
        constant = ((observed - observed[:, :, :1, :1]).flatten(1) == 0).all(dim=1).tolist()
        rows = []
        for good, one, flat in zip(finite, excess, constant, strict=True):
            untouched = good and (flat or one <= self.options.tolerance)
            rows.append(Row(good and not untouched, untouched, not good, one, len(self.probes)))
        top, count = len(self.levels) - 1, len(clean)
        fresh, basis = rng.normal_like(clean), basis_of(clean)
        work = Work(
            observed, repeated_values(observed), observed, fresh, fresh, 1.0,
            torch.zeros(count, dtype=torch.bool, device=clean.device),
            torch.ones(count, len(basis.sizes), dtype=clean.dtype, device=clean.device), self.levels.at(top),
            self.model.start(observed), torch.ones_like(clean), clean,
        )  # fmt: skip
        return BlindLatent(self._state(work, top), top, work, tuple(rows), self.model.floor)

    def masked(self, latent: Latent, keep: Tensor) -> BlindLatent:
        """A latent of `invert` for pictures whose reliability is known: 1 where keep (1 or N, 1, H, W) is 1, else 0."""
        latent = blind(latent)
        rows = tuple(replace(row, open=not row.failed, untouched=False) for row in latent.rows)
        return replace(latent, rows=rows, known=keep.to(latent.x.dtype))

    def moved(self, latent: Latent, x: State) -> BlindLatent:
        """The latent after an enhancer changed its state."""
        latent = blind(latent)
        moved = latent.carry.moved | (x != latent.x).flatten(1).any(dim=1)
        return replace(latent, x=x, carry=replace(latent.carry, moved=moved))

    def descend(self, latent: Latent, rng: Rng) -> BlindLatent:
        """One level down: denoise, estimate the damage, combine with the picture, add the noise of the next level.

        Only rows that need it call the prior. A finished row that an enhancer moved becomes its denoised version.
        """
        latent = blind(latent)
        work, rows, level = latent.carry, list(latent.rows), latent.level
        moved = work.moved.tolist()
        active = [i for i, row in enumerate(rows) if row.open or (moved[i] and not row.untouched and not row.failed)]
        if active:
            index = array_to_device_of(np.array(active, np.int64), latent.x)
            part, ended, calls = self._step(
                latent.x[index], work.select(index), [rows[i].open for i in active], level, rng.select(active),
                None if latent.known is None else latent.known.expand(len(rows), -1, -1, -1)[index],
            )  # fmt: skip
            work = work.update(index, part)
            for i, end, more in zip(active, ended, calls, strict=True):
                rows[i] = replace(rows[i], open=rows[i].open and not end, calls=rows[i].calls + more)
            finished = [i for i, end in zip(active, ended, strict=True) if end and latent.known is None]
            unsure = [i for i in finished if self._is_sound(rows[i], work, i)]
            for i in unsure:
                rows[i] = replace(rows[i], untouched=True)
            if unsure:
                work = work.untouched(array_to_device_of(np.array(unsure, np.int64), latent.x))
        x = work.result if level == 0 else self._state(work, level - 1)
        return replace(latent, x=x, level=level - 1, carry=work, rows=tuple(rows))

    def _step(
        self, x: State, work: Work, opened: list[bool], level: int, rng: Rng, known: Tensor | None
    ) -> tuple[Work, list[bool], list[int]]:
        """`descend` for some rows: their work, whether they are finished, and their network calls."""
        import torch

        from odekit.parts.inverters.likelihood import fit
        from odekit.parts.inverters.posterior import at_less_noise, posterior_mean, row_means

        rho, below, basis = self.levels.at(level), self.levels.at(level - 1), basis_of(x)
        observed, is_open = work.observed, torch.tensor(opened, device=x.device).view(-1, 1, 1, 1)
        denoised = self._denoise(x, level)
        gains = self._gains(work, denoised, level, basis)
        variances = basis.spread(gains) * rho**2
        damage, reliable = fit(
            observed, denoised, basis.per_channel(variances), work.damage, self.model, known, work.repeats
        )  # fmt: skip
        variance = damage.variance(denoised, self.model.floor)
        combined = posterior_mean(observed, reliable / variance, denoised, variances / self.options.trust, basis)
        centre = torch.where(is_open, combined, denoised)
        noise_level = row_means(variance).sqrt()
        noisy = is_open & (noise_level >= max(below, (level == 0) * rho))
        ended = [level == 0 or one for one in noisy.flatten().tolist()]
        if level == 0:
            kept = is_open & (noise_level <= AT_FLOOR * self.model.floor) & (reliable > 0.5)
            centre = torch.where(kept, observed, centre)
        last = [i for i, one in enumerate(noisy.flatten().tolist()) if one]
        if last:
            some = array_to_device_of(np.array(last, np.int64), x)
            sound, spread = reliable[some] > CLEARLY_WRONG, variance[some]
            z = rng.select(last).normal_like(x[some])
            y = torch.where(sound, observed[some], centre[some])
            noisier = y + torch.where(sound, (rho**2 - spread).clamp_min(0).sqrt(), rho) * z
            mean = self._denoise(self.levels.signal(level) * noisier, level)
            spread = torch.where(sound, spread, rho**2)
            centre = centre.index_copy(0, some, at_less_noise(mean, noisier, rho, y, spread, variances[some], basis))
        z, churn = rng.normal_like(x), self.options.churn
        old = (x / self.levels.signal(level) - centre) / rho
        work = replace(
            work, centre=centre, result=centre, noise=math.sqrt(1 - churn**2) * old + churn * z, fresh=z, share=churn,
            moved=torch.zeros_like(work.moved), gains=gains, rho=rho, damage=damage.where(is_open, work.damage),
            reliable=torch.where(is_open, reliable, work.reliable),
        )  # fmt: skip
        return work, ended, [1 + (i in last) for i in range(len(x))]

    def _is_sound(self, row: Row, work: Work, i: int) -> bool:
        """Whether a finished picture of which the probes were not sure turned out to have no damage worth a change."""
        if self.options.noise != "auto" or not row.excess <= DOUBTFUL or bool(work.repeats[i].any()):
            return False
        noise = float(work.damage.variance(work.result, self.model.floor)[i].mean()) ** 0.5
        least, most = FEW[0], SOME if noise > AT_FLOOR * self.model.floor else FEW[1]
        return least < float(work.damage.share[i]) <= most

    def _gains(self, work: Work, denoised: Tensor, level: int, basis: CosineBasis) -> Tensor:
        """The derivatives of the denoiser at a level, from the noise of its input where that is known."""
        import torch

        from odekit.parts.inverters.posterior import denoiser_gains, transferred_gains

        rho = self.levels.at(level)
        transferred = transferred_gains(work.gains, work.rho, rho)
        if work.share == 0:
            return transferred
        measured = denoiser_gains(work.fresh, (denoised - work.centre) / work.share, rho, basis)
        return torch.where(work.moved[:, None], transferred, measured)

    def _denoise(self, x: State, level: int) -> State:
        """The prior's estimate of the clean pictures."""
        rho = self.levels.at(level)
        y = x / self.levels.signal(level)
        return (y - rho * self.prior.eps(x, self.levels.t[level])).clamp(-RANGE, RANGE)

    def _state(self, work: Work, level: int) -> State:
        """The state of all pictures at a level."""
        return self.levels.signal(level) * (work.centre + self.levels.at(level) * work.noise)

    def _probe(self, clean: State, rng: Rng) -> list[float]:
        """The largest squared distance from the denoised version over the expected one, for each picture.

        For pictures of the prior both are equal, since the derivative of the denoiser gives its error.
        """
        from odekit.parts.inverters.posterior import row_means

        excess = [math.nan] * len(clean)
        for level in self.probes:
            rho, z = self.levels.at(level), rng.normal_like(clean)
            change = self._denoise(self.levels.signal(level) * (clean + rho * z), level) - clean
            expected = (rho * row_means(z * change)).clamp_min(SMALLEST_GAIN * rho**2)
            ratio = (row_means(change**2) / expected).flatten().tolist()
            excess = [
                one if math.isnan(before) else max(before, one) for before, one in zip(excess, ratio, strict=True)
            ]
        return excess


def blind(latent: Latent) -> BlindLatent:
    """The latent, which must be one of `blind`."""
    if not isinstance(latent, BlindLatent):
        raise TypeError(f"a latent of 'blind' is needed, not {type(latent).__name__}")
    return latent


def basis_of(x: State) -> CosineBasis:
    """The basis for states of this size and device."""
    from odekit.parts.inverters.cosine import cosine_basis

    return cosine_basis(x.shape[2], x.shape[3], str(x.device))


def make_blind_inverter(options: Blind, tools: Tools) -> BlindInverter:
    """The factory of `blind`."""
    return BlindInverter(options, tools.prior())
