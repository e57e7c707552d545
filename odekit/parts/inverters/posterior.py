"""The Gaussian that a denoiser's estimate stands for, and its posterior mean with an observation. See docs/blind.md.

At noise level rho a denoiser maps Y = c + rho z, z ~ N(0, I), to x0(Y), the mean of the clean picture given Y. The
covariance of the clean picture given Y is rho^2 dx0/dY (second-order Tweedie formula: B. Efron, "Tweedie's formula and
selection bias", 2011; Meng et al., arXiv:2111.04726). By Stein's identity E[z . x0(c + rho z)] = rho tr(dx0/dY). So the
noise that was added tells the covariance without another network call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from odekit.parts.inverters.cosine import CosineBasis

LOWEST_GAIN = 1e-4
"""Smallest plausible derivative of a denoiser, in any direction."""
ITERATIONS = 10
"""Steps of conjugate gradients; a fixed number, so that a row does not depend on the other rows."""


def denoiser_gains(noise: Tensor, change: Tensor, rho: float, basis: CosineBasis) -> Tensor:
    """The mean derivative of a denoiser in each group of directions of the basis, (N, groups) in [1e-4, 1].

    Args:
        noise: (N, 3, H, W), the z ~ N(0, I) that was added.
        change: (N, 3, H, W), x0(c + rho z) - c.
        rho: noise level, above 0.
        basis: of directions.

    Each group's mean of `z . change / rho` is an unbiased estimate. Natural pictures, and so the gains of a denoiser
    trained on them, fall with the frequency: within luma and within chroma the estimates are made monotone by pooling
    neighbours that are out of order (weighted by their sizes).
    """
    raw = basis.group_means(basis.forward(noise) * basis.forward(change)) / rho
    sizes, bands = basis.sizes.tolist(), basis.bands
    rows = [
        [*falling(row[:bands], sizes[:bands]), *falling(row[bands:], sizes[bands:])] for row in raw.tolist()
    ]  # fmt: skip
    return torch.tensor(rows, dtype=raw.dtype, device=raw.device).clamp(LOWEST_GAIN, 1.0)


def transferred_gains(gains: Tensor, rho: float, to: float) -> Tensor:
    """The gains at noise level `to`, from those at `rho`: v / (v + rho^2) for a Gaussian of variance v."""
    variance = gains * rho**2 / (1 - gains).clamp_min(1e-6)
    return variance / (variance + to**2)


def at_less_noise(
    mean: Tensor, noisier: Tensor, rho: float, y: Tensor, variance: Tensor, variances: Tensor, basis: CosineBasis
) -> Tensor:
    """The posterior mean given y, from that given a noisier version of it; exact for a Gaussian prior.

    Args:
        mean: posterior mean given `noisier`, (N, 3, H, W).
        noisier: y with further independent noise, up to a variance of rho^2.
        rho: noise level of `noisier`.
        y: the observation.
        variance: of its noise; where it is rho^2 or more, y tells no more than `noisier`.
        variances: posterior variances given `noisier`, of the coefficients in the basis.
        basis: the transform.

    y is `noisier` together with an independent observation of the precision 1 / variance - 1 / rho^2.
    """
    precision = (1 / variance - 1 / rho**2).clamp_min(0)
    rest = (y / variance - noisier / rho**2) / precision.clamp_min(1e-12)
    return posterior_mean(torch.where(precision > 0, rest, mean), precision, mean, variances, basis)


def falling(values: list[float], weights: list[float]) -> list[float]:
    """The falling sequence nearest to `values` in weighted squares (pool adjacent violators); empty groups keep 0."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] < pool[0]:
            mean, total, count = pools.pop()
            both = total + pool[1]
            pool = ((total * mean + pool[1] * pool[0]) / both, both, count + pool[2])
        pools.append(pool)
    return [mean for mean, _, count in pools for _ in range(count)]


def posterior_mean(y: Tensor, precision: Tensor, denoised: Tensor, variances: Tensor, basis: CosineBasis) -> Tensor:
    """The mean of x for `y ~ N(x, 1 / precision)` and `x ~ N(denoised, B^T variances B)`, all (N, 3, H, W).

    Args:
        y: the observation.
        precision: of each value of y, at least 0; 0 where nothing was observed.
        denoised: mean of the prior.
        variances: of the prior's coefficients in the basis, positive.
        basis: the transform B.

    Solved by preconditioned conjugate gradients on the coefficients. Where all precisions are equal the first guess is
    the exact solution.
    """
    own = 1 / variances
    diagonal = own + row_means(precision)
    b = basis.forward(precision * (y - denoised))

    def applied(e: Tensor) -> Tensor:
        return own * e + basis.forward(precision * basis.inverse(e))

    e = b / diagonal
    residual = b - applied(e)
    scaled = residual / diagonal
    direction, energy = scaled, row_sums(residual * scaled)
    for _ in range(ITERATIONS):
        moved = applied(direction)
        step = energy / row_sums(direction * moved).clamp_min(1e-300)
        e = e + step * direction
        residual = residual - step * moved
        scaled = residual / diagonal
        before, energy = energy, row_sums(residual * scaled)
        direction = scaled + energy / before.clamp_min(1e-300) * direction
    return denoised + basis.inverse(e)


def row_sums(values: Tensor) -> Tensor:
    """Sums of the rows of (N, 3, H, W), as (N, 1, 1, 1); each row alone, so that it does not depend on the others."""
    return torch.stack([row.sum() for row in values]).view(-1, 1, 1, 1)


def row_means(values: Tensor) -> Tensor:
    """Means of the rows of (N, 3, H, W), as (N, 1, 1, 1)."""
    return row_sums(values) / values[0].numel()
