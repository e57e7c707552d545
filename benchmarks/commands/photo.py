"""`odekit bench photo`: faces found and missed in whole photographs, and how invisible a paste is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.photo import Known, Looked
    from benchmarks.table import Goal, Row
    from odekit.core.image import Image
    from odekit.core.interfaces import FaceDetector

COLUMNS = {
    "photo": "photograph", "megapixels": "Mpx", "faces": "faces", "missed": "missed",
    "missed_small": "small missed", "false": "false", "seam": "seam", "shift": "shift px", "seconds": "s",
}  # fmt: skip


def photo(
    folder: Annotated[Path, typer.Argument(help="Folder of photographs with a faces.json of the faces in them.")],
    part: Annotated[str, typer.Option("--detector", help="A detector by name, or as a YAML mapping.")] = "builtin",
    chain: Annotated[
        str | None, typer.Option(help="Also restore the photographs with this chain (slow): PSNR.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many photographs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Recall, false boxes, points, seams, seconds and memory on photographs whose faces are known.

    With --chain also how near the restored photographs are to the given ones: of undamaged ones, nothing may be lost.

    Example: odekit bench photo photos/ --limit 2
    """
    from benchmarks import photo as bench
    from benchmarks.commands.solvers import show
    from benchmarks.table import Table
    from odekit.chains.chain import Chain
    from odekit.images.io import read
    from odekit.parts.metrics.psnr import PsnrMetric

    detector = detector_of(part)
    restoring = Chain.load(chain) if chain else None
    looked, rows = [], []
    for one in bench.known(folder)[:limit]:
        picture = read(one.path)
        found = bench.look(detector, one, picture)
        looked.append(found)
        row = row_of(one, picture, found)
        if restoring is not None:
            row["psnr"] = PsnrMetric().measure(restoring.run([picture])[0].image, picture)
        rows.append(row)
    total = bench.summary(looked)
    columns = COLUMNS | ({} if restoring is None else {"psnr": "PSNR dB"})
    show(Table("photo", how_of(part, total), columns, rows, goals_of(total)), as_json, None)


def detector_of(part: str) -> FaceDetector:
    """A detector by name, or by a YAML mapping with its options, on the processor."""
    from odekit.chains import document as yamldoc
    from odekit.chains.resolve import Resolver
    from odekit.chains.tools import Toolbox
    from odekit.parts.installed import catalog

    document = yamldoc.parse(part, "--detector")
    made: FaceDetector = Toolbox(catalog(), "cpu", "float32").make(
        Resolver(catalog(), document).part("detector", document.data, ())
    )
    return made


def row_of(one: Known, picture: Image, found: Looked) -> Row:
    """What was found in a photograph."""
    return {
        "photo": one.path.name,
        "megapixels": picture.width * picture.height / 1e6,
        "faces": len(one.faces),
        "missed": sum(not t.small and not t.hard for t in found.missed),
        "missed_small": sum(t.small for t in found.missed),
        "false": len(found.false) if one.complete else None,
        "seam": found.seam,
        "shift": found.shift,
        "seconds": found.seconds,
    }


def goals_of(total: Mapping[str, Any]) -> list[Goal]:
    """What all photographs together should reach."""
    from benchmarks.table import Goal

    return [
        Goal("recall of faces neither small nor hard", 100 * total["recall"], least=100, unit="%"),
        Goal("false boxes in complete photographs", float(total["false"]), most=2),
        Goal("seam: gradient across the mask's border, change", 100 * total["seam"], most=10, unit="%"),
        Goal("shift of a pasted face", total["shift"], most=0.25, unit="px"),
    ]


def how_of(part: str, total: Mapping[str, Any]) -> str:
    """Detector, missed and small faces, points, time and memory in a line."""
    missed = ", ".join(total["missed"]) or "none"
    return (
        f"detector {part}; {total['faces']} faces, missed: {missed}; {total['small']} small ones, "
        f"recall {100 * total['recall_small']:.0f} %; "
        f"median error of the points {100 * total['error']:.1f} % of the crop's side; "
        f"{total['seconds']:.1f} s a photograph; peak memory {total['peak_gb']:.2f} GB"
    )
