"""`odekit calibrate meter|act|colour|spectrum|precision`: fits what the chains decide by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odekit.cli.show import print_stderr

app = typer.Typer(
    help="Fit the damage meter, when to act, the colour correction or the spectrum; measure precisions.",
    no_args_is_help=True,
)
Data = Annotated[
    Path | None, typer.Option("--data", help="Aligned faces with a training split: folder, tar or npz; required.")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The file to write.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most this many training faces.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of damage and noise.")]


@app.callback()
def group() -> None:
    """Fit the damage meter, when to act, the colour correction or the spectrum, on your training faces."""


@app.command()
def meter(
    out: Out,
    data: Data = None,
    limit: Limit = 128,
    chain: Annotated[
        str, typer.Option("--chain", help="A chain that begins with restore: its prior and inverter are used.")
    ] = "odedit-auto",
    keep: Annotated[
        Path | None, typer.Option("--keep", help="A folder for finished results; nothing in it is computed again.")
    ] = None,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the calibration as JSON.")] = False,
) -> None:
    """Fit the damage meter of iterations: auto on training faces with known damage.

    Use the file as the enhancer's option meter. It holds for one prior and one inverter.

    Example: odekit calibrate meter --data faces64.npz --limit 48 -o strength.json
    """
    from odekit.cli.show import print_json, print_line
    from odekit.core.files import write_json
    from odekit.training.calibration.meter import calibrate

    calibration = calibrate(chain, data, limit, seed=seed, keep=keep, progress=print_progress)
    write_json(out, calibration.tree())
    if as_json:
        print_json(calibration.tree())
        return
    faces = (calibration.about or {}).get("faces", "")
    print_line(f"{out}: {len(calibration.strengths)} strengths, threshold {calibration.threshold:.1f} dB; {faces}")


@app.command()
def act(
    out: Out,
    data: Data = None,
    limit: Limit = 210,
    chain: Annotated[str, typer.Option("--chain", help="A chain that ends with face-guided.")] = "odedit-plus",
    lpips: Annotated[
        str | None, typer.Option("--lpips", help="Weights of LPIPS: a file, or a registered name; default: by name.")
    ] = None,
    photos: Annotated[
        Path | None, typer.Option("--photos", help="Healthy photographs, whose faces count as undamaged, too.")
    ] = None,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the calibration as JSON.")] = False,
) -> None:
    """Fit when face-guided acts, on training faces of 256 pixels with the damage of photographs.

    LPIPS and the distance of face descriptors to the true face judge the result of the whole chain. Use the file as the
    upsampler's option calibration.

    Example: odekit calibrate act --data faces256.tar -o act.json
    """
    from odekit.cli.show import print_json, print_line, print_table
    from odekit.core.files import write_json
    from odekit.parts.upsamplers.worth import LARGE_FACE
    from odekit.training.calibration.act import calibrate

    calibration = calibrate(chain, data, limit, lpips=lpips, photos=photos, seed=seed, progress=print_progress)
    write_json(out, calibration.tree(), indent=None)  # thousands of weights, which nobody reads line by line
    if as_json:
        print_json(calibration.tree())
        return
    figures = (calibration.about or {})["figures"]
    rows = [
        (name, str(one["faces"]), f"{one['acted']:.0%}", *map("{:.3f}".format, one["lpips"] + one["face_distance"]))
        for name, one in figures.items()
    ]  # fmt: skip
    columns = ("damage", "faces", "acts on", "LPIPS before", "after", "face distance before", "after")
    limits = f"{calibration.threshold:.3f}, of faces from {LARGE_FACE} px {calibration.large_threshold:.3f}"
    print_table(f"threshold {limits}", columns, rows)
    print_line(str(out))


@app.command()
def colour(out: Out, data: Data = None, limit: Limit = 128, seed: Seed = 0) -> None:
    """Fit the colour correction of colour: undo on training faces with known damage. No network is called.

    Example: odekit calibrate colour --data faces64.npz --limit 400 -o colour.npz
    """
    from odekit.cli.show import print_line
    from odekit.evaluation.experiments.faces import choose_faces, train_faces
    from odekit.training.calibration.colour import FACES_SEED, calibrate, save

    faces = choose_faces(train_faces(data, 64), limit, FACES_SEED)
    save(calibrate(faces, seed), out)
    print_line(f"{out}: calibrated on {len(faces)} train faces")


@app.command()
def spectrum(
    out: Out,
    data: Data = None,
    side: Annotated[int, typer.Option("--side", min=16, help="Side of the prior's images.")] = 64,
) -> None:
    """Measure the spectrum of the training faces, for the enhancer preconditioned.

    Example: odekit calibrate spectrum --data faces64.npz -o spectrum.json
    """
    from odekit.cli.show import print_line
    from odekit.evaluation.experiments.faces import train_faces
    from odekit.training.calibration.spectrum import calibrate, save

    faces = train_faces(data, side, minimum=2)
    save(calibrate(faces), out)
    print_line(f"{out}: the spectrum of {len(faces)} train faces")


@app.command()
def precision(
    out: Out,
    chain: Annotated[str, typer.Option("--chain", help="A chain: the first prior in it is measured.")] = "odedit-auto",
) -> None:
    """Measure which precision a prior can use on this kind of processor: the file precision.json beside its weights.

    Others with such a processor and the same release of torch need not measure then. Other entries of the file stay.

    Example: odekit calibrate precision -o FOLDER-OF-THE-PRIOR/precision.json
    """
    from odekit.chains.chain import Chain
    from odekit.chains.tuning.shipping import measure_for_shipping
    from odekit.cli.show import print_line

    entry = measure_for_shipping(Chain.load(chain), out)
    gains = [f"{name} {one['speedup'][0]:.2f} times as fast" for name, one in entry["tried"].items() if one["speedup"]]
    print_line(f"{out}: {entry['precision']} on {entry['processor']}, torch {entry['torch']}; {', '.join(gains)}")


def print_progress(text: str) -> None:
    """Print a line of progress on stderr."""
    print_stderr(text)
