"""`python -m benchmarks enhancers`: other enhancers instead of the one of a chain, on the same inverted latents."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.damage import damage_in_turn
from benchmarks.options import AsJson, Faces, Keep, Plot, Seed, Side
from benchmarks.output import print_progress, print_result
from benchmarks.quality import damaged_row, describe_faces, quality_row
from benchmarks.table import Row, Table
from odekit.chains import document
from odekit.chains.chain import Chain
from odekit.chains.session import ChainTools
from odekit.core.image import Image
from odekit.core.options import Part, to_plain
from odekit.errors import ConfigError, InputError
from odekit.evaluation.bootstrap import Mean, difference
from odekit.evaluation.experiments.faces import Pictures, face_set
from odekit.training.calibration.restored_cases import decode_with_each, open_restore

DCT, ROCK = {"use": "preconditioned"}, {"use": "sk-rock"}
ENHANCERS: tuple[Mapping[str, Any], ...] = (
    DCT | {"power": 0.5, "rate": 0.015},
    DCT | {"power": 0.25},
    DCT | {"power": -0.25},
    ROCK | {"stages": 4, "rate": 0.4},
    ROCK | {"stages": 4, "rate": 4.0},
    ROCK | {"stages": 2, "rate": 0.4},
    {"use": "langevin", "levels": [0.06, 0.11, 0.17], "iterations": 2, "step": 2e-5},
)
"""They are compared with the enhancer of the chain (four updates of 0.1 sigma^2 at each of three levels).

The first three take as many calls. The next two are SK-ROCK with as many calls and the same or ten times the distance.
The last two cover the same distance in two calls a level.
"""
COLUMNS = {
    "arm": "enhancer",
    "calls": "calls",
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "swd": "SWD",
    "gain": "PSNR - baseline, dB (95 %)",
    "likeness": "SSIM - baseline (95 %)",
}


def command(
    chain: Annotated[str, typer.Option(help="The chain whose enhancer is replaced.")] = "odedit-fast",
    arm: Annotated[
        list[str] | None, typer.Option(help="An enhancer as a YAML mapping, repeatable; default: a set of seven.")
    ] = None,
    data: Faces = None,
    split: Annotated[str, typer.Option(help="val or test.")] = "test",
    side: Side = 64,
    limit: Annotated[int, typer.Option(min=2, help="Number of faces.")] = 16,
    keep: Keep = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    plot: Plot = None,
) -> None:
    """Other enhancers on the same inverted latents of damaged faces, each compared with the chain's enhancer.

    Example: python -m benchmarks enhancers --limit 8 --arm "{use: sk-rock, stages: 3}"
    """
    if split not in ("val", "test"):
        raise ConfigError(f"--split {split}: val or test")
    faces = face_set(data, side)
    clean = (faces.val if split == "val" else faces.test)[:limit]
    if len(clean) < 2:
        raise InputError(
            f"there are {len(clean)} {split} faces to measure on: use --data with a data set that has a split"
        )
    arms = ENHANCERS if not arm else [document.parse_value(one) for one in arm]
    print_result(enhancers(chain, clean, arms, seed=seed, keep=keep, progress=print_progress), as_json, plot)


def enhancers(
    chain: str,
    clean: Pictures,
    arms: Sequence[Mapping[str, Any]] = ENHANCERS,
    *,
    seed: int = 0,
    batch: int = 8,
    keep: Path | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Table:
    """Each enhancer on the same latents of damaged faces, with paired differences from the chain's enhancer.

    Args:
        chain: of aligned faces; prior, inverter, colour and the first enhancer are taken from it.
        clean: faces, uint8 (N, S, S, 3).
        arms: enhancers as a chain writes them; Langevin samplers act on levels of the chain's grid.
        seed: of damage and noise.
        batch: images at a time.
        keep: a folder for finished results; nothing in it is computed again.
        progress: called with a line of text after each batch.
    """
    damaged = damage_in_turn(clean, seed)
    session, stage = open_restore(chain, seed=seed, batch_size=batch)
    parts = {part.one_line(): part for part in (stage.options.enhancer, *(parse_enhancer(chain, arm) for arm in arms))}
    baseline = next(iter(parts))
    outputs: dict[str, list[Pictures]] = {name: [] for name in parts}
    for start in range(0, len(damaged), batch):
        file = None if keep is None else keep / f"{start}.npz"
        decoded = read_decoded(file)
        if missing := [name for name in parts if name not in decoded]:
            images = [stage.preprocess(Image.from_uint8(one))[0] for one in damaged[start : start + batch]]
            instances = {name: ChainTools(session).make(parts[name]) for name in missing}
            decoded |= decode_with_each(images, stage.inverter, stage.prior, instances, session.seed)[2]
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                np.savez_compressed(file, names=np.array(list(decoded)), pictures=np.stack(list(decoded.values())))
        for name, pictures in outputs.items():
            pictures.append(decoded[name])
        progress(f"{min(start + batch, len(damaged))} of {len(damaged)} pictures")
    levels = stage.inverter.levels
    rows: list[Row] = []
    for name, part in parts.items():
        calls = float(2 * len(levels) + part.options.calls(levels))
        row, psnr, ssim = quality_row(name, calls, np.concatenate(outputs[name]), clean)
        if name == baseline:
            own_psnr, own_ssim = psnr, ssim
        gain = interval_text(difference(psnr, own_psnr), 2)  # type: ignore[arg-type]
        likeness = interval_text(difference(ssim, own_ssim), 3)  # type: ignore[arg-type]
        rows.append(row | ({"gain": "", "likeness": ""} if name == baseline else {"gain": gain, "likeness": likeness}))
    rows.append(damaged_row(damaged, clean) | {"gain": "", "likeness": ""})
    return Table("enhancers", describe_faces(chain, clean), COLUMNS, rows, [], ("calls", ("psnr", "ssim")))


def read_decoded(file: Path | None) -> dict[str, Pictures]:
    """The decoded images in a file, by enhancer; none where there is no file."""
    if file is None or not file.is_file():
        return {}
    with np.load(file) as stored:
        return {str(name): one for name, one in zip(stored["names"], stored["pictures"], strict=True)}


def parse_enhancer(chain: str, arm: Mapping[str, Any]) -> Part:
    """An enhancer as a chain writes it, checked in the place of the chain's enhancer."""
    loaded = Chain.load(chain, [f"restore.enhancer={json.dumps(to_plain(arm))}"])
    loaded.plan()
    part: Part = loaded.spec.items[0].options.enhancer  # type: ignore[attr-defined]
    return part


def interval_text(mean: Mean, digits: int) -> str:
    """A mean with its interval."""
    return f"{mean.mean:+.{digits}f} [{mean.low:+.{digits}f}, {mean.high:+.{digits}f}]"
