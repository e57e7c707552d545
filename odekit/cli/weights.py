"""`odekit weights`: list, locate and export weights, and convert checkpoints of other programs.

The commands that download and check weights are in `odekit.cli.weights_store`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odekit.cli import weights_store

app = typer.Typer(help="Weights: list, pull, add, verify, path, convert, export.", no_args_is_help=True)
for command in (weights_store.pull, weights_store.add, weights_store.verify):
    app.command()(command)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_weights(as_json: AsJson = False) -> None:
    """List named weights with their licences, and whether they are present.

    Example: odekit weights list
    """
    from odekit.cli.show import print_json, print_table
    from odekit.parts.installed import catalog
    from odekit.plugins.weights.lookup import is_present
    from odekit.plugins.weights.store import size_text, stored_path

    stores = [weights for _, weights in sorted(catalog().weights.items())]
    if as_json:
        keys = ("name", "licence", "commercial_use", "sha256", "size", "summary", "notice")
        print_json(
            [
                {key: getattr(w, key) for key in keys}
                | {"from": w.dist, "urls": list(w.urls), "here": is_present(w), "path": str(stored_path(w))}
                for w in stores
            ]
        )
        return
    table = [
        (
            w.name,
            w.dist,
            w.licence,
            "yes" if w.commercial_use else "no",
            size_text(w.size) if w.size else "",
            "yes" if is_present(w) else "no",
            w.summary,
        )
        for w in stores
    ]
    print_table("", ("name", "from", "licence", "commercial use", "size", "present", "description"), table)


@app.command("path")
def path(name: Annotated[str, typer.Argument(help="Name of the weights.")]) -> None:
    """Check named weights, and print their path on this machine.

    Example: odekit weights path face64
    """
    from odekit.cli.show import print_line
    from odekit.parts.installed import catalog
    from odekit.plugins.weights.hub import hub_folder
    from odekit.plugins.weights.lookup import verified_path

    print_line(str(hub_folder(name) if name.startswith(weights_store.PREFIX) else verified_path(name, catalog())))


@app.command("export")
def export(
    name: Annotated[str, typer.Argument(help="Name of weights, hf:OWNER/NAME, or a folder with a network.")],
    out: Annotated[Path, typer.Argument(help="The folder to write.", metavar="DIR")],
) -> None:
    """Write weights as a folder that is ready for the Hugging Face hub: safetensors, metadata and a model card.

    Example: odekit weights export face64 face64-hub/
    """
    from odekit.cli.show import print_line
    from odekit.parts.installed import catalog
    from odekit.plugins.weights.export import export_file, export_folder
    from odekit.plugins.weights.hub import describe_hub, hub_folder
    from odekit.plugins.weights.lookup import find_weights, verified_path

    if name.startswith(weights_store.PREFIX):
        files = export_folder(hub_folder(name), out, describe_hub(name)["licence"])
    elif Path(name).is_dir():
        files = export_folder(Path(name), out)
    else:
        weights, path = find_weights(name, catalog()), verified_path(name, catalog())
        if path.is_dir() or weights.path is not None:
            files = export_folder(path if path.is_dir() else path.parent, out, weights.licence, weights.summary)
        else:
            files = export_file(weights, path, out)
    for file in files:
        print_line(str(file))


@app.command("convert")
def convert_weights(
    checkpoint: Annotated[Path, typer.Argument(help="A guided-diffusion ADM or a DDIM checkpoint.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The prior folder to write.")],
    image_size: Annotated[int, typer.Option(min=1, help="Side of the network's images in pixels.")],
    kind: Annotated[str | None, typer.Option(help="adm or ddim; default: recognised from the tensors.")] = None,
    num_heads: Annotated[int | None, typer.Option(min=1, help="ADM: number of heads per attention layer.")] = None,
    num_head_channels: Annotated[int | None, typer.Option(min=1, help="ADM: channels per head.")] = None,
    qkv_order: Annotated[str, typer.Option(help="ADM: legacy, or new (use_new_attention_order).")] = "legacy",
    half: Annotated[bool, typer.Option("--half", help="Store float16.")] = False,
) -> None:
    """Convert a checkpoint of another program to a prior folder for use in a chain: priors: {face: ./folder}.

    Example: odekit weights convert celeba64.ckpt -o celeba64 --image-size 64
    """
    from odekit.cli.show import print_line
    from odekit.errors import ConfigError
    from odekit.parts.priors.convert import convert_checkpoint
    from odekit.parts.priors.convert.options import ConvertOptions

    if kind not in (None, "adm", "ddim"):
        raise ConfigError(f"--kind {kind}: must be adm or ddim")
    if qkv_order not in ("legacy", "new"):
        raise ConfigError(f"--qkv-order {qkv_order}: must be legacy or new")
    options = ConvertOptions(
        image_size=image_size,
        num_heads=num_heads,
        num_head_channels=num_head_channels,
        qkv_order="new" if qkv_order == "new" else "legacy",
        half=half,
    )
    print_line(
        str(
            convert_checkpoint(checkpoint, out, "adm" if kind == "adm" else "ddim" if kind == "ddim" else None, options)
        )
    )
