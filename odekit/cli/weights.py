"""`odekit weights`: what weights there are and where they lie; conversion of other programs' checkpoints.

What fetches and checks them is in `odekit.cli.weights_store`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odekit.cli import weights_store

app = typer.Typer(help="Weights: list, pull, add, verify, path, convert.", no_args_is_help=True)
for command in (weights_store.pull, weights_store.add, weights_store.verify):
    app.command()(command)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_weights(as_json: AsJson = False) -> None:
    """List named weights with their licence and whether they are here.

    Example: odekit weights list
    """
    from odekit.cli.show import print_json, print_table
    from odekit.parts.installed import catalog
    from odekit.plugins.weights.lookup import is_present
    from odekit.plugins.weights.store import size_text, stored

    stores = [weights for _, weights in sorted(catalog().stores.items())]
    if as_json:
        keys = ("name", "licence", "commercial_use", "sha256", "size", "summary", "notice")
        print_json(
            [
                {key: getattr(w, key) for key in keys}
                | {"from": w.dist, "urls": list(w.urls), "here": is_present(w), "path": str(stored(w))}
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
    print_table("", ("name", "from", "licence", "commercial use", "size", "here", "what it is"), table)


@app.command("path")
def path(name: Annotated[str, typer.Argument(help="Name of the weights.")]) -> None:
    """Print where named weights lie on this machine, after checking them.

    Example: odekit weights path face64
    """
    from odekit.cli.show import say
    from odekit.parts.installed import catalog
    from odekit.plugins.weights.lookup import path_of

    say(str(path_of(name, catalog())))


@app.command("convert")
def convert_weights(
    checkpoint: Annotated[Path, typer.Argument(help="A guided-diffusion ADM or a DDIM checkpoint.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The prior folder to write.")],
    image_size: Annotated[int, typer.Option(min=1, help="Side of the network's pictures in pixels.")],
    kind: Annotated[str | None, typer.Option(help="adm or ddim; recognised by its tensors.")] = None,
    num_heads: Annotated[int | None, typer.Option(min=1, help="ADM: heads of every attention.")] = None,
    num_head_channels: Annotated[int | None, typer.Option(min=1, help="ADM: channels of every head.")] = None,
    qkv_order: Annotated[str, typer.Option(help="ADM: legacy, or new (use_new_attention_order).")] = "legacy",
    half: Annotated[bool, typer.Option("--half", help="Store float16.")] = False,
) -> None:
    """Write another program's checkpoint as a folder that a chain can name: priors: {face: ./folder}.

    Example: odekit weights convert celeba64.ckpt -o celeba64 --image-size 64
    """
    from odekit.cli.show import say
    from odekit.errors import ConfigError
    from odekit.parts.priors.convert import convert
    from odekit.parts.priors.convert.options import ConvertOptions

    if kind not in (None, "adm", "ddim"):
        raise ConfigError(f"--kind {kind}: adm or ddim")
    if qkv_order not in ("legacy", "new"):
        raise ConfigError(f"--qkv-order {qkv_order}: legacy or new")
    options = ConvertOptions(
        image_size=image_size,
        num_heads=num_heads,
        num_head_channels=num_head_channels,
        qkv_order="new" if qkv_order == "new" else "legacy",
        half=half,
    )
    say(str(convert(checkpoint, out, "adm" if kind == "adm" else "ddim" if kind == "ddim" else None, options)))
