"""`odekit bench strength|colour|blur`: what is decided for each picture by itself, judged and calibrated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def strength(
    data: Annotated[
        Path | None, typer.Option(help="Aligned faces: folder, tar or npz with a split; the checkout's test faces.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Pictures.")] = 128,
    calibrate: Annotated[Path | None, typer.Option(help="Fit the meter on train faces and write it here.")] = None,
    meter: Annotated[Path | None, typer.Option(help="A calibration to judge; the built-in one by default.")] = None,
    chain: Annotated[
        str, typer.Option(help="A chain with iterations: auto; all but the enhancer is taken from it.")
    ] = ("odedit-auto"),
    keep: Annotated[Path | None, typer.Option(help="A folder for what is finished; nothing is computed twice.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of damage and noise.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw it into this file (png, svg or pdf).")] = None,
) -> None:
    """Judge iterations: auto against fixed settings that know the damage, or calibrate its meter.

    Examples: odekit bench strength --limit 24

    odekit bench strength --calibrate strength.json --data faces64.npz --limit 48
    """
    from benchmarks.commands.solvers import show
    from benchmarks.strength import judge
    from odekit.chains.chain import Chain
    from odekit.cli.show import print_json, say
    from odekit.core.files import write_json
    from odekit.errors import ConfigError, InputError
    from odekit.evaluation.experiments.faces import face_set
    from odekit.parts.enhancers.calibration import load_calibration
    from odekit.parts.stages.restore import RestoreStage
    from odekit.training.calibration.meter import chosen, fit, worth
    from odekit.training.calibration.treated import STRENGTHS, both, known, treat

    # The bench itself comes down with every strength; the decision is made afterwards.
    session = Chain.load(chain, ["restore.enhancer={use: none}"]).open(batch_size=1)
    stage = session.stages[0][1]
    if not isinstance(stage, RestoreStage):
        raise ConfigError(f"the chain '{chain}' does not begin with restore; name one that does")
    faces = face_set(data, stage.prior.shape[1])
    if calibrate and not len(faces.train):
        raise InputError("there are no train faces to calibrate on: give --data with a split")
    pictures = chosen(faces.train, limit) if calibrate else (faces.test if len(faces.test) else faces.val)[:limit]
    cases = (both if calibrate else known)(pictures, seed, lambda image: stage.taken(image)[0])
    strengths = STRENGTHS if calibrate else load_calibration(meter).strengths
    treated = treat(cases, stage.inverter, stage.prior, strengths, seed=seed, keep=keep, tell=tell)
    what = f"{len(pictures)} {'train' if calibrate else 'test'} faces, 20 kinds of damage, severities 0 to 5"
    if calibrate is None:
        show(judge(cases, treated, load_calibration(meter), f"chain {chain}; {what}"), as_json, plot)
        return
    gains = {one.name: worth(treated, one.name) for one in strengths}
    levels, digests = stage.inverter.levels, list(session.weights().values())
    top, digest = levels.t[-1] / len(levels.schedule), digests[0] if digests else None
    made = fit(treated.readings, gains, strengths, {"faces": what, "seed": seed}, top, digest)
    write_json(calibrate, made.tree())
    if as_json:
        print_json(made.tree())
    else:
        say(f"{calibrate}: {len(strengths)} strengths, caution {made.caution:.1f} dB; {what}")


def tell(text: str) -> None:
    """Progress, beside the result."""
    sys.stderr.write(f"{text}\n")


def colour(
    data: Annotated[
        Path | None, typer.Option(help="Aligned faces: folder, tar or npz with a split; the checkout's test faces.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Faces.")] = 128,
    calibrate: Annotated[Path | None, typer.Option(help="Fit the estimates on train faces; write them here.")] = None,
    estimates: Annotated[Path | None, typer.Option(help="Estimates to judge; the built-in ones by default.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Kinds of damage; all by default.")] = None,
    chain: Annotated[str | None, typer.Option(help="Judge it in this chain, which is run with it and without.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the damage.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw it into this file (png, svg or pdf).")] = None,
) -> None:
    """Judge the option colour: undo on every kind of damage, or calibrate it. Without --chain no network is called.

    Examples: odekit bench colour --limit 4 --kind brightness --kind jpeg

    odekit bench colour --chain odedit-auto --limit 8 --kind fog

    odekit bench colour --calibrate balance.npz --data faces64.npz --limit 400
    """
    import numpy as np

    from benchmarks.colour import judge, through
    from benchmarks.commands.solvers import show
    from odekit.cli.show import say
    from odekit.errors import ConfigError, InputError
    from odekit.evaluation.experiments.faces import face_set
    from odekit.parts.corruptions.kinds import KINDS
    from odekit.parts.repair.colour import load_colour_correction, save
    from odekit.training.calibration.colour import calibrate as fit_colours

    faces = face_set(data, 64)
    if calibrate is None:
        pictures = (faces.test if len(faces.test) else faces.val)[:limit]
        if chain is not None and estimates is not None:
            raise ConfigError("--chain uses the built-in estimates; leave --estimates out")
        kinds = kind or KINDS
        judged = judge(pictures, load_colour_correction(estimates), kinds, seed) if chain is None else None
        show(judged or through(str(chain), pictures, kinds, seed), as_json, plot)
        return
    if not len(faces.train):
        raise InputError("there are no train faces to calibrate on: give --data with a split")
    order = np.random.Generator(np.random.PCG64(6)).permutation(len(faces.train))[:limit]
    save(fit_colours(faces.train[order], seed), calibrate)
    say(f"{calibrate}: calibrated on {len(order)} train faces")


def blur(
    data: Annotated[
        Path | None, typer.Option(help="Aligned faces: folder, tar or npz with a split; the checkout's test faces.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Faces.")] = 128,
    kind: Annotated[list[str] | None, typer.Option(help="Kinds of damage; all by default.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the damage.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw it into this file (png, svg or pdf).")] = None,
) -> None:
    """Judge the option blur: undo on every kind of damage. No network is called.

    Example: odekit bench blur --limit 4 --kind gaussian_blur --kind jpeg
    """
    from benchmarks.blur import judge
    from benchmarks.commands.solvers import show
    from odekit.evaluation.experiments.faces import face_set
    from odekit.parts.corruptions.kinds import KINDS

    faces = face_set(data, 64)
    show(judge((faces.test if len(faces.test) else faces.val)[:limit], kind or KINDS, seed), as_json, plot)
