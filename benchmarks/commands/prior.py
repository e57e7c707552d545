"""`odekit bench prior`: figures of a face prior for its model card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from odekit.cli.experiment import named

if TYPE_CHECKING:
    from odekit.core.interfaces import Prior


def prior(
    prior: Annotated[
        str, typer.Option("--prior", help="A prior by name, as a YAML mapping, or the folder of one.")
    ] = "face64",
    data: Annotated[
        Path | None,
        typer.Option(help="Folder, tar or npz of aligned faces with their split; the 128 test faces of a checkout."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Faces for the loss and the round trips; all where not given.")
    ] = None,
    samples: Annotated[
        int, typer.Option(min=0, help="Pictures drawn from the prior (33 or more for FD-PCA); 0: none.")
    ] = 250,
    steps: Annotated[int, typer.Option(min=2, help="Levels of the grid, for samples and round trips.")] = 100,
    batch: Annotated[int, typer.Option("--batch-size", min=1, help="Pictures in a network call.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of samples, patches, directions and damage.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, tf32, bfloat16 or float16.")] = "auto",
    sheet: Annotated[
        Path | None, typer.Option(help="Draw 16 samples and the train faces nearest to them into this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Validation loss by noise level, SWD and FD-PCA of samples, round trips and latents of clean and damaged faces.

    Example: odekit bench prior --samples 32 --steps 20 --limit 16
    """
    from benchmarks.prior import Sizes, measure
    from odekit.cli.show import print_json, print_table
    from odekit.errors import ConfigError
    from odekit.evaluation.experiments.faces import face_set

    made = load(prior, device, precision)
    faces = face_set(data, made.shape[1])
    if sheet is not None and not (samples and len(faces.train)):
        raise ConfigError("--sheet needs samples, and train faces in --data")
    rows = measure(made, faces, Sizes(limit, samples, steps, batch, seed=seed, sheet=sheet))
    if as_json:
        print_json([row.tree() for row in rows])
        return
    cells = [
        (r.name, f"{r.value:.4g} {r.unit}".strip(), "" if r.spread is None else f"{r.spread:.2g}", str(r.count), r.note)
        for r in rows
    ]
    print_table("", ("figure", "value", "spread", "pictures", "how"), cells)


def load(text: str, device: str, precision: str) -> Prior:
    """The prior that a chain would name so, or of a folder. Raises ConfigError, WeightsError or DeviceError."""
    from odekit.chains.resolve import Resolver
    from odekit.chains.tools import Toolbox
    from odekit.core.device import resolve_device
    from odekit.core.precision import resolve_precision
    from odekit.parts.installed import catalog

    where = resolve_device(device)
    from odekit.chains import document

    raw = named(text)
    part = Resolver(catalog(), document.Document(raw, "--prior", {})).part("prior", raw, ())
    made: Prior = Toolbox(catalog(), where, resolve_precision(precision, where)).make(part)
    return made
