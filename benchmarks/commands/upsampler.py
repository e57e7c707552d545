"""`odekit bench upsampler`: a face upsampler against Lanczos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def upsampler(
    data: Annotated[Path, typer.Argument(help="Folder, tar or npz of large aligned faces with their split.")],
    part: Annotated[str, typer.Option("--upsampler", help="An upsampler by name, or as a YAML mapping.")] = "face-x4",
    split: Annotated[Literal["val", "test"], typer.Option(help="Which faces; look at test last.")] = "val",
    side: Annotated[int, typer.Option(min=8, help="Side of the small faces.")] = 64,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many faces.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, tf32, bfloat16 or float16.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """PSNR and SSIM of an upsampler and of Lanczos on clean, blurred, noisy and damaged faces, and its time.

    Example: odekit bench upsampler faces256.tar --split test
    """
    from benchmarks.upsampler import compare, milliseconds
    from odekit.chains import document as yamldoc
    from odekit.chains.resolve import Resolver
    from odekit.chains.tools import Toolbox
    from odekit.cli.show import print_json, print_table, say
    from odekit.core.device import resolve_device
    from odekit.core.precision import resolve_precision
    from odekit.errors import ConfigError, InputError
    from odekit.evaluation.experiments.faces import at_side
    from odekit.images import face_sets
    from odekit.parts.installed import catalog

    document = yamldoc.parse(part, "--upsampler")
    chosen = Resolver(catalog(), document).part("upsampler", document.data, ())
    where = resolve_device(device)
    made = Toolbox(catalog(), where, resolve_precision(precision, where)).make(chosen)
    if made.spec.scale is None:
        raise ConfigError(f"--upsampler {part}: gives pictures of one fixed side; only those with a scale are compared")
    large = round(side * made.spec.scale)
    found = face_sets.read(data, large)
    faces = at_side(found.images[found.split == split][:limit], large)
    if not len(faces):
        raise InputError(f"{data}: no {split} faces; choose another --split, or mend that of the data")
    rows, taken = compare(made, faces, side), milliseconds(made, side)
    if as_json:
        print_json({"milliseconds_per_face": round(taken, 2), "kinds": [row.tree() for row in rows]})
        return
    cells = [
        (
            row.kind,
            f"{row.psnr:.2f} dB",
            f"{row.ssim:.4f}",
            f"{row.lanczos_psnr:.2f} dB",
            f"{row.lanczos_ssim:.4f}",
            f"{row.psnr - row.lanczos_psnr:+.2f} dB {row.ssim - row.lanczos_ssim:+.4f}",
        )
        for row in rows
    ]
    print_table("", ("input", "PSNR", "SSIM", "Lanczos PSNR", "Lanczos SSIM", "gain"), cells)
    say(f"{len(faces)} {split} faces; {taken:.1f} ms for one face")
