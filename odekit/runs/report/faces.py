"""The faces of a photograph as its report shows them: boxes, decisions in words, and crops before and after."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from odekit.core.image import Image
from odekit.runs.findings import findings_of
from odekit.runs.outcomes import NO_CHANGE
from odekit.runs.report.store import PictureStore, StoredPicture

Entry = Mapping[str, Any]
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 as fractions of the photograph's width and height."""
Outcome = Literal["restored", "left", "out", "failed", "rejected"]
"""`left`: judged and not changed; `out`: left out by the selection; `rejected`: by the detector, which takes it for no
face."""

MARGIN = 0.35
"""Of a crop around the face's box, as a fraction of the box's longer side."""
MAX_CROP_SIDE = 640
"""Side to which larger crops are reduced, in pixels."""


@dataclass(frozen=True)
class FaceView:
    """One face of a photograph."""

    number: str
    outcome: Outcome
    decision: str
    """In words, such as `restored (medium)` or `left: too small (18 px < 24)`."""
    score: str = ""
    turn: str = ""
    facts: Sequence[tuple[str, str]] = ()
    """Names and values for the caption."""
    box: Box | None = None
    """None if the record has no usable box."""
    before: StoredPicture | None = None
    after: StoredPicture | None = None
    stages: Sequence[tuple[str, StoredPicture]] = field(default_factory=tuple)
    """Kept pictures of the face's own chain: name and picture."""

    @property
    def box_text(self) -> str:
        """The box as four numbers, for the page's script."""
        return "" if self.box is None else " ".join(f"{value:.5f}" for value in self.box)


def face_entries(record: Entry, size: tuple[int, int]) -> Iterator[tuple[Entry, tuple[int, int]]]:
    """Every face and rejected proposal of a record, with the (width, height) in which its box is given.

    Args:
        record: of a photograph; entries of unexpected types are skipped.
        size: width and height of the input.
    """
    for stage in _mappings(record.get("stages")):
        for face in [*_mappings(stage.get("faces")), *_mappings(stage.get("rejected"))]:
            yield face, size
        size = _size(stage.get("size")) or size


@dataclass(frozen=True)
class FaceCrops:
    """One face of a photograph before and after, in words and in pixels."""

    number: str
    """As in the record; `-` for what the detector rejected."""
    outcome: Outcome
    decision: str
    """In words, such as `restored (medium)`."""
    box: Box | None
    """None if the record has no usable box."""
    before: Image | None = None
    after: Image | None = None
    """Upright, with a margin; None if left out or rejected, or if the picture is not given."""


def face_crops(record: Entry, before: Image, after: Image | None) -> list[FaceCrops]:
    """Every face of a photograph that a record tells of, and every rejected proposal.

    Args:
        record: of the photograph, `Result.record` or that of a file.
        before: the photograph as it was read.
        after: the result, of any size; None: only the crops before.
    """
    entries = face_entries(record, (before.width, before.height))
    return [crops_of(face, size, before, after, record.get("changed") is not False) for face, size in entries]


def crops_of(
    face: Entry, size: tuple[int, int], before: Image | None, after: Image | None, changed: bool = True
) -> FaceCrops:
    """One face; see `view_face`."""
    outcome, decision = decide(face)
    if outcome == "restored" and not changed:
        outcome, decision = "left", f"left: {NO_CHANGE}"
    box = relative_box(face.get("box"), size)
    crops: list[Image | None] = [None, None]
    if box is not None:
        window, turns = crop_window(box, size), quarter_turns(face.get("points"))
        for i, photo in enumerate((before, after)):
            if photo is not None and not (outcome in ("out", "rejected") and i):
                crops[i] = cut(photo, window, turns)
    return FaceCrops(str(face.get("number", "-")), outcome, decision, box, crops[0], crops[1])


def view_face(
    face: Entry, size: tuple[int, int], before: Image | None, after: Image | None, store: PictureStore,
    changed: bool = True, stages: Sequence[tuple[str, StoredPicture]] = (),
) -> FaceView:  # fmt: skip
    """A face with its crops.

    Args:
        face: its entry in the record.
        size: (width, height) in which its box is given.
        before: the photograph as it was read.
        after: the result; may have another size.
        store: for the crops.
        changed: False if the record says that no pixel of the photograph was changed.
        stages: kept pictures of the face's own chain.
    """
    crops = crops_of(face, size, before, after, changed)
    before_crop, after_crop = (
        None if crop is None else store.add(crop, f"face-{name}", MAX_CROP_SIDE)
        for crop, name in ((crops.before, "before"), (crops.after, "after"))
    )
    return FaceView(
        crops.number, crops.outcome, crops.decision, score_text(face), turn_of(face),
        list(facts_of(face)), crops.box, before_crop, after_crop, stages,
    )  # fmt: skip


def decide(face: Entry) -> tuple[Outcome, str]:
    """What became of a face, and the decision in words."""
    if "rejected" in face:
        return "rejected", f"no face: {reason_in_words(str(face['rejected']))}"
    if "left_out" in face:
        return "out", f"left: {reason_in_words(str(face['left_out']))}"
    if "failed" in face:
        return "failed", f"failed: {face['failed']}"
    findings = findings_of({"stages": [{"stage": "faces", "faces": [face]}]})
    if findings.left:
        return "left", f"left: {next(iter(findings.left))}"
    strength = next(iter(findings.restored), "")
    return "restored", f"restored ({strength})" if strength else "restored"


def reason_in_words(reason: str) -> str:
    """The reason of the selection or the detector, with its numbers as a comparison where it has two."""
    small = re.fullmatch(r"([\d.]+) px wide, under [a-z_.]+ ([\d.]+)", reason)
    weak = re.fullmatch(r"score ([\d.]+), under [a-z_.]+ ([\d.]+)", reason)
    if small:
        return f"too small ({small[1]} px < {small[2]})"
    return f"score too low ({weak[1]} < {weak[2]})" if weak else reason


