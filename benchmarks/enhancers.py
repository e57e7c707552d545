"""`odekit bench enhancers`: other enhancers in place of a chain's own, on the same inverted latents."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.knobs import arm_of_input
from benchmarks.prior import damaged
from benchmarks.strength import distance
from benchmarks.table import Row, Table
from odekit.chains.chain import Chain
from odekit.chains.session import Session
from odekit.core.image import Image
from odekit.core.options import Part, plain
from odekit.errors import ConfigError
from odekit.evaluation.bootstrap import Mean, difference
from odekit.evaluation.experiments.faces import Pictures
from odekit.parts.stages.restore import RestoreStage
from odekit.training.calibration.treated import measure

DCT, ROCK = {"use": "preconditioned"}, {"use": "sk-rock"}
ARMS: tuple[Mapping[str, Any], ...] = (
    DCT | {"power": 0.5, "rate": 0.015},
    DCT | {"power": 0.25},
    DCT | {"power": -0.25},
    ROCK | {"stages": 4, "rate": 0.4},
    ROCK | {"stages": 4, "rate": 4.0},
    ROCK | {"stages": 2, "rate": 0.4},
    {"use": "langevin", "levels": [0.06, 0.11, 0.17], "iterations": 2, "step": 2e-5},
)
"""Beside the chain's own (four updates of 0.1 sigma^2 at each of three levels): the first three as many calls, two with
SK-ROCK as many and as far or ten times as far, and two with two calls a level that go as far."""
COLUMNS = {
    "arm": "enhancer",
    "calls": "calls",
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "swd": "SWD",
    "gain": "PSNR - own, dB (95 %)",
    "likeness": "SSIM - own (95 %)",
}


def enhancers(
    chain: str,
    clean: Pictures,
    arms: Sequence[Mapping[str, Any]] = ARMS,
    *,
    seed: int = 0,
    batch: int = 8,
    keep: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Table:
    """Each enhancer on the same latents of damaged faces; differences from the chain's own, paired.

    Args:
        chain: of aligned faces; prior, inverter, colour and the first enhancer are taken from it.
        clean: faces, uint8 (N, S, S, 3).
        arms: enhancers as a chain writes them; those of langevin and its kin act on levels of the chain's grid.
        seed: of damage and noise.
        batch: pictures at a time.
        keep: a folder for what is finished, so that nothing is computed twice.
        tell: is told how far it is.
    """
    hurt = damaged(clean, seed)
    session = Chain.load(chain).open(seed=seed, batch_size=batch)
    parts = [stage_of(session).options.enhancer, *(parsed(chain, arm) for arm in arms)]
    made: dict[str, list[Pictures]] = {part.short(): [] for part in parts}
    for start in range(0, len(hurt), batch):
        file = None if keep is None else keep / f"{start}.npz"
        some = kept(file)
        if missing := [part for part in parts if part.short() not in some]:
            some |= treated(session, missing, hurt[start : start + batch])
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                np.savez_compressed(file, names=np.array(list(some)), pictures=np.stack(list(some.values())))
        for name in made:
            made[name].append(some[name])
        tell(f"{min(start + batch, len(hurt))} of {len(hurt)} pictures")
    levels = stage_of(session).inverter.levels
    scores = {name: measure(np.concatenate(some), clean) for name, some in made.items()}
    own = scores[parts[0].short()]
    rows: list[Row] = []
    for part in parts:
        (psnr, ssim), options = scores[part.short()], part.options
        gains = [difference(a, b) for a, b in zip((psnr, ssim), own, strict=True)]  # type: ignore[arg-type]
        rows.append(
            {
                "arm": part.short(),
                "calls": float(2 * len(levels) + options.calls(levels)),
                "psnr": float(psnr.mean()),
                "ssim": float(ssim.mean()),
                "swd": distance(np.concatenate(made[part.short()]), clean),
                "gain": "" if part is parts[0] else said(gains[0], 2),
                "likeness": "" if part is parts[0] else said(gains[1], 3),
            }
        )
    rows.append(arm_of_input(hurt, clean) | {"gain": "", "likeness": ""})
    how = f"chain {chain}; {len(clean)} faces, each with one of 20 kinds of damage at severity 4"
    return Table("enhancers", how, COLUMNS, rows, [], ("calls", ("psnr", "ssim")))


def kept(file: Path | None) -> dict[str, Pictures]:
    """What a file holds, by enhancer."""
    if file is None or not file.is_file():
        return {}
    with np.load(file) as stored:
        return {str(name): one for name, one in zip(stored["names"], stored["pictures"], strict=True)}


def parsed(chain: str, arm: Mapping[str, Any]) -> Part:
    """An enhancer as a chain writes it, checked in its place."""
    loaded = Chain.load(chain, [f"restore.enhancer={json.dumps(plain(arm))}"])
    loaded.plan()
    found: Part = loaded.spec.items[0].options.enhancer  # type: ignore[attr-defined]
    return found


def stage_of(session: Session) -> RestoreStage:
    """The chain's first stage. Raises ConfigError where it is no restore."""
    stage = session.stages[0][1]
    if not isinstance(stage, RestoreStage):
        raise ConfigError("the chain does not begin with restore; name one that does")
    return stage


def treated(session: Session, parts: Sequence[Part], hurt: Pictures) -> dict[str, Pictures]:
    """Some pictures inverted once, and down with each enhancer; the noise is that of a run of the chain."""
    import torch

    from odekit.chains.session import ChainTools
    from odekit.core.image import from_state, stack
    from odekit.core.noise import BatchNoise, ImageNoise, stream
    from odekit.edit import decode

    stage, out = stage_of(session), {}
    images = [stage.taken(Image.from_uint8(picture))[0] for picture in hurt]
    with torch.inference_mode():
        latent = stage.inverter.invert(stack(images), BatchNoise([]))
        for part in parts:
            rng = BatchNoise([ImageNoise(stream(session.seed, image.origin, "0", image.face, 0)) for image in images])
            enhancer = ChainTools(session).make(part)
            acting = enhancer.acts_on(stage.inverter.levels)
            x = decode(latent, stage.inverter, enhancer, acting, stage.prior, rng).x
            out[part.short()] = np.stack([Image(pixels).to_uint8() for pixels in from_state(x)])
    return out


def said(mean: Mean, digits: int) -> str:
    """A mean with its interval."""
    return f"{mean.mean:+.{digits}f} [{mean.low:+.{digits}f}, {mean.high:+.{digits}f}]"
