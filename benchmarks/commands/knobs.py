"""`odekit bench knobs|enhancers`: fidelity, samples, a fast chain, and other enhancers in a chain."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class What(str, Enum):
    """What is measured."""

    fidelity = "fidelity"
    samples = "samples"
    fast = "fast"


def knobs(
    what: Annotated[What, typer.Argument(help="fidelity, samples or fast.")],
    chain: Annotated[str, typer.Option(help="The chain that is measured.")] = "odedit-fast",
    against: Annotated[str, typer.Option(help="For fast: the chain that it is compared with.")] = "odedit",
    data: Annotated[
        Path | None, typer.Option(help="Aligned faces: folder, tar or npz with a split; the checkout's test faces.")
    ] = None,
    side: Annotated[int, typer.Option(min=16, help="The prior's side.")] = 64,
    limit: Annotated[int, typer.Option(min=1, help="Faces.")] = 40,
    keep: Annotated[
        Path | None,
        typer.Option(help="For fidelity and fast: a folder for what is finished."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of damage and noise.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw it into this file (png, svg or pdf).")] = None,
) -> None:
    """Is fidelity monotone, does the spread of samples tell where they err, is a fast chain as good as a slow one?

    Example: odekit bench knobs fidelity --limit 8
    """
    from benchmarks import knobs as bench
    from benchmarks.commands.solvers import show
    from odekit.evaluation.experiments.faces import face_set

    faces = face_set(data, side)
    clean = (faces.test if len(faces.test) else faces.val)[:limit]
    if what is What.fast:
        table = bench.fast(chain, against, clean, seed, keep)
    elif what is What.fidelity:
        table = bench.fidelity(chain, clean, seed, keep)
    else:
        table = bench.samples(chain, clean, seed)
    show(table, as_json, plot)


def enhancers(
    chain: Annotated[str, typer.Option(help="The chain whose enhancer is replaced.")] = "odedit-fast",
    arm: Annotated[
        list[str] | None, typer.Option(help="An enhancer as a YAML mapping, several times; a set of seven by default.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Aligned faces: folder, tar or npz with a split; the checkout's test faces.")
    ] = None,
    split: Annotated[str, typer.Option(help="val or test.")] = "test",
    side: Annotated[int, typer.Option(min=16, help="The prior's side.")] = 64,
    limit: Annotated[int, typer.Option(min=2, help="Faces.")] = 16,
    calibrate: Annotated[
        Path | None, typer.Option(help="Write the spectrum of the train faces here, for preconditioned.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="A folder for what is finished; nothing is computed twice.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of damage and noise.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw it into this file (png, svg or pdf).")] = None,
) -> None:
    """Other enhancers on the same inverted latents of damaged faces, each against the chain's own.

    Examples: odekit bench enhancers --limit 8 --arm "{use: sk-rock, stages: 3}"

    odekit bench enhancers --calibrate spectrum.json --data faces64.npz
    """
    from benchmarks import enhancers as bench
    from benchmarks.commands.solvers import show
    from benchmarks.commands.strength import tell
    from odekit.chains import document
    from odekit.cli.show import say
    from odekit.errors import ConfigError, InputError
    from odekit.evaluation.experiments.faces import face_set
    from odekit.parts.enhancers.spectrum import measured, save

    faces = face_set(data, side)
    if calibrate is not None:
        if len(faces.train) < 2:
            raise InputError("there are no train faces to calibrate on: give --data with a split")
        save(measured(faces.train), calibrate)
        say(f"{calibrate}: the spectrum of {len(faces.train)} train faces")
        return
    if split not in ("val", "test"):
        raise ConfigError(f"--split {split}: val or test")
    clean = (faces.val if split == "val" else faces.test)[:limit]
    if len(clean) < 2:
        raise InputError(f"there are {len(clean)} {split} faces to measure on: give --data with a split")
    arms = bench.ARMS if not arm else [document.value(one) for one in arm]
    show(bench.enhancers(chain, clean, arms, seed=seed, keep=keep, tell=tell), as_json, plot)
