"""`python -m benchmarks knobs`: the options fidelity and samples, and a fast chain, on damaged faces."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.damage import damage_in_turn
from benchmarks.options import AsJson, Faces, Keep, Plot, Seed, Side
from benchmarks.output import print_result
from benchmarks.quality import COLUMNS, MARGINS, damaged_row, describe_faces, quality_row
from benchmarks.table import Goal, Table
from odekit.chains.chain import Chain
from odekit.core.image import Image
from odekit.core.result import Result
from odekit.evaluation import bootstrap
from odekit.evaluation.bootstrap import difference
from odekit.evaluation.experiments.faces import Pictures, face_set

FIDELITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
RATIO = 3.0
"""The least ratio of squared errors between the deciles of largest and smallest spread."""
CHUNK = 32
"""Images in one file of the folder of finished results."""
Array = NDArray[np.float64]


class What(str, Enum):
    """The subject of the measurement."""

    fidelity = "fidelity"
    samples = "samples"
    fast = "fast"


def command(
    what: Annotated[What, typer.Argument(help="fidelity, samples or fast.")],
    chain: Annotated[str, typer.Option(help="The chain to measure.")] = "odedit-fast",
    against: Annotated[str, typer.Option(help="For fast: the chain to compare with.")] = "odedit",
    data: Faces = None,
    side: Side = 64,
    limit: Annotated[int, typer.Option(min=1, help="Number of faces.")] = 40,
    keep: Keep = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    plot: Plot = None,
) -> None:
    """Whether fidelity is monotone, the spread of samples predicts errors, and a fast chain is as good as a slow one.

    Example: python -m benchmarks knobs fidelity --limit 8
    """
    clean = face_set(data, side).test_or_val[:limit]
    if what is What.fast:
        table = fast(chain, against, clean, seed, keep)
    elif what is What.fidelity:
        table = fidelity(chain, clean, seed, keep)
    else:
        table = samples(chain, clean, seed)
    print_result(table, as_json, plot)


def restore(chain: str, settings: Sequence[str], damaged: Pictures, seed: int) -> list[Result]:
    """The damaged faces restored by a chain."""
    return Chain.load(chain, settings).run([Image.from_uint8(picture) for picture in damaged], seed=seed)


def calls_of(result: Result) -> float:
    """Network calls of one image, from its record."""
    return float(sum(stage.get("calls", 0) for stage in result.record["stages"]))


def restore_or_load(
    chain: str, settings: Sequence[str], damaged: Pictures, seed: int, keep: Path | None
) -> tuple[Pictures, Array]:
    """The damaged faces restored by a chain, and the calls of each; finished results are read from `keep`."""
    tree = json.dumps([Chain.load(chain, settings).tree(), seed], sort_keys=True)
    chunks = []
    for start in range(0, len(damaged), CHUNK):
        inputs = damaged[start : start + CHUNK]
        digest = hashlib.sha256(tree.encode() + inputs.tobytes()).hexdigest()[:24]
        file = None if keep is None else keep / f"{digest}.npz"
        if file is not None and file.is_file():
            with np.load(file) as stored:
                chunks.append((stored["pictures"], stored["calls"]))
            continue
        results = restore(chain, settings, inputs, seed)
        pictures = np.stack([result.image.to_uint8() for result in results])
        calls = np.array([calls_of(result) for result in results])
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(file, pictures=pictures, calls=calls)
        chunks.append((pictures, calls))
    every, counts = zip(*chunks, strict=True)
    return np.concatenate(every), np.concatenate(counts)


def fidelity(chain: str, clean: Pictures, seed: int = 0, keep: Path | None = None) -> Table:
    """Means for each fidelity. PSNR and SWD must fall from each to the next, at the 95 % end of the bootstrap."""
    damaged = damage_in_turn(clean, seed)
    rows, pictures, psnrs = [], [], []
    for value in FIDELITIES:
        restored, calls = restore_or_load(chain, [f"restore.fidelity={value}"], damaged, seed, keep)
        row, psnr, _ = quality_row(f"{value:g}", float(calls.mean()), restored, clean)
        rows.append(row)
        pictures.append(restored)
        psnrs.append(psnr)
    goals = []
    for a, b in itertools.pairwise(range(len(rows))):
        step = f"{rows[a]['arm']} to {rows[b]['arm']}"
        change = difference(psnrs[b], psnrs[a])  # type: ignore[arg-type]
        goals.append(Goal(f"{step}: PSNR, upper end of the change", change.high, most=0, unit="dB"))
        ratio = bootstrap.swd_ratio_upper_bound(pictures[b], pictures[a], clean)
        goals.append(Goal(f"{step}: SWD, upper end of the ratio", ratio, most=1))
    return Table("fidelity", describe_faces(chain, clean), COLUMNS, rows, goals, ("arm", ("psnr", "swd")))


def fast(chain: str, against: str, clean: Pictures, seed: int = 0, keep: Path | None = None) -> Table:
    """Two chains on the same faces; the first must be no worse, in at most 150 calls."""
    damaged = damage_in_turn(clean, seed)
    ours, our_calls = restore_or_load(chain, [], damaged, seed, keep)
    theirs, their_calls = restore_or_load(against, [], damaged, seed, keep)
    our_row, our_psnr, our_ssim = quality_row(chain, float(our_calls.mean()), ours, clean)
    their_row, their_psnr, their_ssim = quality_row(against, float(their_calls.mean()), theirs, clean)
    psnr, ssim = difference(our_psnr, their_psnr), difference(our_ssim, their_ssim)  # type: ignore[arg-type]
    ratio = bootstrap.swd_ratio_upper_bound(ours, theirs, clean)
    goals = [
        Goal("calls", our_row["calls"], most=150),
        Goal("PSNR, lower end of the difference", psnr.low, least=-MARGINS["psnr"], unit="dB"),
        Goal("SSIM, lower end of the difference", ssim.low, least=-MARGINS["ssim"]),
        Goal("SWD, upper end of the ratio", ratio, most=1 + MARGINS["swd"]),
    ]
    rows = [our_row, their_row, damaged_row(damaged, clean)]
    how = describe_faces(f"{chain} and {against}", clean)
    return Table("fast", how, COLUMNS, rows, goals, ("calls", ("psnr", "swd")))


def samples(chain: str, clean: Pictures, seed: int = 0, count: int = 4) -> Table:
    """Squared error by decile of the spread map, over the pixels of all faces."""
    results = restore(chain, [f"restore.samples={count}"], damage_in_turn(clean, seed), seed)
    spread = np.stack([dict(result.extras)["spread"].pixels[0] for result in results]).astype(np.float64)
    restored = np.stack([result.image.pixels for result in results]).astype(np.float64)
    error = ((restored - clean.transpose(0, 3, 1, 2) / 255) ** 2).mean(1)
    return by_decile(spread, error, f"{describe_faces(chain, clean)}; {count} samples, error of the first")


def by_decile(spread: Array, error: Array, how: str) -> Table:
    """The mean of `error` in each decile of `spread`; both have the same shape."""
    order = np.argsort(spread, axis=None, kind="stable")
    rows = [
        {"decile": i + 1, "spread": float(spread.flat[part].mean()), "error": float(error.flat[part].mean())}
        for i, part in enumerate(np.array_split(order, 10))
    ]
    columns = {"decile": "decile of the spread", "spread": "mean of the map", "error": "mean squared error"}
    ratio = rows[-1]["error"] / max(rows[0]["error"], 1e-12)
    goals = [Goal("error of the last decile over the first", ratio, least=RATIO)]
    return Table("samples", how, columns, rows, goals, ("decile", ("spread", "error")))
