"""The likelihood of an observed picture with unknown noise and unknown outliers, fitted by expectation maximisation.

A sound value is y = x + n with n ~ N(0, a + b u), where u = (x + 1) / 2 is the brightness in [0, 1]; an outlier has any
value in [-1, 1]. What a prior says about x is a mean and an error variance. Noise (a, b), the share of outliers and the
values that outliers take are estimated for each picture (Dempster, Laird and Rubin 1977). Derivation: docs/blind.md.
Everything is in model space, where pixels are in [-1, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch

from odekit.parts.inverters.posterior import row_means, row_sums

if TYPE_CHECKING:
    from torch import Tensor

Outliers = Literal["value", "pixel", "none"]
LIMIT = 1 + 1e-6
"""Values beyond this are not in the range of outliers."""
UNIFORM = 0.5
"""Density of a uniform value in [-1, 1]."""
TAILS = ((0.75, 0.33), (0.25, 3.0))
"""Errors of a network's denoised picture have heavier tails than a Gaussian: most values lie in flat places, few at
edges. Shares, and factors on the mean variance, of two Gaussians; their mean variance is 1."""
SHARES = (1e-3, 0.8)
"""Range of the share of outliers."""
LARGEST_VARIANCE = 0.3
"""Largest noise variance, in model space."""
COLOURS = 256
"""Bins of the values that outliers take: the levels of an 8-bit picture."""
PALETTE_PRIOR = 200.0
"""Values of uniform outliers that are added to the counted ones."""
SHARPEST = 0.06
"""Largest standard deviation of the noise, in model space, at which values and places of outliers are evidence."""
NEIGHBOURS = 0.3
"""How far the share of outliers among a value and its neighbours replaces that in the picture: rubbish has area."""
LARGEST_LOCAL = 0.95
"""Largest probability, before its value is seen, that a value is an outlier."""
CERTAIN, VAGUE = 0.005, 0.06
"""Range of the variance of the prior's error in which noise and outliers are told apart: other estimates compete."""
STARTS = ((0.02, 0.05), (0.4, 0.0025))
"""Share of outliers and variance of the noise of these estimates: noise alone, outliers alone."""
STEPS = 6
"""Steps of expectation maximisation at each noise level."""


@dataclass(frozen=True)
class Damage:
    """Estimates for each picture; all tensors have one row per picture."""

    share: Tensor
    """(N, 1, 1, 1): share of outliers among the values."""
    constant: Tensor
    """(N, 1, 1, 1): a, the variance of the noise where the picture is black."""
    slope: Tensor
    """(N, 1, 1, 1): b, how much the variance grows from black to white."""
    palette: Tensor
    """(N, 256): density of the values that outliers take, on 256 equal steps from -1 to 1."""

    def variance(self, x: Tensor, floor: float) -> Tensor:
        """Variance of the noise at values x, (N, 3, H, W)."""
        brightness = ((x + 1) / 2).clamp(0, 1)
        return (self.constant + self.slope * brightness).clamp(floor**2, LARGEST_VARIANCE)

    def select(self, rows: Tensor) -> Damage:
        """The estimates of some rows."""
        return Damage(self.share[rows], self.constant[rows], self.slope[rows], self.palette[rows])

    def update(self, rows: Tensor, new: Damage) -> Damage:
        """These with the estimates `new` at some rows."""
        pairs = ((getattr(self, name), getattr(new, name)) for name in ("share", "constant", "slope", "palette"))
        return Damage(*(old.index_copy(0, rows, values) for old, values in pairs))

    def where(self, chosen: Tensor, other: Damage) -> Damage:
        """These estimates where `chosen` (N, 1, 1, 1) is true, those of `other` elsewhere."""
        return Damage(
            torch.where(chosen, self.share, other.share),
            torch.where(chosen, self.constant, other.constant),
            torch.where(chosen, self.slope, other.slope),
            torch.where(chosen[:, :, 0, 0], self.palette, other.palette),
        )


@dataclass(frozen=True)
class Model:
    """What is assumed about the damage."""

    outliers: Outliers = "value"
    """`value`: each value for itself; `pixel`: a pixel's three values together; `none`: there are no outliers."""
    noise: float | None = None
    """Known standard deviation of the noise; None: estimated."""
    floor: float = 0.01
    """Smallest standard deviation of the noise."""

    def start(self, like: Tensor, *, share: float = 0.2, variance: float = 0.05) -> Damage:
        """First estimates for pictures (N, 3, H, W)."""
        one = torch.ones_like(like[:, :1, :1, :1])
        known = variance if self.noise is None else self.noise**2
        palette = torch.full((len(like), COLOURS), UNIFORM, dtype=like.dtype, device=like.device)
        return Damage(one * (0.0 if self.outliers == "none" else share), one * known, one * 0.0, palette)


