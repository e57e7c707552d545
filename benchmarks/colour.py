"""`python -m benchmarks colour`: the option `colour: undo` on faces with known damage, alone or inside a chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.options import AsJson, Faces, Kinds, Plot, Seed
from benchmarks.output import print_result
from benchmarks.quality import PSNR_CAP, capped_psnr
from benchmarks.table import Goal, Row, Table
from odekit.chains.chain import Chain
from odekit.core.image import Image
from odekit.core.result import Result
from odekit.errors import ConfigError
from odekit.evaluation.degrade.recipe import damage
from odekit.evaluation.experiments.faces import Pictures, face_set
from odekit.parts.corruptions.kinds import KINDS
from odekit.parts.repair.colour import ColourCorrection, load_colour_correction
from odekit.training.calibration.colour import COLOUR_KINDS, SEVERITY

GAIN, LOSS = 3.0, 0.2
"""dB: the least gain on colour damage, and the largest loss on anything else."""
COLUMNS = {"kind": "kind", "damaged": "damaged, dB", "undone": "undone, dB", "gain": "gain, dB", "touched": "changed"}


def command(
    data: Faces = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of faces.")] = 128,
    estimates: Annotated[Path | None, typer.Option(help="Estimates to evaluate; default: the built-in ones.")] = None,
    kind: Kinds = None,
    chain: Annotated[str | None, typer.Option(help="A chain that is run with the option and without.")] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    plot: Plot = None,
) -> None:
    """The option colour: undo on every kind of damage. Without --chain no network is called.

    Examples: python -m benchmarks colour --limit 4 --kind brightness --kind jpeg

    python -m benchmarks colour --chain odedit-auto --limit 8 --kind fog
    """
    if chain is not None and estimates is not None:
        raise ConfigError("--chain uses the built-in estimates; leave --estimates out")
    faces = face_set(data, 64).test_or_val[:limit]
    if chain is None:
        table = evaluate(faces, load_colour_correction(estimates), kind or KINDS, seed)
    else:
        table = evaluate_in_chain(chain, faces, kind or KINDS, seed)
    print_result(table, as_json, plot)


def evaluate(faces: Pictures, correction: ColourCorrection, kinds: Sequence[str], seed: int = 0) -> Table:
    """Each face with each kind at severity 4, and undamaged: PSNR before and after (at most 40 dB)."""
    clean = [Image.from_uint8(face) for face in faces]
    rows: list[Row] = []
    for kind in ("clean", *kinds):
        damaged = damaged_faces(clean, kind, seed)
        corrected, reports = zip(*(correction.correct(one) for one in damaged), strict=True)
        changed = [report["damaged"] for report in reports]
        rows.append(gain_row(kind, clean, damaged, corrected, changed))
    how = f"{len(faces)} faces, severity {SEVERITY}, colours undone and nothing else; PSNR up to {PSNR_CAP:g} dB"
    return Table("colour", how, COLUMNS, rows, goals_of(rows), ("kind", ("damaged", "undone")))


def evaluate_in_chain(chain: str, faces: Pictures, kinds: Sequence[str], seed: int = 0) -> Table:
    """Each face with each kind at severity 4, and undamaged, through a chain without the option and with it."""
    clean = [Image.from_uint8(face) for face in faces]
    sessions = [Chain.load(chain, [f"restore.colour={value}"]).open(seed=seed) for value in ("keep", "undo")]
    rows: list[Row] = []
    for kind in ("clean", *kinds):
        damaged = damaged_faces(clean, kind, seed)
        without, with_option = (
            [
                result
                for i in range(0, len(damaged), session.window)
                for result in session.run(damaged[i:][: session.window])
            ]
            for session in sessions
        )
        changed = [bool(colour_note(result).get("damaged")) for result in with_option]
        rows.append(gain_row(kind, clean, [one.image for one in without], [one.image for one in with_option], changed))
    how = f"{len(faces)} faces, severity {SEVERITY}, through {chain} without the option and with it"
    columns = COLUMNS | {"damaged": "colours kept, dB", "undone": "colours undone, dB"}
    how += f"; PSNR up to {PSNR_CAP:g} dB"
    return Table("colour", how, columns, rows, goals_of(rows), ("kind", ("damaged", "undone")))


def damaged_faces(clean: Sequence[Image], kind: str, seed: int) -> list[Image]:
    """Faces with one kind of damage at severity 4; unchanged for the kind `clean`."""
    return [one if kind == "clean" else damage(one, kind, seed, SEVERITY) for one in clean]


def gain_row(
    kind: str, clean: Sequence[Image], before: Sequence[Image], after: Sequence[Image], changed: Sequence[bool]
) -> Row:
    """Mean PSNR before and after, and the share of images that were changed."""
    damaged, undone = (
        float(np.mean([capped_psnr(a.pixels, b.pixels) for a, b in zip(images, clean, strict=True)]))
        for images in (before, after)
    )
    shares = {"gain": undone - damaged, "touched": float(np.mean(changed))}
    return {"kind": kind, "damaged": damaged, "undone": undone, **shares}


def colour_note(result: Result) -> Mapping[str, object]:
    """The entry of a record on colours."""
    note: Mapping[str, object] = result.record["stages"][0].get("colour", {})
    return note


def goals_of(rows: Sequence[Row]) -> list[Goal]:
    """Damaged colours gain, and nothing else loses."""
    return [
        Goal(f"{row['kind']}: gain", row["gain"], least=GAIN if row["kind"] in COLOUR_KINDS else -LOSS, unit="dB")
        for row in rows
    ]
