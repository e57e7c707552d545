"""`python -m benchmarks blur`: the option `blur: undo` on faces with known damage. No network is called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
import typer

from benchmarks.colour import LOSS
from benchmarks.options import AsJson, Faces, Kinds, Plot, Seed
from benchmarks.output import print_result
from benchmarks.quality import PSNR_CAP, capped_psnr
from benchmarks.table import Goal, Row, Table
from odekit.core.image import Image
from odekit.evaluation.degrade.recipe import damage
from odekit.evaluation.experiments.faces import Pictures, face_set
from odekit.parts.corruptions.kinds import KINDS
from odekit.parts.repair.deblur import deblur_face
from odekit.training.calibration.colour import SEVERITY

BLUR_KINDS = ("gaussian_blur", "defocus_blur")
"""The kinds that are undone, measured at every severity; all others are measured at one."""
GAIN = 2.0
"""The least gain on Gaussian blur in dB, from severity 2 on; severity 1 is too weak to detect."""
COLUMNS = {
    "damage": "damage",
    "damaged": "damaged, dB",
    "undone": "undone, dB",
    "gain": "gain, dB",
    "worst": "worst face, dB",
    "touched": "changed",
}


def command(
    data: Faces = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of faces.")] = 128,
    kind: Kinds = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    plot: Plot = None,
) -> None:
    """The option blur: undo on every kind of damage. No network is called.

    Example: python -m benchmarks blur --limit 4 --kind gaussian_blur --kind jpeg
    """
    print_result(evaluate(face_set(data, 64).test_or_val[:limit], kind or KINDS, seed), as_json, plot)


def severities(kinds: Sequence[str]) -> Iterator[tuple[str, int]]:
    """(kind, severity) of each row; `clean` with severity 0 first."""
    yield "clean", 0
    for kind in kinds:
        for severity in range(1, 6) if kind in BLUR_KINDS else (SEVERITY,):
            yield kind, severity


def evaluate(faces: Pictures, kinds: Sequence[str], seed: int = 0) -> Table:
    """PSNR before and after (at most 40 dB), and the share of faces that were changed.

    Args:
        faces: clean, uint8 (N, 64, 64, 3).
        kinds: of damage.
        seed: of the damage.
    """
    rows: list[Row] = []
    goals: list[Goal] = []
    for kind, severity in severities(kinds):
        before, after, changed = [], [], 0
        for face in faces:
            clean = Image.from_uint8(face)
            damaged = damage(clean, kind, seed, severity) if severity else clean
            sharp, report = deblur_face(damaged)
            changed += bool(report)
            before.append(capped_psnr(damaged.pixels, clean.pixels))
            after.append(capped_psnr(sharp.pixels, clean.pixels))
        gains, name = np.subtract(after, before), f"{kind} {severity}" if severity else kind
        figures = {"damaged": float(np.mean(before)), "undone": float(np.mean(after)), "gain": float(gains.mean())}
        rows.append({"damage": name, **figures, "worst": float(gains.min()), "touched": changed / len(faces)})
        least = GAIN if kind == "gaussian_blur" and severity > 1 else -LOSS
        goals.append(Goal(f"{name}: gain", figures["gain"], least=least, unit="dB"))
    how = f"{len(faces)} faces, blur undone and nothing else; PSNR up to {PSNR_CAP:g} dB"
    return Table("blur", how, COLUMNS, rows, goals, ("damage", ("damaged", "undone")))
