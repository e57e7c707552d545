"""Priors whose eps has a closed form: references for the tests of solvers and enhancers.

With data x0 of density p, `x_t = sqrt(abar) x0 + sigma e` has a density p_t, and the ideal network predicts
`eps(x, t) = -sigma grad log p_t(x)` (Song et al., arXiv:2011.13456, eq. 7, for VP). Everything is float64, for any
image size, on the device of x.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.nn.functional import interpolate

from odekit.core.schedule import NoiseSchedule

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, int, int]


class GaussianPrior:
    """Independent Gaussian pixels: `x0 ~ N(mean, diag(variance))`."""

    def __init__(
        self,
        mean: ArrayLike = 0.0,
        variance: ArrayLike = 0.25,
        shape: Shape = (3, 8, 8),
        schedule: NoiseSchedule | None = None,
    ) -> None:
        """A Gaussian prior.

        Args:
            mean: in model space; one number, one per channel (3,), or of `shape`.
            variance: likewise, positive.
            shape: (3, H, W) of the images.
            schedule: noise levels; linear betas over 1,000 steps if None.

        Raises:
            ValueError: a variance that is not positive, or sizes that do not fit `shape`.
        """
        self.shape = shape
        self.schedule = schedule or NoiseSchedule.linear()
        self.mean = _per_pixel(mean, shape)
        self.variance = _per_pixel(variance, shape)
        if not bool((self.variance > 0).all()):
            raise ValueError("the variance of a Gaussian prior must be positive")

    def marginal(self, t: float | None) -> tuple[Tensor, Tensor]:
        """Mean and variance (3, H, W) of x at timestep t; of the clean image (abar = 1) if t is None."""
        abar = 1.0 if t is None else self.schedule.abar_at(t)
        return math.sqrt(abar) * self.mean, abar * self.variance + (1.0 - abar)

    def score(self, x: Tensor, t: float | None) -> Tensor:
        """The gradient of log p_t at x: `-(x - m_t) / v_t`."""
        mean, variance = (moment.to(x.device) for moment in self.marginal(t))
        return -(x - mean) / variance

    def eps(self, x: Tensor, t: float) -> Tensor:
        """The exact noise prediction `sigma_t (x - m_t) / v_t` at x, float64 (N, 3, H, W)."""
        return -math.sqrt(1.0 - self.schedule.abar_at(t)) * self.score(x.double(), t)

    def flow(self, x: Tensor, t_from: float | None, t_to: float | None) -> Tensor:
        """The exact solution of the probability-flow ODE from t_from to t_to: `m_b + sqrt(v_b / v_a) (x - m_a)`.

        `t_from` and `t_to` are timesteps; None is the clean image (rho = 0).
        """
        mean_a, variance_a = (moment.to(x.device) for moment in self.marginal(t_from))
        mean_b, variance_b = (moment.to(x.device) for moment in self.marginal(t_to))
        return mean_b + (variance_b / variance_a).sqrt() * (x - mean_a)

    def sample(self, n: int, generator: np.random.Generator) -> Tensor:
        """Clean images, float64 (n, 3, H, W), drawn with numpy's generator."""
        return self.mean + self.variance.sqrt() * torch.from_numpy(generator.standard_normal((n, *self.shape)))


