"""`odekit ray`: restore files on the workers of a Ray cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def ray(
    chain: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped chain.")],
    inputs: Annotated[
        list[str], typer.Argument(help="Files, folders, globs, addresses such as s3://b/in.", metavar="INPUT...")
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="Output folder, or an address such as s3://b/out.")],
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster: auto, HOST:PORT, ray://HOST:PORT; default: this machine.")
    ] = None,
    actors: Annotated[int | None, typer.Option(help="Number of workers; default: by the cluster.")] = None,
    gpus_per_actor: Annotated[float, typer.Option(help="Share of a GPU that each worker takes.")] = 0.0,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Change an option: path=value.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the noise; default: the chain's seed.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, tf32, bfloat16, float16 or int8.")] = "auto",
    batch_size: Annotated[str | None, typer.Option(help="Images per network call; default: 8.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Skip inputs that are done, according to records.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="With --resume: compare the SHA-256 of all files.")] = False,
    layout: Annotated[str | None, typer.Option(help="tree or hashed; default: as in OUT, or tree.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of inputs.")] = None,
    max_megapixels: Annotated[float, typer.Option(help="Refuse larger images.")] = 100.0,
    time_limit: Annotated[str | None, typer.Option(help="Stop after this time: 90s, 30m, 2h.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Restore images on many machines with Ray; results and records are those of `odekit run`.

    Example: odekit ray odedit-fast scans/ -o out/ --actors 2 --resume
    """
    from odekit.chains.chain import Chain
    from odekit.chains.tuning.batch_size import parse_batch_size
    from odekit.cli.progress import MAX_LINES, ProgressBar
    from odekit.cli.run import exit_code, print_summary
    from odekit.cli.show import reserved_stdout
    from odekit.errors import ConfigError
    from odekit.runs.layout import LAYOUTS
    from odekit.runs.stop import parse_duration
    from odekit.runs.summary import RunOptions
    from odekit_ray.cluster import Cluster
    from odekit_ray.driver import RayJob
    from odekit_ray.places import is_address

    if verify and not resume:
        raise ConfigError("--verify needs --resume")
    if layout is not None and layout not in LAYOUTS:
        raise ConfigError(f"--layout {layout}: write {' or '.join(LAYOUTS)}")
    options = RunOptions(
        Path(out), seed, device, precision, parse_batch_size(batch_size), resume, limit=limit,
        max_megapixels=max_megapixels, time_limit=None if time_limit is None else parse_duration(time_limit),
        verify=verify, layout=layout,  # type: ignore[arg-type]
    )  # fmt: skip
    bar = ProgressBar(quiet=as_json, max_lines=MAX_LINES if sys.stdout.isatty() else 0)
    with bar, reserved_stdout():  # Ray prints what it notices
        cluster = Cluster(address, actors, gpus_per_actor)
        job = RayJob(Chain.load(chain, settings or []), options, cluster, bar, out if is_address(out) else "")
        summary = job.run(inputs)
    print_summary(summary, as_json)
    raise typer.Exit(exit_code(summary))
