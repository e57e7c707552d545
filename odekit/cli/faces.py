"""`odekit faces`: the faces of a photograph, drawn and numbered, so that a person can choose."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from odekit.chains.chain import Chain
    from odekit.chains.session import Session
    from odekit.parts.faces.find import Finder, Found


def faces(
    photos: Annotated[list[str], typer.Argument(help="Photographs: files, folders, globs.", metavar="PHOTO...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the drawn photographs.")] = Path("faces-out"),
    chain: Annotated[str, typer.Option(help="A chain whose first 'faces' stage says how they are found.")] = "photo",
    settings: Annotated[list[str] | None, typer.Option("--set", help="Change an option: path=value.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; draw nothing.")] = False,
) -> None:
    """Find the faces of photographs and draw numbered boxes and points. What is left out is drawn red, with its reason.

    The numbers are those of faces.select.index and faces.select.skip.

    Example: odekit faces family.jpg -o found/
    """
    from odekit.chains.chain import Chain
    from odekit.cli.show import print_json, print_table, say
    from odekit.errors import InputError
    from odekit.images.io import SUFFIXES, read, write
    from odekit.parts.faces.draw import drawn
    from odekit.runs.inputs import collect

    loaded = Chain.load(chain, settings or [])
    finder, first = finder_of(loaded), before(loaded)
    told = []
    for job in collect(photos, out, SUFFIXES):
        if job.error is not None:
            raise InputError(str(job.error))
        photo = read(job.source)
        if first is not None:  # so that numbers are those of a run
            photo = first.run([photo])[0].image
        found = finder.find(photo)
        told.append({"photo": str(job.source), "faces": found.tree({})})
        if as_json:
            continue
        place = write(drawn(photo, found.faces, found.out), out / job.target, format="png", keep_metadata=False)
        rows = [(str(number), *facts) for number, facts in enumerate(rows_of(found), 1)]
        print_table(f"{job.source}: {len(found.chosen())} of {len(found.faces)} faces", ("#", "box", "score", ""), rows)
        say(f"drawn in {place}")
    if as_json:
        print_json(told)


def finder_of(chain: object) -> Finder:
    """Detection and choice as the chain's `faces` stage has them.

    Raises:
        ConfigError: there is no such stage.
    """
    from odekit.chains.chain import Chain
    from odekit.chains.resolve import staged
    from odekit.chains.tools import Toolbox
    from odekit.errors import ConfigError
    from odekit.parts.faces.find import Finder
    from odekit.parts.faces.options import Faces

    assert isinstance(chain, Chain)
    for item, _ in staged(chain.spec.items):
        if isinstance(item.options, Faces):
            return Finder(item.options, Toolbox(chain.parts, "cpu", "float32"))
    raise ConfigError(f"the chain '{chain.spec.name}' has no stage 'faces'; name one that has, such as photo")


def before(chain: Chain) -> Session | None:
    """The stages that a photograph goes through before its faces are searched, ready to run; None without any."""
    from odekit.chains.execution import Execution
    from odekit.chains.session import Session
    from odekit.parts.faces.options import Faces

    items = tuple(itertools.takewhile(lambda item: not isinstance(item.options, Faces), chain.spec.items))
    execution = Execution("cpu", "float32", 1)
    return Session(replace(chain.spec, items=items), chain.parts, 0, execution) if items else None


def rows_of(found: Found) -> list[tuple[str, str, str]]:
    """Box, score and reason of every face."""
    return [
        (", ".join(f"{v:.0f}" for v in face.box), f"{face.score:.2f}", found.out.get(number, ""))
        for number, face in enumerate(found.faces, 1)
    ]
