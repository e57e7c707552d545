"""`python -m benchmarks cracks`: how much of drawn or painted cracks `mend` finds, and what it changes without any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.drawn_cracks import SEVERITIES, draw_cracks
from benchmarks.options import AsJson
from benchmarks.output import print_result
from benchmarks.quality import pixel_psnr
from benchmarks.table import Goal, Table
from odekit.chains import document
from odekit.chains.chain import Chain
from odekit.cli.degrade import settings_yaml
from odekit.core.image import Image
from odekit.errors import InputError
from odekit.images import io
from odekit.images.colour import luma
from odekit.parts.repair.mend import dilate, reduction
from odekit.parts.repair.scratch_masks import MaskFolder

Mask = NDArray[np.bool_]
"""(H, W)."""
COLUMNS = {
    "photo": "photograph", "kind": "cracks", "recall": "recall", "precision": "precision", "changed": "changed %",
    "before": "before dB", "after": "after dB", "found": "found",
}  # fmt: skip
RECALL, PRECISION, CHANGED = 0.8, 0.9, 0.0002
"""Goals: recall and precision of drawn cracks; largest changed share of undamaged photographs."""


@dataclass(frozen=True)
class Row:
    """One picture, as it is (`none`), with drawn cracks of a severity, or with a painted mask (`painted`)."""

    photo: str
    kind: str
    cracked: int
    """Number of cracked pixels."""
    hit: int
    """Number of them in the mask that was filled."""
    marked: int
    """Number of pixels in that mask."""
    right: int
    """Number of those that are cracked or beside a cracked pixel."""
    share: float
    """Share of the picture's pixels that changed."""
    before: float
    """PSNR against the picture without cracks in dB; NaN where it is unknown."""
    after: float
    found: str
    """What the record says."""

    @property
    def recall(self) -> float:
        """Share of the cracked pixels that were filled."""
        return self.hit / self.cracked if self.cracked else float("nan")

    @property
    def precision(self) -> float:
        """Share of the filled pixels that are cracked or beside a cracked pixel."""
        return self.right / self.marked if self.marked else float("nan")


def command(
    folder: Annotated[Path, typer.Argument(help="Folder of photographs.")],
    masks: Annotated[
        Path | None, typer.Option(help="Folder of painted masks, named as the photographs: their cracks are real.")
    ] = None,
    severity: Annotated[
        list[int] | None, typer.Option(min=0, max=3, help="0 (none drawn) to 3, repeatable; default: all.")
    ] = None,
    toned: Annotated[bool, typer.Option("--toned", help="Turn the photographs into sepia prints first.")] = False,
    settings: Annotated[list[str] | None, typer.Option("--set", help="An option of the stage: name=value.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many photographs.")] = None,
    as_json: AsJson = False,
) -> None:
    """Recall and precision of `mend` with `scratches: auto` on cracks, and what changes in photographs without any.

    Without --masks the photographs are undamaged, and are measured as they are and with drawn cracks.

    Example: python -m benchmarks cracks photos/ --severity 0 --severity 2
    """
    options = {"blocks": False, "blur": False, "scratches": "auto"}
    options |= document.parse_yaml(settings_yaml(settings or []) or "{}", "--set").data
    chain = Chain([{"mend": options}])
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in io.IMAGE_SUFFIXES)[:limit]
    if not files:
        raise InputError(f"{folder}: no photographs there")
    rows = list(measure(chain, files, masks, tuple(severity or (0, *SEVERITIES)), toned))
    lines: list[dict[str, Any]] = [
        vars(row) | {"recall": row.recall, "precision": row.precision, "changed": 100 * row.share} for row in rows
    ]
    how = f"mend{', sepia prints' if toned else ''}; precision counts pixels beside a crack as right"
    print_result(Table("cracks", how, COLUMNS, lines, goals_of(rows)), as_json)


def measure(
    chain: Chain, files: Sequence[Path], masks: Path | None, severities: Sequence[int], toned: bool = False
) -> Iterator[Row]:
    """Every picture with every severity, or with its painted mask. The drawing depends on the number of the picture."""
    painted = None if masks is None else MaskFolder(str(masks))
    for number, path in enumerate(files):
        image = sepia(io.read(path)) if toned else io.read(path)
        if painted is not None:
            truth = painted.mask_of(image)
            if truth is not None:
                yield compare(path.name, "painted", image, None, truth, chain)
            continue
        for severity in severities:
            cracked, truth = draw_cracks(image, severity, 10 * number + severity) if severity else (image, None)
            yield compare(path.name, str(severity) if severity else "none", cracked, image, truth, chain)


def sepia(image: Image) -> Image:
    """The picture as a toned print: R, G and B are powers of its luma, rounded to 8 bits."""
    y = luma(image.pixels)
    levels = np.stack([255 * y**exponent for exponent in (0.85, 1.0, 1.25)], 2).round().astype(np.uint8)
    return image.with_pixels(Image.from_uint8(levels).pixels)


def compare(name: str, kind: str, damaged: Image, clean: Image | None, truth: Mask | None, chain: Chain) -> Row:
    """The figures of one picture; `truth` None: it has no cracks."""
    result = chain.run([damaged])[0]
    shape = damaged.pixels.shape[1:]
    truth = np.zeros(shape, bool) if truth is None else truth
    extras = dict(result.extras)
    marked = extras["scratches"].pixels[0] > 0.5 if "scratches" in extras else np.zeros(shape, bool)
    near = dilate(truth, reduction(damaged))
    before, after = (
        (pixel_psnr(one.pixels, clean.pixels) if clean else float("nan")) for one in (damaged, result.image)
    )
    share = float((result.image.pixels != damaged.pixels).any(0).mean())
    facts = result.record["stages"][0]
    found = facts.get("scratches_left") or f"{facts['scratches']}, length {facts['scratched']:g}"
    hits = int((truth & marked).sum()), int(marked.sum()), int((marked & near).sum())
    return Row(name, kind, int(truth.sum()), *hits, share, before, after, found)


def goals_of(rows: Sequence[Row]) -> list[Goal]:
    """Recall and precision over all cracked pixels, and the share of pixels changed in pictures without cracks."""
    plain, cracked = [row for row in rows if row.kind == "none"], [row for row in rows if row.kind != "none"]
    goals = []
    if cracked:
        recall = sum(row.hit for row in cracked) / max(1, sum(row.cracked for row in cracked))
        precision = sum(row.right for row in cracked) / max(1, sum(row.marked for row in cracked))
        painted = cracked[0].kind == "painted"
        goals.append(Goal("recall of cracked pixels", recall, least=0.7 if painted else RECALL))
        if not painted:
            goals.append(Goal("precision of filled pixels", precision, least=PRECISION))
    if plain:
        goals.append(
            Goal("largest changed share of a picture without cracks", max(r.share for r in plain), most=CHANGED)
        )
    return goals
