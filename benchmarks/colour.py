"""`odekit bench colour`: the option `colour` calibrated on train faces, and judged on test faces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.table import Goal, Row, Table
from odekit.chains.chain import Chain
from odekit.chains.session import Session
from odekit.core.image import Image
from odekit.core.result import Result
from odekit.evaluation.degrade.recipe import damage
from odekit.evaluation.experiments.faces import Pictures
from odekit.parts.repair.colour import ColourCorrection
from odekit.training.calibration.colour import COLOUR_KINDS, SEVERITY

CEILING = 40.0
GAIN, LOSS = 3.0, 0.2
"""dB that colour damage must gain, and that nothing else may lose."""
COLUMNS = {"kind": "kind", "damaged": "damaged, dB", "undone": "undone, dB", "gain": "gain, dB", "touched": "touched"}


def judge(faces: Pictures, balance: ColourCorrection, kinds: Sequence[str], seed: int = 0) -> Table:
    """Every face with every kind at severity 4, and undamaged: PSNR before and after (at most 40 dB)."""
    rows: list[Row] = []
    for kind in ("clean", *kinds):
        before, after, touched = [], [], 0
        for face in faces:
            clean = Image.from_uint8(face)
            hurt = clean if kind == "clean" else damage(clean, kind, seed, SEVERITY)
            mended, told = balance.undo(hurt)
            touched += told["damaged"]
            before.append(psnr(hurt, clean))
            after.append(psnr(mended, clean))
        was, now = float(np.mean(before)), float(np.mean(after))
        rows.append({"kind": kind, "damaged": was, "undone": now, "gain": now - was, "touched": touched / len(faces)})
    how = f"{len(faces)} faces, severity {SEVERITY}, colours undone and nothing else; PSNR up to {CEILING:g} dB"
    return Table("colour", how, COLUMNS, rows, goals_of(rows), ("kind", ("damaged", "undone")))


def through(chain: str, faces: Pictures, kinds: Sequence[str], seed: int = 0) -> Table:
    """Every face with every kind at severity 4, and undamaged, through a chain without the option and with it."""
    kept, undone = (Chain.load(chain, [f"restore.colour={said}"]).open(seed=seed) for said in ("keep", "undo"))
    clean = [Image.from_uint8(face) for face in faces]
    rows: list[Row] = []
    for kind in ("clean", *kinds):
        hurt = [one if kind == "clean" else damage(one, kind, seed, SEVERITY) for one in clean]
        before, after = (restored(session, hurt) for session in (kept, undone))
        touched = [bool(noted(result).get("damaged")) for result in after]
        was, now = (
            float(np.mean([psnr(result.image, one) for result, one in zip(some, clean, strict=True)]))
            for some in (before, after)
        )
        rows.append(
            {"kind": kind, "damaged": was, "undone": now, "gain": now - was, "touched": float(np.mean(touched))}
        )
    how = f"{len(faces)} faces, severity {SEVERITY}, through {chain} without the option and with it"
    columns = COLUMNS | {"damaged": "colours kept, dB", "undone": "colours undone, dB"}
    how += f"; PSNR up to {CEILING:g} dB"
    return Table("colour", how, columns, rows, goals_of(rows), ("kind", ("damaged", "undone")))


def restored(session: Session, pictures: Sequence[Image]) -> list[Result]:
    """Pictures through an open chain."""
    size = session.window
    return [result for i in range(0, len(pictures), size) for result in session.run(pictures[i : i + size])]


def noted(result: Result) -> Mapping[str, object]:
    """What the record says of the colours."""
    found: Mapping[str, object] = result.record["stages"][0].get("colour", {})
    return found


def goals_of(rows: Sequence[Row]) -> list[Goal]:
    """Damaged colours gain, and nothing else loses."""
    return [
        Goal(f"{row['kind']}: gain", row["gain"], least=GAIN if row["kind"] in COLOUR_KINDS else -LOSS, unit="dB")
        for row in rows
    ]


def psnr(a: Image, b: Image) -> float:
    """dB, at most `CEILING`."""
    error = float(np.mean((a.pixels.astype(np.float64) - b.pixels) ** 2))
    return CEILING if error == 0 else min(CEILING, -10 * math.log10(error))
