"""`odekit faces`: detect the faces in photographs, and draw them with their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from odekit.parts.faces.find import PhotoFaces


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
    from odekit.runs.face_search import FaceSearch
    from odekit.runs.inputs import list_inputs
    from odekit.runs.unread import describe_unread

    search = FaceSearch(Chain.load(chain, settings or []))
    results = []
    listed = list_inputs(photos, out, IMAGE_SUFFIXES)
    if listed.unread:
        print_message(describe_unread(listed.unread))
    for job in listed.jobs:
        if job.error is not None:
            raise InputError(str(job.error))
        detections = search.find(read(job.source))
        results.append({"photo": str(job.source), "faces": detections.tree({}), "rejected": detections.rejected_tree()})
        if as_json:
            continue
        drawn = draw_faces(detections.photo, detections.faces, detections.out, detections.rejected)
        path = write(drawn, out / job.target, format="png", keep_metadata=False)
        own_scores = score_names(detections)
        title = f"{job.source}: {len(detections.selected())} of {len(detections.faces)} faces"
        if detections.rejected:
            title += f", {len(detections.rejected)} rejected"
        print_table(title, ("#", "box", "score", *own_scores, "turn", ""), face_rows(detections, own_scores))
        print_line(f"drawn in {path}")
    if as_json:
        print_json(results)


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
