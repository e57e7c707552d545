"""Faces with known damage, restored with every strength: the data that fits the damage meter and evaluates it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.chains.chain import Chain
from odekit.chains.session import Session
from odekit.core.image import Image
from odekit.core.interfaces import Enhancer, Inverter, Prior
from odekit.errors import ConfigError
from odekit.evaluation.degrade.recipe import damage
from odekit.evaluation.experiments.faces import Pictures
from odekit.parts.corruptions.kinds import PAPER_KINDS
from odekit.parts.enhancers.calibration import Strength
from odekit.parts.stages.restore import RestoreStage

Array = NDArray[np.float64]
PSNR_CAP = 40.0
"""Largest PSNR that counts, in dB: above it differences are invisible."""
STRENGTHS = (
    Strength("faint", (0.035, 0.06), 3, 0.2, 1 / 3),
    Strength("light", (0.08, 0.16), 3, 0.2, 0.5),
    Strength("smooth", (0.06, 0.11, 0.17), 2, 0.2, 1 / 3),
    Strength("medium", (0.08, 0.16, 0.25), 3, 0.2, 0.5),
    Strength("strong", (0.08, 0.16, 0.25), 5, 0.2, 1 / 3),
    Strength("heavy", (0.08, 0.16, 0.25, 0.36), 4, 0.2, 0.5),
)
"""The strengths that the meter chooses from: rising levels and numbers of updates."""


@dataclass(frozen=True)
class Cases:
    """Clean faces uint8 (N, S, S, 3), their damaged images as they are inverted, and the damage."""

    clean: Pictures
    damaged: tuple[Image, ...]
    kinds: tuple[str, ...]
    severities: tuple[int, ...]


def damaged_cases(pictures: Pictures, seed: int = 0, prepare: Callable[[Image], Image] = lambda image: image) -> Cases:
    """Every sixth face undamaged, the others with the paper's 20 kinds in turn at severities 1 to 5 in turn.

    Args:
        pictures: clean faces.
        seed: of the damage.
        prepare: the preparation of a face before its inversion (correction of blur and colours).
    """
    kinds, severities, images = [], [], []
    for i, picture in enumerate(pictures):
        number, count = i - i // 6, len(PAPER_KINDS)
        kind = PAPER_KINDS[number % count]
        severity = 0 if i % 6 == 5 else 1 + (2 * number + number // count) % 5
        image = Image.from_uint8(picture)
        images.append(prepare(damage(image, kind, seed, severity) if severity else image))
        kinds.append(kind if severity else "clean")
        severities.append(severity)
    return Cases(pictures, tuple(images), tuple(kinds), tuple(severities))


def plain_and_prepared_cases(pictures: Pictures, seed: int, prepare: Callable[[Image], Image]) -> Cases:
    """`damaged_cases` without `prepare`, followed by those with it that differ.

    A meter fitted to both serves chains with and without correction of blur and colours.
    """
    plain, prepared = damaged_cases(pictures, seed), damaged_cases(pictures, seed, prepare)
    pairs = zip(plain.damaged, prepared.damaged, strict=True)
    changed = [i for i, (a, b) in enumerate(pairs) if not np.array_equal(a.pixels, b.pixels)]
    indices = [*range(len(pictures)), *changed]
    return Cases(
        pictures[indices],
        plain.damaged + tuple(prepared.damaged[i] for i in changed),
        tuple(plain.kinds[i] for i in indices),
        tuple(plain.severities[i] for i in indices),
    )


@dataclass(frozen=True)
class RestoredCases:
    """The cases restored with every strength. Mappings are by strength; `none` is the input."""

    readings: tuple[Mapping[str, float], ...]
    """The readings of the damage meter for each case."""
    outputs: Mapping[str, Pictures]
    psnr: Mapping[str, Array]
    ssim: Mapping[str, Array]
    calls: Mapping[str, int]
    """Network calls of a strength, inversion and decoding included."""

    def gain(self, name: str) -> Array:
        """PSNR gain over the input in dB; PSNR is capped at `PSNR_CAP`."""
        gain: Array = np.minimum(self.psnr[name], PSNR_CAP) - np.minimum(self.psnr["none"], PSNR_CAP)
        return gain


def open_restore(chain: str, *, seed: int = 0, batch_size: int = 1, enhancer: str = "") -> tuple[Session, RestoreStage]:
    """An open session of a chain whose first stage is `restore`, and that stage.

    Args:
        chain: its name or path.
        seed: of the session.
        batch_size: of network calls.
        enhancer: an enhancer that replaces the chain's.

    Raises:
        ConfigError: the chain begins with another stage.
    """
    settings = [f"restore.enhancer={{use: {enhancer}}}"] if enhancer else []
    session = Chain.load(chain, settings).open(seed=seed, batch_size=batch_size)
    stage = session.stages[0][1]
    if not isinstance(stage, RestoreStage):
        raise ConfigError(f"the chain '{chain}' does not begin with restore; name one that does")
    return session, stage


def restore_cases(
    cases: Cases,
    inverter: Inverter,
    prior: Prior,
    strengths: Sequence[Strength] = STRENGTHS,
    *,
    seed: int = 0,
    batch: int = 8,
    keep: Path | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> RestoredCases:
    """Invert each image once, then decode it with each strength.

    Args:
        cases: the damaged images.
        inverter: as in the chain that the calibration is for.
        prior: the prior of that chain.
        strengths: to decode with.
        seed: of the noise; the same as in a run of the chain.
        batch: images at a time.
        keep: a folder for finished results; nothing in it is computed again.
        progress: called with a line of text after each batch.
    """
    import torch

    from odekit.parts.enhancers.damage_meter import batch_damage_readings

    outputs: dict[str, list[Pictures]] = {one.name: [] for one in strengths}
    readings: list[Mapping[str, float]] = []
    for start in range(0, len(cases.damaged), batch):
        file = None if keep is None else keep / f"{start}.npz"
        if file is not None and file.is_file():
            with np.load(file) as stored:
                clean, latent, pictures = stored["clean"], stored["latent"], {name: stored[name] for name in outputs}
        else:
            enhancers = {one.name: langevin(one, prior) for one in strengths}
            clean, latent, pictures = decode_with_each(
                cases.damaged[start : start + batch], inverter, prior, enhancers, seed
            )
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                np.savez_compressed(file, clean=clean, latent=latent, **pictures)  # type: ignore[arg-type]
        readings += batch_damage_readings(torch.from_numpy(clean), torch.from_numpy(latent))
        for name, decoded in pictures.items():
            outputs[name].append(decoded)
        progress(f"{min(start + batch, len(cases.damaged))} of {len(cases.damaged)} pictures")
    decoded_images = {"none": np.stack([image.to_uint8() for image in cases.damaged])}
    decoded_images |= {name: np.concatenate(parts) for name, parts in outputs.items()}
    scores = {name: psnr_and_ssim(decoded, cases.clean) for name, decoded in decoded_images.items()}
    round_trip = 2 * len(inverter.levels)
    calls = {one.name: round_trip + one.iterations * len(one.levels) for one in strengths}
    return RestoredCases(
        tuple(readings), decoded_images, {k: v[0] for k, v in scores.items()}, {k: v[1] for k, v in scores.items()},
        {"none": round_trip} | calls,
    )  # fmt: skip


def langevin(strength: Strength, prior: Prior) -> Enhancer:
    """The Langevin enhancer of a strength."""
    from odekit.parts.enhancers.langevin import Langevin, LangevinEnhancer

    return LangevinEnhancer(
        Langevin(
            levels=list(strength.levels), iterations=strength.iterations, temperature=strength.temperature,
            step=strength.rate * prior.schedule.sigma_ref**2,
        )
    )  # fmt: skip


def decode_with_each(
    images: Sequence[Image], inverter: Inverter, prior: Prior, enhancers: Mapping[str, Enhancer], seed: int
) -> tuple[Array, Array, dict[str, Pictures]]:
    """Images in model space, their latents, and the images decoded with each enhancer, by its name.

    The noise is that of a run whose first stage is `restore`.
    """
    import torch

    from odekit.core.image import from_state, stack
    from odekit.core.noise import BatchNoise, ImageNoise, noise_generator
    from odekit.edit import decode

    with torch.inference_mode():
        clean = stack(images)
        latent = inverter.invert(clean, BatchNoise([]))
        decoded = {}
        for name, enhancer in enhancers.items():
            rng = BatchNoise([ImageNoise(noise_generator(seed, image.origin, "0", image.face, 0)) for image in images])
            x = decode(latent, inverter, enhancer, enhancer.acts_on(inverter.levels), prior, rng).x
            decoded[name] = np.stack([Image(pixels).to_uint8() for pixels in from_state(x)])
    return clean.numpy(), latent.x.numpy(), decoded


def psnr_and_ssim(pictures: Pictures, clean: Pictures) -> tuple[Array, Array]:
    """PSNR and SSIM of each image."""
    from odekit.parts.metrics.psnr import PsnrMetric
    from odekit.parts.metrics.ssim import SsimMetric

    pairs = [(Image.from_uint8(a), Image.from_uint8(b)) for a, b in zip(pictures, clean, strict=True)]
    psnr, ssim = PsnrMetric(), SsimMetric()
    return np.array([psnr.measure(*p) for p in pairs]), np.array([ssim.measure(*p) for p in pairs])
