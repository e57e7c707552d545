"""`odekit bench knobs`: fidelity, samples and a fast chain, measured on damaged faces."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import strength
from benchmarks.prior import damaged
from benchmarks.table import Goal, Row, Table
from odekit.chains.chain import Chain
from odekit.core.image import Image
from odekit.core.result import Result
from odekit.evaluation import bootstrap
from odekit.evaluation.bootstrap import difference
from odekit.evaluation.experiments.faces import Pictures
from odekit.training.calibration.treated import measure

FIDELITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
RATIO = 3.0
"""Least squared error in the decile of largest spread, over that in the decile of smallest."""
PART = 32
"""Pictures that are kept together."""
COLUMNS = {"arm": "setting", "calls": "calls", "psnr": "PSNR, dB", "ssim": "SSIM", "swd": "SWD"}
Array = NDArray[np.float64]


def restored(chain: str, settings: Sequence[str], hurt: Pictures, seed: int) -> list[Result]:
    """The damaged faces through a chain."""
    return Chain.load(chain, settings).run([Image.from_uint8(picture) for picture in hurt], seed=seed)


def calls_of(result: Result) -> float:
    """Network calls of one picture, by its record."""
    return float(sum(stage.get("calls", 0) for stage in result.record["stages"]))


def treated(
    chain: str, settings: Sequence[str], hurt: Pictures, seed: int, keep: Path | None
) -> tuple[Pictures, Array]:
    """The damaged faces through a chain, and the calls of each; what `keep` holds of them is not computed again."""
    tree = json.dumps([Chain.load(chain, settings).tree(), seed], sort_keys=True)
    parts = []
    for start in range(0, len(hurt), PART):
        some = hurt[start : start + PART]
        mark = hashlib.sha256(tree.encode() + some.tobytes()).hexdigest()[:24]
        file = None if keep is None else keep / f"{mark}.npz"
        if file is not None and file.is_file():
            with np.load(file) as stored:
                parts.append((stored["pictures"], stored["calls"]))
            continue
        results = restored(chain, settings, some, seed)
        made = np.stack([result.image.to_uint8() for result in results]), np.array([calls_of(r) for r in results])
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(file, pictures=made[0], calls=made[1])
        parts.append(made)
    pictures, calls = zip(*parts, strict=True)
    return np.concatenate(pictures), np.concatenate(calls)


def arm(name: str, made: tuple[Pictures, Array], clean: Pictures) -> tuple[Row, Pictures, Array]:
    """(row, pictures, PSNR of each) of one setting."""
    pictures, calls = made
    psnr, ssim = measure(pictures, clean)
    figures = {"psnr": float(psnr.mean()), "ssim": float(ssim.mean()), "swd": strength.distance(pictures, clean)}
    return {"arm": name, "calls": float(calls.mean()), **figures}, pictures, psnr


def fidelity(chain: str, clean: Pictures, seed: int = 0, keep: Path | None = None) -> Table:
    """Means over the knob. PSNR and SWD must fall from each setting to the next, at the 95 % end of the bootstrap."""
    hurt = damaged(clean, seed)
    arms = [arm(f"{f:g}", treated(chain, [f"restore.fidelity={f}"], hurt, seed, keep), clean) for f in FIDELITIES]
    goals = []
    for (low, made, psnr), (high, other, less) in itertools.pairwise(arms):
        step = f"{low['arm']} to {high['arm']}"
        goals.append(Goal(f"{step}: PSNR, upper end of the change", difference(less, psnr).high, most=0, unit="dB"))  # type: ignore[arg-type]
        ratio = bootstrap.worse_swd(other, made, clean)
        goals.append(Goal(f"{step}: SWD, upper end of the ratio", ratio, most=1))
    return Table("fidelity", said(chain, clean), COLUMNS, [row for row, _, _ in arms], goals, ("arm", ("psnr", "swd")))


def fast(chain: str, against: str, clean: Pictures, seed: int = 0, keep: Path | None = None) -> Table:
    """Two chains on the same faces; the first must be no worse, in at most 150 calls."""
    hurt = damaged(clean, seed)
    ours, theirs = (arm(name, treated(name, [], hurt, seed, keep), clean) for name in (chain, against))
    psnr, ssim = measure(ours[1], clean), measure(theirs[1], clean)
    margins = strength.MARGINS
    change, likeness = (difference(a, b) for a, b in zip(psnr, ssim, strict=True))  # type: ignore[arg-type]
    goals = [
        Goal("calls", ours[0]["calls"], most=150),
        Goal("PSNR, lower end of the difference", change.low, least=-margins["psnr"], unit="dB"),
        Goal("SSIM, lower end of the difference", likeness.low, least=-margins["ssim"]),
        Goal("SWD, upper end of the ratio", bootstrap.worse_swd(ours[1], theirs[1], clean), most=1 + margins["swd"]),
    ]
    rows = [ours[0], theirs[0], arm_of_input(hurt, clean)]
    return Table("fast", said(f"{chain} and {against}", clean), COLUMNS, rows, goals, ("calls", ("psnr", "swd")))


def samples(chain: str, clean: Pictures, seed: int = 0, count: int = 4) -> Table:
    """Squared error by decile of the spread map, over the pixels of all faces."""
    hurt = damaged(clean, seed)
    results = restored(chain, [f"restore.samples={count}"], hurt, seed)
    spread = np.stack([dict(result.extras)["spread"].pixels[0] for result in results]).astype(np.float64)
    made = np.stack([result.image.pixels for result in results]).astype(np.float64)
    error = ((made - clean.transpose(0, 3, 1, 2) / 255) ** 2).mean(1)
    return by_decile(spread, error, f"{said(chain, clean)}; {count} samples, error of the first")


def by_decile(spread: Array, error: Array, how: str) -> Table:
    """The table of deciles of `spread` (any shape) with the mean of `error` (the same shape)."""
    order = np.argsort(spread, axis=None, kind="stable")
    parts = np.array_split(order, 10)
    rows = [
        {"decile": i + 1, "spread": float(spread.flat[part].mean()), "error": float(error.flat[part].mean())}
        for i, part in enumerate(parts)
    ]
    columns = {"decile": "decile of the spread", "spread": "mean of the map", "error": "mean squared error"}
    ratio = rows[-1]["error"] / max(rows[0]["error"], 1e-12)
    goals = [Goal("error of the last decile over the first", ratio, least=RATIO)]
    return Table("samples", how, columns, rows, goals, ("decile", ("spread", "error")))


def arm_of_input(hurt: Pictures, clean: Pictures) -> Row:
    """The damaged faces as they are."""
    psnr, ssim = measure(hurt, clean)
    figures = {"psnr": float(psnr.mean()), "ssim": float(ssim.mean()), "swd": strength.distance(hurt, clean)}
    return {"arm": "damaged", "calls": 0.0, **figures}


def said(chain: str, clean: Pictures) -> str:
    """What was measured on, in a line."""
    return f"chain {chain}; {len(clean)} faces, each with one of 20 kinds of damage at severity 4"
