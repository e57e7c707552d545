"""Faces of known damage, each treated with every strength: what the meter learns from and is judged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image
from odekit.core.interfaces import Inverter, Prior
from odekit.evaluation.degrade.recipe import damage
from odekit.evaluation.experiments.faces import Pictures
from odekit.parts.corruptions.kinds import PAPER_KINDS
from odekit.parts.enhancers.calibration import Strength

CEILING = 40.0
"""dB beyond which nobody sees a difference; an undamaged picture's PSNR counts as this."""
STRENGTHS = (
    Strength("faint", (0.035, 0.06), 3, 0.2, 1 / 3),
    Strength("light", (0.08, 0.16), 3, 0.2, 0.5),
    Strength("smooth", (0.06, 0.11, 0.17), 2, 0.2, 1 / 3),
    Strength("medium", (0.08, 0.16, 0.25), 3, 0.2, 0.5),
    Strength("strong", (0.08, 0.16, 0.25), 5, 0.2, 1 / 3),
    Strength("heavy", (0.08, 0.16, 0.25, 0.36), 4, 0.2, 0.5),
)
"""What the meter chooses from: rising levels and numbers of updates."""


@dataclass(frozen=True)
class Cases:
    """Clean faces uint8 (N, S, S, 3), their damaged pictures as they are inverted, and what was done to them."""

    clean: Pictures
    damaged: tuple[Image, ...]
    kinds: tuple[str, ...]
    severities: tuple[int, ...]


