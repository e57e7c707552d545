"""`python -m benchmarks mend`: photographs with JPEG blocks, scratches or blur, before and after the stage `mend`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.options import AsJson
from benchmarks.output import print_result
from benchmarks.photo import LabelledPhoto, labelled_photos
from benchmarks.quality import pixel_psnr
from benchmarks.table import Goal, Table
from odekit.chains import document
from odekit.chains.chain import Chain
from odekit.cli.degrade import settings_yaml
from odekit.core.image import Image, Pixels
from odekit.errors import ConfigError
from odekit.images.io import read
from odekit.parts.corruptions.kinds import corrupt

KINDS = {
    "none": (0,),
    "jpeg": (1, 2, 3, 4),
    "scratches": (2, 3, 4),
    "gaussian_blur": (1, 2, 3, 4),
    "defocus_blur": (1, 2, 3),
}
"""Damage, and its severities in the table for 224 pixels."""
COLUMNS = {
    "kind": "damage", "severity": "severity", "photos": "photographs", "before": "before dB", "after": "after dB",
    "least_gain": "least gain", "most_gain": "most gain", "touched": "faces changed", "faces_before": "face before dB",
    "faces_after": "face after dB", "harmed": "others changed",
}  # fmt: skip


def command(
    folder: Annotated[Path, typer.Argument(help="Folder of photographs with a faces.json that lists their faces.")],
    kind: Annotated[
        list[str] | None,
        typer.Option(help="none, jpeg, scratches, gaussian_blur or defocus_blur, repeatable; default: all."),
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="An option of the stage: name=value.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many photographs.")] = None,
    each: Annotated[bool, typer.Option("--each", help="A row for every photograph.")] = False,
    as_json: AsJson = False,
) -> None:
    """PSNR of photographs with JPEG blocks, scratches and blur, whole and in their faces, before and after `mend`.

    Scratches are filled as in the chain `old-photo`. Undamaged photographs are included and must not change by a bit.
    Faces without damage are counted where the stage changed them.

    Example: python -m benchmarks mend photos/ --limit 2 --kind scratches
    """
    wrong = [one for one in kind or () if one not in KINDS]
    if wrong:
        raise ConfigError(f"--kind {wrong[0]}: choose of {', '.join(KINDS)}")
    options = {"scratches": "auto"} | document.parse_yaml(settings_yaml(settings or []) or "{}", "--set").data
    chain = Chain([{"mend": options}])
    photos = ((one, read(one.path)) for one in labelled_photos(folder)[:limit])
    chosen = {name: severities for name, severities in KINDS.items() if not kind or name in kind}
    rows = list(measure(lambda image: chain.run([image])[0].image, photos, chosen))
    lines: Sequence[Row | Total] = rows if each else totals(rows)
    columns = {"photo": "photograph", **COLUMNS} if each else COLUMNS
    columns = {key: name for key, name in columns.items() if all(hasattr(line, key) for line in lines)}
    how = f"odekit degrade's {', '.join(n for n in chosen if n != 'none') or 'no damage'}, table 224; PSNR"
    print_result(Table("mend", how, columns, [vars(line) for line in lines], goals_of(rows)), as_json)


@dataclass(frozen=True)
class Row:
    """One photograph with one damage."""

    photo: str
    kind: str
    severity: int
    before: float
    """PSNR of the whole photograph against the undamaged one in dB; infinite where they are equal."""
    after: float
    faces_before: float
    """Mean over the damaged faces in dB; NaN where there is none."""
    faces_after: float
    touched: int
    """Number of damaged faces."""
    harmed: int
    """Number of undamaged faces that the stage changed."""


def measure(
    stage: Callable[[Image], Image], photos: Iterable[tuple[LabelledPhoto, Image]], kinds: Mapping[str, Sequence[int]]
) -> Iterator[Row]:
    """Every photograph with every damage; the damage depends on the photograph's number, kind and severity."""
    for number, (photo, clean) in enumerate(photos):
        for kind, severities in kinds.items():
            for severity in severities:
                damaged = clean if kind == "none" else damage(clean, kind, severity, number)
                yield compare(photo, kind, severity, clean, damaged, stage(damaged))


def damage(clean: Image, kind: str, severity: int, seed: int) -> Image:
    """Damage as `odekit degrade --table 224` makes it."""
    rng = np.random.Generator(np.random.Philox(seed))
    return clean.with_pixels(Image.from_uint8(corrupt(clean.to_uint8(), kind, severity, rng, "224")).pixels)


def compare(photo: LabelledPhoto, kind: str, severity: int, clean: Image, before: Image, after: Image) -> Row:
    """The figures of one photograph, whole and in the listed boxes of its faces."""
    pairs = [
        (pixel_psnr(crop(before, box), crop(clean, box)), pixel_psnr(crop(after, box), crop(clean, box)))
        for box in (face.box for face in photo.faces if face.box)
    ]
    touched = [(b, a) for b, a in pairs if np.isfinite(b)]
    harmed = sum(bool(np.isfinite(a) and np.isinf(b)) for b, a in pairs)
    faces = np.mean(touched, axis=0) if touched else np.full(2, np.nan)
    first, second = (pixel_psnr(image.pixels, clean.pixels) for image in (before, after))
    return Row(photo.path.name, kind, severity, first, second, float(faces[0]), float(faces[1]), len(touched), harmed)


def crop(image: Image, box: tuple[int, ...]) -> Pixels:
    """The pixels in the part of a box that lies in the image."""
    x0, y0, x1, y1 = (max(0, v) for v in box)
    return image.pixels[:, y0:y1, x0:x1]


@dataclass(frozen=True)
class Total:
    """Means over the photographs with one damage."""

    kind: str
    severity: int
    photos: int
    before: float
    after: float
    least_gain: float
    most_gain: float
    faces_before: float
    faces_after: float
    """Over all damaged faces."""
    touched: int
    harmed: int


def totals(rows: Sequence[Row]) -> list[Total]:
    """One line for each damage and severity, in the order of the rows."""
    out = []
    for kind, severity in dict.fromkeys((row.kind, row.severity) for row in rows):
        group = [row for row in rows if (row.kind, row.severity) == (kind, severity)]
        gains = [0.0 if row.after == row.before else row.after - row.before for row in group]
        count = sum(row.touched for row in group)
        faces_before, faces_after = (
            sum(getattr(row, name) * row.touched for row in group if row.touched) / count if count else float("nan")
            for name in ("faces_before", "faces_after")
        )
        before, after = (float(np.mean([getattr(row, name) for row in group])) for name in ("before", "after"))
        harmed = sum(row.harmed for row in group)
        gain = (min(gains), max(gains))
        out.append(Total(kind, severity, len(group), before, after, *gain, faces_before, faces_after, count, harmed))
    return out


def goals_of(rows: Sequence[Row]) -> list[Goal]:
    """Goals on undamaged photographs and on photographs with blocks or blur, which hold for each photograph."""
    plain = [row.after for row in rows if row.kind == "none"]
    gains = [row.after - row.before for row in rows if row.kind == "jpeg"]
    sharper = [row.after - row.before for row in rows if row.kind in ("gaussian_blur", "defocus_blur")]
    goals = []
    if plain:
        changed = float(sum(value != float("inf") for value in plain))
        goals.append(Goal("undamaged photographs changed", changed, most=0))
    if gains:
        goals.append(Goal("least gain of a photograph with blocks", min(gains), least=0, unit="dB"))
    if sharper:
        goals.append(Goal("least gain of a blurred photograph", min(sharper), least=0, unit="dB"))
    return goals
