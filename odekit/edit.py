"""Algorithm 1 of the paper as one loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odekit.interfaces import Enhancer, Inverter, Latent, Pins, Prior, State, Watch
from odekit.rng import Rng

if TYPE_CHECKING:
    from torch import Tensor


def silent(event: str, latent: Latent) -> None:
    """Watches nothing."""


def edit(
    clean: State,
    inverter: Inverter,
    enhancer: Enhancer,
    prior: Prior,
    rng: Rng,
    watch: Watch = silent,
    *,
    repeats: int = 1,
    keep: Tensor | None = None,
) -> State:
    """ODEdit (Algorithm 1): invert, then come back level by level, enhancing the latent where the enhancer acts.

    Args:
        clean: float64 (N, 3, H, W), the pictures in model space, in [-1, 1].
        inverter: takes states up to the highest level and back.
        enhancer: moves the latent at its levels, before the step down from there.
        prior: the model whose density the enhancer climbs.
        rng: one noise stream per row.
        watch: is told of every event.
        repeats: rounds; each starts from the result of the one before (SDEdit's repeats).
        keep: (N, 1, H, W), 1 where pixels of the input stay as they are.

    Returns:
        float64 (N, 3, H, W), the restored pictures in model space (not clipped).
    """
    acting = enhancer.acts_on(inverter.levels)
    for _ in range(repeats):
        latent = inverter.invert(clean, rng)
        watch("inverted", latent)
        while latent.level >= 0:
            if latent.level in acting:
                x = enhancer.enhance(latent.x, latent.level, inverter.levels, prior, rng)
                latent = inverter.moved(latent, x)
                watch("enhanced", latent)
            latent = inverter.descend(latent, rng)
            if keep is not None and isinstance(inverter, Pins):
                latent = inverter.pin(latent, keep)
            watch("descended", latent)
        clean = latent.x if keep is None else keep * clean + (1 - keep) * latent.x
        watch("restored", latent)
    return clean