def fit(
    y: Tensor,
    mean: Tensor,
    error: Tensor,
    damage: Damage,
    model: Model,
    known: Tensor | None = None,
    wrong: Tensor | None = None,
) -> tuple[Damage, Tensor]:
    """Improve the estimates of the damage, given what the prior says about the picture.

    Args:
        y: observed pictures, (N, 3, H, W).
        mean: of the clean pictures, by the prior.
        error: variance of the clean values around `mean`, broadcastable.
        damage: the estimates so far.
        model: what is assumed.
        known: reliability that is given, broadcastable to y: 0 or 1; None where it is unknown.
        wrong: which values are outliers for certain, bool (N, 3, H, W); the others are estimated without them.

    Returns:
        The estimates, of which the share is that among the other values, and the reliability of each value: the
        probability in [0, 1] that it is sound.
    """
    bins = ((y + 1) * ((COLOURS - 1) / 2)).round().clamp(0, COLOURS - 1).long().flatten(1)
    if known is not None:
        reliable = known.expand_as(y)
        return maximised(y, mean, error, reliable, damage, model, known, bins), reliable
    seen = torch.ones_like(y) if wrong is None or model.outliers == "none" else (~wrong).to(y.dtype)
    damage = climbed(y, mean, error, damage, model, bins, seen)
    average = row_means(error)
    doubtful = (average > CERTAIN) & (average < VAGUE)
    if model.outliers != "none" and model.noise is None and bool(doubtful.any()):
        best = log_likelihood(y, mean, error, damage, model, seen)
        for share, variance in STARTS:
            other = climbed(y, mean, error, model.start(y, share=share, variance=variance), model, bins, seen)
            likelihood = log_likelihood(y, mean, error, other, model, seen)
            better = doubtful & (likelihood > best)
            damage, best = other.where(better, damage), torch.where(better, likelihood, best)
    reliable = reliability(y, mean, error, damage, model, bins)
    return damage, seen * among_neighbours(y, mean, error, damage, model, reliable, bins, seen)


def climbed(y: Tensor, mean: Tensor, error: Tensor, damage: Damage, model: Model, bins: Tensor, seen: Tensor) -> Damage:
    """The estimates after some steps of expectation maximisation."""
    for _ in range(STEPS):
        reliable = reliability(y, mean, error, damage, model, bins)
        damage = maximised(y, mean, error, reliable, damage, model, None, bins, seen)
    return damage


def log_likelihood(y: Tensor, mean: Tensor, error: Tensor, damage: Damage, model: Model, seen: Tensor) -> Tensor:
    """Log density of the values where `seen` is 1, of each picture, (N, 1, 1, 1), with uniform outliers."""
    inlier = log_inlier(y - mean, damage.variance(mean, model.floor), error)
    outlier = torch.log(UNIFORM * (y.abs() <= LIMIT)).to(y.dtype)
    return row_sums(seen * torch.logaddexp(torch.log1p(-damage.share) + inlier, torch.log(damage.share) + outlier))


def log_ratio(y: Tensor, mean: Tensor, error: Tensor, damage: Damage, model: Model, bins: Tensor) -> Tensor:
    """Log of the density of a value if it is sound over that if it is an outlier."""
    noise = damage.variance(mean, model.floor)
    inlier = log_inlier(y - mean, noise, error)
    density = torch.where(sharp(noise), damage.palette.gather(1, bins).view_as(y), UNIFORM)
    outlier = torch.log(density * (y.abs() <= LIMIT))
    if model.outliers == "pixel":
        inlier, outlier = (density.sum(dim=1, keepdim=True).expand_as(y) for density in (inlier, outlier))
    return inlier - outlier


def sharp(noise: Tensor) -> Tensor:
    """Whether the noise of a picture is so small that the values and the places of outliers are evidence (N, 1, 1, 1).

    By picture and not by value: shot noise repeats its values where it is dark.
    """
    return row_means(noise) <= SHARPEST**2


def log_inlier(residual: Tensor, noise: Tensor, error: Tensor) -> Tensor:
    """Log density of a sound value's distance from the prior's mean: noise plus the heavy-tailed error of the prior."""
    parts = []
    for share, factor in TAILS:
        variance = noise + factor * error
        parts.append(math.log(share) - residual**2 / (2 * variance) - 0.5 * torch.log(2 * math.pi * variance))
    return torch.logaddexp(*parts)