class MixturePrior:
    """A mixture of Gaussians with a common standard deviation: `x0 ~ sum_k w_k N(mu_k, std^2 I)`."""

    def __init__(
        self,
        means: ArrayLike,
        std: float,
        weights: ArrayLike | None = None,
        schedule: NoiseSchedule | None = None,
    ) -> None:
        """A mixture prior.

        Args:
            means: (K, 3, H, W), in model space.
            std: of every component, positive.
            weights: (K,), positive; equal if None. They are normalised to sum 1.
            schedule: noise levels; linear betas over 1,000 steps if None.

        Raises:
            ValueError: sizes that do not match, a weight or a std that is not positive.
        """
        self.means = torch.from_numpy(np.array(means, dtype=np.float64))
        if self.means.ndim != 4 or self.means.shape[1] != 3:
            raise ValueError(f"means must be (K, 3, H, W), not {tuple(self.means.shape)}")
        count = self.means.shape[0]
        probabilities = np.full(count, 1.0) if weights is None else np.array(weights, dtype=np.float64)
        if probabilities.shape != (count,) or not (probabilities > 0).all() or not std > 0:
            raise ValueError(f"a mixture of {count} components needs as many positive weights and a positive std")
        self.std = float(std)
        self.weights = torch.from_numpy(probabilities / probabilities.sum())
        self.shape: Shape = (3, int(self.means.shape[2]), int(self.means.shape[3]))
        self.schedule = schedule or NoiseSchedule.linear()
        # Means are stored relative to their centre: only differences between components matter.
        self.centre = self.means.mean(dim=0)
        self._offsets = (self.means - self.centre).flatten(1)

    def posterior(self, x: Tensor, t: float | None) -> Tensor:
        """Posterior probabilities of the components given x at timestep t (clean if None): (N, K), rows of sum 1.

        A softmax in float64, which neither overflows nor loses the likeliest component far from the data.
        """
        abar, variance = self._level(t)
        offsets = self._offsets.to(x.device)
        centred = (x - math.sqrt(abar) * self.centre.to(x.device)).flatten(1)
        logits = (math.sqrt(abar) * centred @ offsets.T - 0.5 * abar * offsets.square().sum(dim=1)) / variance
        return torch.softmax(logits + self.weights.log().to(x.device), dim=1)

    def score(self, x: Tensor, t: float | None) -> Tensor:
        """The gradient of log p_t at x: `-(x - sqrt(abar) E[mu_k | x]) / v_t`, `v_t = abar std^2 + 1 - abar`."""
        abar, variance = self._level(t)
        expected = self.centre.to(x.device).flatten() + self.posterior(x, t) @ self._offsets.to(x.device)
        return -(x - math.sqrt(abar) * expected.view_as(x)) / variance

    def log_density(self, x: Tensor, t: float | None) -> Tensor:
        """The log density of p_t at x, (N,), in nats."""
        abar, variance = self._level(t)
        squares = (x.unsqueeze(1) - math.sqrt(abar) * self.means.to(x.device)).flatten(2).square().sum(dim=2)
        norm = 0.5 * math.prod(self.shape) * math.log(2 * math.pi * variance)
        return torch.logsumexp(self.weights.log().to(x.device) - squares / (2 * variance), dim=1) - norm

    def eps(self, x: Tensor, t: float) -> Tensor:
        """The exact noise prediction `-sigma_t score` at x, float64 (N, 3, H, W)."""
        return -math.sqrt(1.0 - self.schedule.abar_at(t)) * self.score(x.double(), t)

    def sample(self, n: int, generator: np.random.Generator) -> Tensor:
        """Clean images, float64 (n, 3, H, W), drawn with numpy's generator."""
        components = generator.choice(len(self.means), size=n, p=self.weights.numpy())
        noise = torch.from_numpy(generator.standard_normal((n, *self.shape)))
        return self.means[torch.from_numpy(components)] + self.std * noise

    def _level(self, t: float | None) -> tuple[float, float]:
        """abar and the variance of each component at timestep t; of clean images if None."""
        abar = 1.0 if t is None else self.schedule.abar_at(t)
        return abar, abar * self.std**2 + (1.0 - abar)


def example_mixture(
    shape: Shape = (3, 8, 8),
    components: int = 24,
    std: float = 0.08,
    seed: int = 0,
    schedule: NoiseSchedule | None = None,
) -> MixturePrior:
    """The documented example mixture, reproducible on any machine.

    The means are drawn from `numpy.random.Generator(PCG64(seed))`, uniform in [-1, 1], as (components, 3, 8, 8); for
    other sizes each is resized bilinearly (half-pixel centres, edges repeated). With the defaults: 24
    components of equal weight in 192 dimensions, standard deviation 0.08, linear betas.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    means = torch.from_numpy(rng.uniform(-1.0, 1.0, (components, 3, 8, 8)))
    if shape[1:] != (8, 8):
        means = interpolate(means, size=shape[1:], mode="bilinear", align_corners=False)
    return MixturePrior(means.numpy(), std, schedule=schedule)


def _per_pixel(values: ArrayLike, shape: Shape) -> Tensor:
    """Values (one number, per channel, or per pixel) broadcast to `shape`."""
    array: NDArray[np.float64] = np.array(values, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None, None]
    return torch.from_numpy(np.array(np.broadcast_to(array, shape)))
