"""`odekit bench mend`: photographs with blocks, scratches and blur, before and after the stage `mend`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.mend import Row, Total
    from benchmarks.table import Goal

COLUMNS = {
    "kind": "damage", "severity": "severity", "photos": "photographs", "before": "before dB", "after": "after dB",
    "least_gain": "least gain", "most_gain": "most gain", "touched": "faces touched", "faces_before": "they before dB",
    "faces_after": "after dB", "harmed": "others changed",
}  # fmt: skip


def mend(
    folder: Annotated[Path, typer.Argument(help="Folder of photographs with a faces.json of the faces in them.")],
    kind: Annotated[
        list[str] | None, typer.Option(help="none, jpeg, scratches, gaussian_blur or defocus_blur; all without it.")
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="An option of the stage: name=value.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many photographs.")] = None,
    each: Annotated[bool, typer.Option("--each", help="A line for every photograph.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """PSNR of photographs with JPEG blocks, scratches and blur, whole and in their faces, before and after `mend`.

    Undamaged photographs pass too: not a bit of them may change. Faces that no damage touched are counted where the
    stage changed them.

    Example: odekit bench mend photos/ --limit 2 --kind scratches
    """
    from benchmarks import mend as bench
    from benchmarks import photo
    from benchmarks.commands.solvers import show
    from benchmarks.table import Table
    from odekit.chains import document
    from odekit.chains.chain import Chain
    from odekit.cli.degrade import options_text
    from odekit.errors import ConfigError
    from odekit.images.io import read

    wrong = [one for one in kind or () if one not in bench.KINDS]
    if wrong:
        raise ConfigError(f"--kind {wrong[0]}: choose of {', '.join(bench.KINDS)}")
    options = document.parse(options_text(settings or []) or "{}", "--set").data
    chain = Chain([{"mend": options}])
    photos = ((one, read(one.path)) for one in photo.known(folder)[:limit])
    chosen = {name: severities for name, severities in bench.KINDS.items() if not kind or name in kind}
    rows = list(bench.measure(lambda image: chain.run([image])[0].image, photos, chosen))
    sums = bench.totals(rows)
    lines: Sequence[Row | Total] = rows if each else sums
    columns = {"photo": "photograph", **COLUMNS} if each else COLUMNS
    told = [{key: getattr(line, key) for key in columns if hasattr(line, key)} for line in lines]
    columns = {key: name for key, name in columns.items() if all(key in line for line in told)}
    how = f"odekit degrade's {', '.join(n for n in chosen if n != 'none') or 'no damage'}, table 224; PSNR"
    show(Table("mend", how, columns, told, goals(rows)), as_json, None)


def goals(rows: Sequence[Row]) -> list[Goal]:
    """What is measured of undamaged photographs, and of blocks, must hold for each."""
    from benchmarks.table import Goal

    plain = [row.after for row in rows if row.kind == "none"]
    gains = [row.after - row.before for row in rows if row.kind == "jpeg"]
    sharper = [row.after - row.before for row in rows if row.kind in ("gaussian_blur", "defocus_blur")]
    found = []
    if plain:
        changed = float(sum(value != float("inf") for value in plain))
        found.append(Goal("undamaged photographs changed", changed, most=0))
    if gains:
        found.append(Goal("least gain of a photograph with blocks", min(gains), least=0, unit="dB"))
    if sharper:
        found.append(Goal("least gain of a blurred photograph", min(sharper), least=0, unit="dB"))
    return found