def reliability(y: Tensor, mean: Tensor, error: Tensor, damage: Damage, model: Model, bins: Tensor) -> Tensor:
    """The probability that a value is sound (expectation step)."""
    if model.outliers == "none":
        return torch.ones_like(y)
    return torch.sigmoid(log_ratio(y, mean, error, damage, model, bins) + torch.log(1 / damage.share - 1))


def among_neighbours(
    y: Tensor, mean: Tensor, error: Tensor, damage: Damage, model: Model, reliable: Tensor, bins: Tensor, seen: Tensor
) -> Tensor:
    """The reliability if outliers have area: their share is partly that among a value and its neighbours.

    The estimates are made without it, since mean-field neighbours exaggerate the share. Nor is it used in noise, whose
    largest values would become holes (shot noise of dark faces: -4 dB).
    """
    if model.outliers == "none":
        return reliable
    around = (torch.nn.functional.avg_pool2d(part, 3, stride=1, padding=1) for part in (seen * (1 - reliable), seen))
    outliers, all_values = around
    nearby = outliers / all_values.clamp_min(0.5 / 9)  # of a value alone it is that value's own
    weight = NEIGHBOURS * sharp(damage.variance(mean, model.floor)).to(y.dtype)
    share = ((1 - weight) * damage.share + weight * nearby).clamp(SHARES[0], LARGEST_LOCAL)
    return torch.sigmoid(log_ratio(y, mean, error, damage, model, bins) + torch.log(1 / share - 1))


def maximised(
    y: Tensor, mean: Tensor, error: Tensor, reliable: Tensor, damage: Damage, model: Model, known: Tensor | None,
    bins: Tensor, seen: Tensor | None = None,
) -> Damage:  # fmt: skip
    """The estimates that the reliability implies (maximisation step)."""
    if model.outliers != "none":
        seen = torch.ones_like(y) if seen is None else seen
        outliers = seen * (1 - reliable)
        damage = replace(damage, share=(row_sums(outliers) / row_sums(seen).clamp_min(1)).clamp(*SHARES))
        if known is None:
            damage = replace(damage, palette=palette(outliers, bins))
        reliable = seen * reliable
    if model.noise is not None:
        return damage
    constant, slope = variance_line((y - mean) ** 2 - error, damage.variance(mean, model.floor) + error, mean, reliable)
    return replace(damage, constant=constant, slope=slope)


def palette(weights: Tensor, bins: Tensor) -> Tensor:
    """Density (N, 256) of the values of outliers, from their weights (N, 3, H, W); at least half of uniform."""
    rows = [torch.bincount(b, w.flatten(), minlength=COLOURS) for b, w in zip(bins, weights, strict=True)]
    counts = torch.stack(rows)
    density = (counts + PALETTE_PRIOR / COLOURS) / (counts.sum(dim=1, keepdim=True) + PALETTE_PRIOR)
    return (density * (COLOURS - 1) / 2).clamp_min(UNIFORM / 2)


def variance_line(squares: Tensor, total: Tensor, mean: Tensor, reliable: Tensor) -> tuple[Tensor, Tensor]:
    """The variance a + b u nearest to squared residuals, with a and b at least 0: (N, 1, 1, 1) each.

    Least squares with the weight reliability / total^2, where `total` is the variance of the residuals: the variance of
    a squared Gaussian is 2 total^2.
    """
    u = ((mean + 1) / 2).clamp(0, 1)
    weight = reliable / total**2
    m0, m1, m2 = (row_sums(weight * u**power) for power in (0, 1, 2))
    r0, r1 = row_sums(weight * squares), row_sums(weight * u * squares)
    determinant = m0 * m2 - m1**2
    safe = determinant > 1e-9 * m0 * m2
    a = (r0 * m2 - r1 * m1) / torch.where(safe, determinant, torch.ones_like(determinant))
    b = (r1 * m0 - r0 * m1) / torch.where(safe, determinant, torch.ones_like(determinant))
    inside = safe & (a >= 0) & (b >= 0)
    only_a, only_b = (r0 / m0).clamp_min(0), (r1 / m2.clamp_min(1e-300)).clamp_min(0)
    flat = only_a * r0 >= only_b * r1  # the reduction of the squares by either alone is its coefficient times r
    zero = torch.zeros_like(a)
    return (
        torch.where(inside, a, torch.where(flat, only_a, zero)),
        torch.where(inside, b, torch.where(flat, zero, only_b)),
    )
