"""`odekit bench blur`: `blur: undo` of aligned faces, judged on faces of known damage. No network is called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.colour import CEILING, LOSS, psnr
from benchmarks.table import Goal, Row, Table
from odekit.core.image import Image
from odekit.evaluation.degrade.recipe import damage
from odekit.evaluation.experiments.faces import Pictures
from odekit.parts.repair.deblur import undone
from odekit.training.calibration.colour import SEVERITY

EVEN = ("gaussian_blur", "defocus_blur")
"""Blur of the kinds that are undone; at every severity, where all others are looked at at one."""
GAIN = 2.0
"""dB that a Gaussian's blur must gain from severity 2 on; severity 1 is less than can be told."""
COLUMNS = {
    "damage": "damage",
    "damaged": "damaged, dB",
    "undone": "undone, dB",
    "gain": "gain, dB",
    "worst": "worst face, dB",
    "touched": "touched",
}


def damages(kinds: Sequence[str]) -> Iterator[tuple[str, int]]:
    """(kind, severity); `clean` with severity 0 first."""
    yield "clean", 0
    for kind in kinds:
        for severity in range(1, 6) if kind in EVEN else (SEVERITY,):
            yield kind, severity


def judge(faces: Pictures, kinds: Sequence[str], seed: int = 0) -> Table:
    """PSNR before and after (at most 40 dB), and how many faces were taken for blurred.

    Args:
        faces: clean, uint8 (N, 64, 64, 3).
        kinds: of damage.
        seed: of the damage.
    """
    rows: list[Row] = []
    goals: list[Goal] = []
    for kind, severity in damages(kinds):
        before, after, touched = [], [], 0
        for face in faces:
            clean = Image.from_uint8(face)
            hurt = damage(clean, kind, seed, severity) if severity else clean
            mended, told = undone(hurt)
            touched += bool(told)
            before.append(psnr(hurt, clean))
            after.append(psnr(mended, clean))
        gains, name = np.subtract(after, before), f"{kind} {severity}" if severity else kind
        figures = {"damaged": float(np.mean(before)), "undone": float(np.mean(after)), "gain": float(gains.mean())}
        rows.append({"damage": name, **figures, "worst": float(gains.min()), "touched": touched / len(faces)})
        least = GAIN if kind == "gaussian_blur" and severity > 1 else -LOSS
        goals.append(Goal(f"{name}: gain", figures["gain"], least=least, unit="dB"))
    how = f"{len(faces)} faces, blur undone and nothing else; PSNR up to {CEILING:g} dB"
    return Table("blur", how, COLUMNS, rows, goals, ("damage", ("damaged", "undone")))