def facts_of(face: Entry) -> Iterator[tuple[str, str]]:
    """Size, scores, turn, expected numbers and kept detail, where the record has them."""
    box = face.get("box")
    if isinstance(box, list) and _is_box(box):
        yield "size", f"{box[2] - box[0]:.0f} x {box[3] - box[1]:.0f} px"
    if score_text(face):
        yield "score", score_text(face)
    if turn_of(face):
        yield "turn", turn_of(face)
    yield from expected_numbers(face)
    kept = face.get("kept_detail")
    if isinstance(kept, Mapping) and _is_number(kept.get("trust")):
        yield "detail kept", f"{100 * kept['trust']:.0f} %"
    change = face.get("change")
    if isinstance(change, float) and _is_number(change):
        yield "largest change", f"{change * 255:.0f} of 255 levels"


def expected_numbers(entry: Entry) -> Iterator[tuple[str, str]]:
    """The expected numbers in the stages of a face, or in the record of an aligned face.

    Those of `restore` are of its strengths, in PSNR; that of a guided upsampler is of its result.
    """
    for stage in _mappings(entry.get("stages")):
        for decision in _mappings(stage.get("strength")):
            yield from _expected(decision)
        detail = stage.get("detail")
        if isinstance(detail, Mapping) and _is_number(detail.get("expected_gain")):
            yield "expected fall of LPIPS plus face distance", f"{detail['expected_gain']:.2f}"


def score_text(face: Entry) -> str:
    """The score, and those of the networks behind it: `0.99 (aligner 0.99, yunet 0.91)`."""
    score, scores = face.get("score"), face.get("scores")
    parts = scores.items() if isinstance(scores, Mapping) else ()
    own = ", ".join(f"{name} {value:.2f}" for name, value in parts if _is_number(value))
    return " ".join(text for text in (f"{score:.2f}" if _is_number(score) else "", f"({own})" if own else "") if text)


def turn_of(face: Entry) -> str:
    """The clockwise turn of the photograph after which the face is upright, if it is not 0."""
    turn = face.get("turn")
    return f"{turn:g}\N{DEGREE SIGN}" if _is_number(turn) and turn else ""


def _expected(decision: Entry) -> Iterator[tuple[str, str]]:
    """The expected numbers of a strength decision: of the chosen strength; without one, of all strengths."""
    chosen = decision.get("strength")
    for key, value in decision.items():
        if not key.startswith("expected"):
            continue
        name, unit = key.replace("_", " "), " dB" if key == "expected_gain" else ""
        if _is_number(value):
            yield name, f"{value:+.2f}{unit}"
        elif isinstance(value, Mapping) and _is_number(value.get(chosen)):
            yield name, f"{value[chosen]:+.2f}{unit}"
        elif isinstance(value, Mapping):
            numbers = [(str(strength), number) for strength, number in value.items() if _is_number(number)]
            if key == "expected_gain":
                name, numbers = f"{name} at best", sorted(numbers, key=lambda item: -item[1])[:1]
            yield name, ", ".join(f"{number:+.2f}{unit} ({strength})" for strength, number in numbers)


def relative_box(box: Any, size: tuple[int, int]) -> Box | None:
    """A box in pixels as fractions of (width, height), cut at the border; None if it is none or lies outside."""
    if not _is_box(box):
        return None
    width, height = size
    x0, x1 = (min(1.0, max(0.0, float(v) / width)) for v in (box[0], box[2]))
    y0, y1 = (min(1.0, max(0.0, float(v) / height)) for v in (box[1], box[3]))
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def crop_window(box: Box, size: tuple[int, int]) -> Box:
    """A square (in pixels) around a face with a margin, moved into the photograph where it would leave it."""
    sides = [(box[2] - box[0]) * size[0], (box[3] - box[1]) * size[1]]
    edge = (1 + 2 * MARGIN) * max(sides)
    window = []
    for low, high, extent in ((box[0], box[2], size[0]), (box[1], box[3], size[1])):
        length = min(1.0, edge / extent)
        start = min(1.0 - length, max(0.0, (low + high - length) / 2))
        window.append((start, start + length))
    (x0, x1), (y0, y1) = window
    return x0, y0, x1, y1


def cut(photo: Image, window: Box, turns: int) -> Image:
    """The part of a photograph, at least one pixel, turned counterclockwise by quarter turns."""
    x0, x1 = (round(v * photo.width) for v in (window[0], window[2]))
    y0, y1 = (round(v * photo.height) for v in (window[1], window[3]))
    x0, y0 = min(x0, photo.width - 1), min(y0, photo.height - 1)
    pixels = photo.pixels[:, y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    return photo.with_pixels(np.ascontiguousarray(np.rot90(pixels, turns, axes=(1, 2))))


def quarter_turns(points: Any) -> int:
    """Counterclockwise quarter turns that make a face upright, from its two eyes; 0 without usable points."""
    try:
        (x0, y0), (x1, y1) = ((float(x), float(y)) for x, y in points[:2])
        angle = math.atan2(y1 - y0, x1 - x0)
    except (TypeError, ValueError, IndexError, KeyError):
        return 0
    return round(angle / (math.pi / 2)) % 4 if math.isfinite(angle) else 0


def _mappings(value: Any) -> list[Entry]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _size(value: Any) -> tuple[int, int] | None:
    usable = isinstance(value, list) and len(value) == 2 and all(isinstance(v, int) and v > 0 for v in value)
    return (value[0], value[1]) if usable else None


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
