"""`odekit faces`: detect the faces in photographs, and draw them with their numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from odekit.chains.chain import Chain
    from odekit.chains.session import Session
    from odekit.parts.faces.find import FaceFinder, PhotoFaces


def faces(
    photos: Annotated[list[str], typer.Argument(help="Photographs: files, folders, globs.", metavar="PHOTO...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the drawn photographs.")] = Path("faces-out"),
    chain: Annotated[str, typer.Option(help="A chain; its first 'faces' stage detects the faces.")] = "photo",
    settings: Annotated[list[str] | None, typer.Option("--set", help="Change an option: path=value.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; draw nothing.")] = False,
) -> None:
    """Detect faces in photographs, and draw numbered boxes and landmarks.

    Faces that are not selected are drawn in red, what the detector rejected in yellow, with the reason in the table.
    The numbers can be used in faces.select.index and faces.select.skip. The turn is the clockwise one, in degrees,
    after which the face is upright.

    Example: odekit faces family.jpg -o faces/
    """
    from odekit.chains.chain import Chain
    from odekit.cli.show import print_json, print_line, print_message, print_table
    from odekit.errors import InputError
    from odekit.images.io import IMAGE_SUFFIXES, read, write
    from odekit.parts.faces.draw import draw_faces
    from odekit.runs.inputs import list_inputs
    from odekit.runs.unread import describe_unread

    loaded = Chain.load(chain, settings or [])
    finder, earlier_stages = make_finder(loaded), session_before_faces(loaded)
    results = []
    listed = list_inputs(photos, out, IMAGE_SUFFIXES)
    if listed.unread:
        print_message(describe_unread(listed.unread))
    for job in listed.jobs:
        if job.error is not None:
            raise InputError(str(job.error))
        photo = read(job.source)
        if earlier_stages is not None:  # as in a run, so that the faces have the same numbers
            photo = earlier_stages.run([photo])[0].image
        detections = finder.find(photo)
        results.append({"photo": str(job.source), "faces": detections.tree({}), "rejected": detections.rejected_tree()})
        if as_json:
            continue
        drawn = draw_faces(photo, detections.faces, detections.out, detections.rejected)
        path = write(drawn, out / job.target, format="png", keep_metadata=False)
        own_scores = score_names(detections)
        title = f"{job.source}: {len(detections.selected())} of {len(detections.faces)} faces"
        if detections.rejected:
            title += f", {len(detections.rejected)} rejected"
        print_table(title, ("#", "box", "score", *own_scores, "turn", ""), face_rows(detections, own_scores))
        print_line(f"drawn in {path}")
    if as_json:
        print_json(results)


def make_finder(chain: Chain) -> FaceFinder:
    """Face detection and selection of the chain's `faces` stage.

    Raises:
        ConfigError: the chain has no such stage.
    """
    from odekit.chains.resolve import iter_stages
    from odekit.chains.tools import PartTools
    from odekit.errors import ConfigError
    from odekit.parts.faces.find import FaceFinder
    from odekit.parts.faces.options import Faces

    for item, _ in iter_stages(chain.spec.items):
        if isinstance(item.options, Faces):
            return FaceFinder(item.options, PartTools(chain.parts, "cpu", "float32"))
    raise ConfigError(f"the chain '{chain.spec.name}' has no stage 'faces'; use a chain that has one, such as photo")


def session_before_faces(chain: Chain) -> Session | None:
    """A session with the stages before the `faces` stage; None if there are none."""
    from odekit.chains.execution import Execution
    from odekit.chains.session import Session
    from odekit.parts.faces.options import Faces

    items = tuple(itertools.takewhile(lambda item: not isinstance(item.options, Faces), chain.spec.items))
    execution = Execution("cpu", "float32", 1)
    return Session(replace(chain.spec, items=items), chain.parts, 0, execution) if items else None


def score_names(detections: PhotoFaces) -> list[str]:
    """Names of the networks whose scores are shown beside the detector's."""
    every = [*detections.faces, *(face for face, _ in detections.rejected)]
    return list(dict.fromkeys(name for face in every for name in face.scores))


def face_rows(detections: PhotoFaces, own_scores: Sequence[str]) -> list[tuple[str, ...]]:
    """Number, box, scores, turn and reason for exclusion (if any) of every face and rejected proposal."""
    numbered = [(str(n), face, detections.out.get(n, "")) for n, face in enumerate(detections.faces, 1)]
    rejected = [("-", face, f"rejected: {reason}") for face, reason in detections.rejected]
    return [
        (
            number,
            ", ".join(f"{v:.0f}" for v in face.box),
            f"{face.score:.2f}",
            *(f"{face.scores[name]:.2f}" if name in face.scores else "" for name in own_scores),
            str(face.turn) if face.turn else "",
            reason,
        )
        for number, face, reason in [*numbered, *rejected]
    ]
