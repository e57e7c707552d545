"""ODEdit as a user of the diffusers library would write it, for comparison in `python -m benchmarks speed`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

BETAS = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear", "clip_sample": False}


def plain_loop(
    model: Callable[[Tensor, Any], Tensor],
    pictures: Tensor,
    steps: int,
    timesteps: Collection[int] = (),
    iterations: int = 0,
    temperature: float = 0.6,
    prediction: str = "epsilon",
) -> Tensor:
    """Invert, update at `timesteps` by Langevin steps of sigma^2 / 100, and decode.

    Args:
        model: the network, called with a batch and a timestep.
        pictures: (N, C, H, W) in [-1, 1].
        steps: levels; a divisor of 1000.
        timesteps: of the Langevin updates, multiples of 1000 / steps.
        iterations: updates at each of them.
        temperature: of their noise.
        prediction: of the model, as diffusers names it: epsilon or v_prediction.
    """
    import torch
    from diffusers import DDIMInverseScheduler, DDIMScheduler

    up = DDIMInverseScheduler(prediction_type=prediction, **BETAS)
    down = DDIMScheduler(prediction_type=prediction, **BETAS)
    up.set_timesteps(steps)
    down.set_timesteps(steps)
    with torch.inference_mode():
        x = pictures
        for t in up.timesteps:
            x = up.step(model(x, t), t, x).prev_sample
        for t in down.timesteps:
            if int(t) in timesteps:
                abar = down.alphas_cumprod[t]
                sigma = (1 - abar).sqrt()
                for _ in range(iterations):
                    output = model(x, t)
                    eps = output if prediction == "epsilon" else abar.sqrt() * output + sigma * x
                    a = sigma**2 / 100
                    x = x - a * eps / sigma + (2 * temperature * a).sqrt() * torch.randn_like(x)
            x = down.step(model(x, t), t, x).prev_sample
    return x
