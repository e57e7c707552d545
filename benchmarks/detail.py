"""`python -m benchmarks detail`: whole chains on faces with the damage of photographs, judged by what people see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from benchmarks.options import AsJson
from odekit.chains.chain import Chain
from odekit.chains.tools import PartTools
from odekit.cli.show import print_json, print_table
from odekit.core.image import Image
from odekit.evaluation.experiments.faces import Pictures, faces
from odekit.images.resize import area_resize_image
from odekit.parts.corruptions.photo import STRENGTHS, damage
from odekit.parts.installed import catalog
from odekit.parts.metrics.face_distance import FaceDistanceMetric
from odekit.parts.metrics.lpips import Lpips, LpipsMetric
from odekit.parts.metrics.psnr import PsnrMetric

SEVERITIES = {"undamaged": 0, "mild": 1, "medium": 3, "heavy": 5}
SEED = 7


def command(
    data: Annotated[Path, typer.Argument(help="Folder, tar or npz of aligned faces of 256 pixels with their split.")],
    chains: Annotated[list[str] | None, typer.Option("--chain", help="A chain; repeatable.")] = None,
    split: Annotated[Literal["val", "test"], typer.Option(help="The split; use test last.")] = "val",
    limit: Annotated[int, typer.Option(min=1, help="At most this many faces.")] = 32,
    lpips: Annotated[str | None, typer.Option("--lpips", help="Weights of LPIPS, as in the metric.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Change an option of the chains.")] = None,
    as_json: AsJson = False,
) -> None:
    """PSNR, LPIPS and face distance at 256 px, before and after, and the share of faces that a chain treats.

    Example: python -m benchmarks detail faces256.tar --chain odedit-plus --split test
    """
    pictures = faces(data, split, 256, limit).pictures
    rows = [row for chain in chains or ["odedit-plus"] for row in measure(chain, settings or [], pictures, lpips)]
    if as_json:
        print_json([vars(row) for row in rows])
        return
    cells = [
        (row.chain, row.damage, *(f"{b:.{d}f}" for b, d in ((row.psnr, 2), (row.lpips, 3), (row.distance, 3))),
         "" if row.treated is None else f"{row.treated:.0%}")
        for row in rows
    ]  # fmt: skip
    columns = ("chain", "damage", "PSNR, dB", "LPIPS", "face distance", "treated")
    print_table(f"{len(pictures)} {split} faces", columns, cells)


@dataclass(frozen=True)
class Row:
    """Means over the faces. PSNR is capped at 50 dB."""

    chain: str
    damage: str
    psnr: float
    lpips: float
    distance: float
    treated: float | None
    """Share of faces that were changed; None for the damaged faces themselves."""


def measure(chain: str, settings: list[str], pictures: Pictures, lpips: str | None) -> list[Row]:
    """The damaged faces and the chain's results at every severity."""
    tools = PartTools(catalog(), "cpu", "float32")
    perceptual, identity, psnr = LpipsMetric(Lpips(weights=lpips), tools), FaceDistanceMetric(tools=tools), PsnrMetric()
    session = Chain.load(chain, settings).open(seed=0, batch_size=8)
    truth = [Image.from_uint8(picture) for picture in pictures]

    def row(name: str, kind: str, images: list[Image], treated: float | None) -> Row:
        values: tuple[list[float], list[float], list[float]] = (
            [min(50.0, psnr.measure(a, b)) for a, b in zip(images, truth, strict=True)],
            perceptual.measure_many(images, truth),
            identity.measure_many(images, truth),
        )
        fidelity, perceived, distance = (float(np.mean(v)) for v in values)
        return Row(name, kind, fidelity, perceived, distance, treated)

    rows = []
    for kind, severity in SEVERITIES.items():
        damaged = truth
        if severity:
            generators = (np.random.Generator(np.random.Philox([SEED, i])) for i in range(len(pictures)))
            damaged = [
                Image.from_uint8(damage(p, STRENGTHS[severity], rng))
                for p, rng in zip(pictures, generators, strict=True)
            ]
        results = [result.image for result in session.run(damaged)]
        changed = [
            a.pixels.shape != b.pixels.shape or not np.array_equal(a.pixels, b.pixels)
            for a, b in zip(results, damaged, strict=True)
        ]
        rows.append(row("damaged", kind, damaged, None))
        rows.append(row(chain, kind, [area_resize_image(r, 256, 256) for r in results], float(np.mean(changed))))
    return rows