def known(pictures: Pictures, seed: int = 0, taken: Callable[[Image], Image] = lambda image: image) -> Cases:
    """Every sixth picture undamaged, the others with the paper's 20 kinds in turn at severities 1 to 5 in turn.

    Args:
        pictures: clean faces.
        seed: of the damage.
        taken: what the chain does to a face before it inverts it (blur and colours undone).
    """
    kinds, severities, images = [], [], []
    for i, picture in enumerate(pictures):
        number, kinds_there_are = i - i // 6, len(PAPER_KINDS)
        kind = PAPER_KINDS[number % kinds_there_are]
        severity = 0 if i % 6 == 5 else 1 + (2 * number + number // kinds_there_are) % 5
        image = Image.from_uint8(picture)
        images.append(taken(damage(image, kind, seed, severity) if severity else image))
        kinds.append(kind if severity else "clean")
        severities.append(severity)
    return Cases(pictures, tuple(images), tuple(kinds), tuple(severities))


def both(pictures: Pictures, seed: int, taken: Callable[[Image], Image]) -> Cases:
    """Damaged faces as they are, and once more those that a chain changes before it inverts them.

    A meter that learnt from both serves chains that undo blur and colours and chains that do not.
    """
    plain, ready = known(pictures, seed), known(pictures, seed, taken)
    same = zip(plain.damaged, ready.damaged, strict=True)
    changed = [i for i, (a, b) in enumerate(same) if not np.array_equal(a.pixels, b.pixels)]
    every = [*range(len(pictures)), *changed]
    return Cases(
        pictures[every],
        plain.damaged + tuple(ready.damaged[i] for i in changed),
        tuple(plain.kinds[i] for i in every),
        tuple(plain.severities[i] for i in every),
    )


@dataclass(frozen=True)
class Treated:
    """What became of the cases. Tables are (strength, picture)."""

    readings: tuple[Mapping[str, float], ...]
    outputs: Mapping[str, Pictures]
    """By strength, `none` (the input) among them."""
    psnr: Mapping[str, NDArray[np.float64]]
    ssim: Mapping[str, NDArray[np.float64]]
    calls: Mapping[str, int]
    """Of a strength alone, inversion and way down included."""

    def gain(self, name: str) -> NDArray[np.float64]:
        """dB over the input, undamaged pictures counting as `CEILING`."""
        found: NDArray[np.float64] = np.minimum(self.psnr[name], CEILING) - np.minimum(self.psnr["none"], CEILING)
        return found


def treat(
    cases: Cases,
    inverter: Inverter,
    prior: Prior,
    strengths: Sequence[Strength] = STRENGTHS,
    *,
    seed: int = 0,
    batch: int = 8,
    keep: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Treated:
    """Invert each picture once, then come down with each strength.

    Args:
        cases: what is treated.
        inverter: as in the chain that the calibration is for.
        prior: likewise.
        strengths: what is tried.
        seed: of the noise; the same as in a run of the chain.
        batch: pictures at a time.
        keep: a folder for what is finished, so that nothing is computed twice.
        tell: is told how far it is.
    """
    from odekit.parts.enhancers.damage_meter import read_latents

    outputs: dict[str, list[Pictures]] = {one.name: [] for one in strengths}
    readings: list[Mapping[str, float]] = []
    for start in range(0, len(cases.damaged), batch):
        file = None if keep is None else keep / f"{start}.npz"
        if file is not None and file.is_file():
            with np.load(file) as stored:
                tops, pictures = (stored["clean"], stored["latent"]), {k: stored[k] for k in outputs}
        else:
            tops, pictures = _some(cases.damaged[start : start + batch], inverter, prior, strengths, seed)
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                np.savez_compressed(file, clean=tops[0], latent=tops[1], **pictures)  # type: ignore[arg-type]
        import torch

        readings += read_latents(torch.from_numpy(tops[0]), torch.from_numpy(tops[1]))
        for name, made in pictures.items():
            outputs[name].append(made)
        tell(f"{min(start + batch, len(cases.damaged))} of {len(cases.damaged)} pictures")
    every = {"none": np.stack([image.to_uint8() for image in cases.damaged])}
    every |= {name: np.concatenate(parts) for name, parts in outputs.items()}
    scores = {name: measure(made, cases.clean) for name, made in every.items()}
    calls = {one.name: 2 * len(inverter.levels) + one.iterations * len(one.levels) for one in strengths}
    return Treated(
        tuple(readings), every, {k: v[0] for k, v in scores.items()}, {k: v[1] for k, v in scores.items()},
        {"none": 2 * len(inverter.levels)} | calls,
    )  # fmt: skip


def _some(
    images: Sequence[Image], inverter: Inverter, prior: Prior, strengths: Sequence[Strength], seed: int
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], dict[str, Pictures]]:
    import torch

    from odekit.core.image import from_state, stack
    from odekit.core.noise import BatchNoise, ImageNoise, stream
    from odekit.edit import decode
    from odekit.parts.enhancers.langevin import Langevin, LangevinEnhancer

    with torch.inference_mode():
        clean = stack(images)
        top = inverter.invert(clean, BatchNoise([]))
        made = {}
        for one in strengths:
            rng = BatchNoise([ImageNoise(stream(seed, image.origin, "0", image.face, 0)) for image in images])
            fixed = Langevin(
                levels=list(one.levels), iterations=one.iterations, temperature=one.temperature,
                step=one.rate * prior.schedule.sigma_ref**2,
            )  # fmt: skip
            acting = fixed.acts_on(inverter.levels)
            x = decode(top, inverter, LangevinEnhancer(fixed), acting, prior, rng).x
            made[one.name] = np.stack([i.with_pixels(p).to_uint8() for i, p in zip(images, from_state(x), strict=True)])
    return (clean.numpy(), top.x.numpy()), made


def measure(made: Pictures, clean: Pictures) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """PSNR and SSIM of each picture."""
    from odekit.parts.metrics.psnr import PsnrMetric
    from odekit.parts.metrics.ssim import SsimMetric

    pairs = [(Image.from_uint8(a), Image.from_uint8(b)) for a, b in zip(made, clean, strict=True)]
    psnr, ssim = PsnrMetric(), SsimMetric()
    return np.array([psnr.measure(*p) for p in pairs]), np.array([ssim.measure(*p) for p in pairs])
