"""What a run did to a picture, in words: from the entries that the stages wrote into its record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from odekit.runs.outcomes import DUPLICATE, NO_CHANGE, Entry, entries, mapping, outcome_of, shares_of

SAME_PERSON = 0.45
"""Face distance between a face and its result from which they are not surely the same person (docs/measure.md)."""
LEAST_NOISE, LEAST_OUTLIERS = 0.01, 0.005
"""Smallest noise and share of outliers, as the inverter `blind` estimates them, that are mentioned."""
BUILT_IN_STAGES = frozenset({"mend", "denoise", "faces", "restore", "upsample", "keep-identity", "save"})


@dataclass(frozen=True)
class Findings:
    """What a run found in a picture, and what it did. See `findings_of`."""

    faces: int | None = None
    """Faces in a photograph, or 1 for an aligned face; None if no stage treats faces."""
    aligned: bool = False
    """The picture itself is the face: no stage searched for faces."""
    restored: Mapping[str, int] = field(default_factory=dict)
    """Strength -> number of faces restored with it; the key is empty if the chain has one strength for all faces."""
    left: Mapping[str, int] = field(default_factory=dict)
    """Reason -> number of faces left as they were."""
    repairs: tuple[str, ...] = ()
    """What was done to the picture besides its faces, such as `noise .08 taken off`."""
    remarks: tuple[str, ...] = ()
    """Other facts, such as why a face failed."""
    nothing_done: bool = False
    """No pixel was changed: as measured if the record says so, else judged by the entries of the stages."""
    different: int = 0
    """Restored faces whose distance from their originals is over `SAME_PERSON`."""

    @property
    def text(self) -> str:
        """One line, such as `3 faces, 2 restored (medium), 1 left (good enough); noise .08 taken off`."""
        parts = [self._face_text(), *self.repairs, *self.remarks, "nothing was done" if self.nothing_done else ""]
        return "; ".join(part for part in parts if part)

    def _face_text(self) -> str:
        if self.faces is None:
            return ""
        if self.aligned:
            restored, left = kinds(self.restored), kinds(self.left)
            kept = "left as it was" if self.nothing_done else "no update"
            return f"restored{restored}" if self.restored else f"{kept}{left}" if self.left else ""
        if not self.faces:
            return "no face found"
        parts = [count(self.faces, "face")]
        for verb, groups in (("restored", self.restored), ("left", self.left)):
            if groups:
                parts.append(f"{sum(groups.values())} {verb}{kinds(groups)}")
        return ", ".join(parts)

    def tree(self) -> dict[str, Any]:
        """The findings as plain data, with their text."""
        return {
            "faces": self.faces, "restored": dict(self.restored), "left": dict(self.left),
            "repairs": list(self.repairs), "different": self.different, "nothing_done": self.nothing_done,
            "text": self.text,
        }  # fmt: skip


def findings_of(record: Mapping[str, Any]) -> Findings:
    """The findings of a picture from its record, that of a file or of `Result.record`.

    Missing or unknown entries are ignored. A plugin's stage describes what it did with `context.note(i, done="...")`.
    """
    stages = list(entries(record.get("stages")))
    faces = [list(entries(stage.get("faces"))) for stage in stages if isinstance(stage.get("faces"), list)]
    aligned = not faces and any(stage.get("stage") == "restore" for stage in stages)
    restored: dict[str, int] = {}
    left: dict[str, int] = {}
    remarks: list[str] = []
    known = [face for group in faces for face in group if face.get("left_out") != DUPLICATE]
    for face in [*known, {"stages": stages}] if aligned else known:
        strength, reason = outcome_of(face)
        group, name = (left, reason) if reason else (restored, strength)
        group[name] = group.get(name, 0) + 1
        if "failed" in face:
            remarks.append(f"face {face.get('number', '?')}: {face['failed']}")
    repairs: list[str] = []
    changed = record.get("changed")
    if changed is not False:
        repairs = [*_picture_repairs(record, stages), *_face_repairs(known)]
        remarks += [f"stage '{name}' applied" for name in _unexplained(stages)]
    elif restored:
        left[NO_CHANGE] = left.get(NO_CHANGE, 0) + sum(restored.values())
        restored = {}
    treated = [record] if aligned else known
    distances = list(_distances(treated)) if restored else []
    if treated:  # a resume asks for the findings of every picture, most of which may have no face
        remarks += [*_turned(known), *_gentler(treated), *_different(distances, aligned)]
    remarks += _left_damage(stages)
    remarks += [str(stage["message"]) for stage in stages if "message" in stage and "faces" not in stage]
    nothing = not changed if isinstance(changed, bool) else not (restored or repairs or _unexplained(stages))
    if not nothing and not (restored or repairs or remarks):
        remarks.append("changed")
    count_of_faces = 1 if aligned else len(known) if faces else None
    texts = tuple(repairs), tuple(remarks)
    return Findings(count_of_faces, aligned, restored, left, *texts, nothing, len(distances))


def count(number: int, noun: str) -> str:
    """`1 face`, `2 faces`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def kinds(groups: Mapping[str, int]) -> str:
    """` (medium)`, or ` (2 medium, 1 light)` for several; empty if the only kind has no name."""
    ordered = sorted(groups.items(), key=lambda group: (-group[1], group[0]))
    if len(ordered) == 1:
        return f" ({ordered[0][0]})" if ordered[0][0] else ""
    texts = [f"{number} {name or 'of one strength'}" for name, number in ordered]
    return f" ({', '.join(texts)})" if texts else ""


def _picture_repairs(record: Entry, stages: list[Entry]) -> Iterator[str]:
    """What the stages outside faces did, in the order of the chain."""
    before = size = said = mapping(record.get("input")).get("size")
    for stage in stages:
        for part in [*entries(stage.get("background")), stage]:
            yield from _mended(part)
            yield from _denoised(part)
            yield from _corrected(part)
            done = part.get("done")
            yield from [done] if isinstance(done, str) else map(str, done) if isinstance(done, list) else []
            if part.get("stage") == "upsample":
                yield "upsampled" + _new_size(size, part.get("size"), before)
                said = part.get("size", size)
        size = stage.get("size", size)
    if said and _new_size(said, size):
        yield "resized" + _new_size(said, size)


def _new_size(before: Any, after: Any, original: Any = None) -> str:
    """` to 256x256` if the size changed, with a remark where that is less than the size of the original."""
    if before == after or not isinstance(after, list) or len(after) != 2:
        return ""
    numbers = [*after, *original] if isinstance(original, list) and len(original) == 2 else [None]
    less = all(type(number) is int for number in numbers) and after[0] < original[0]
    return f" to {after[0]}x{after[1]}" + (f", less than the original's {original[0]}x{original[1]}" if less else "")


def _mended(stage: Entry) -> Iterator[str]:
    mended, cracks = stage.get("mended"), stage.get("scratches")
    given = stage.get("scratch_mask") == "given"
    names = [str(name) for name in mended] if isinstance(mended, list) else []
    for name in names:
        if name == "scratches":
            number = "mask" if given else count(cracks, "crack") if isinstance(cracks, int) and cracks else "cracks"
            yield f"{number} filled" + _left_marks(stage)
        else:
            yield {"blocks": "JPEG blocks smoothed", "blur": "blur undone", "fading": "fading undone"}.get(
                name, f"{name} repaired"
            )


def _left_marks(stage: Entry) -> str:
    """`, 3 dark marks left`: those that may be dirt or content, because most marks are of the other kind."""
    other = stage.get("scratches_other")
    if not isinstance(other, list) or len(other) != 2 or not isinstance(other[0], int):
        return ""
    return f", {count(other[0], f'{other[1]} mark')} left"


def _denoised(stage: Entry) -> Iterator[str]:
    noise, impulses = stage.get("noise"), stage.get("impulses")
    if stage.get("impulses_removed") is True:
        yield f"impulse noise{f' in {impulses:.0%} of the pixels' if isinstance(impulses, float) else ''} taken off"
    if stage.get("denoised") is True:
        kind = "grain" if "grain" in stage else "noise"
        yield f"{kind} {f'{noise:.2f}'.lstrip('0')} taken off" if isinstance(noise, float) else f"{kind} taken off"


def _corrected(stage: Entry) -> Iterator[str]:
    """What `restore` corrected before the inversion, and what `blind` found. `mend` writes its blur as a number."""
    blur = mapping(stage.get("blur"))
    if blur and blur.get("undone", True):
        yield "blur undone"
    if mapping(stage.get("colour")).get("damaged") is True:
        yield "colours corrected"
    hidden = stage.get("occlusions")
    if isinstance(hidden, float) and hidden > 0:
        yield f"hidden {hidden:.0%} drawn anew"
    found = mapping(stage.get("blind"))
    noise, outliers = found.get("noise"), found.get("outliers")
    if isinstance(noise, float) and noise >= LEAST_NOISE:
        yield f"noise {f'{noise:.2f}'.lstrip('0')} taken off"
    if isinstance(outliers, float) and outliers >= LEAST_OUTLIERS:
        yield f"{outliers:.{0 if outliers >= 0.01 else 1}%} of the values replaced"


def _face_repairs(faces: Iterable[Entry]) -> Iterator[str]:
    """Corrections inside faces, with the number of faces."""
    corrections: Counter[str] = Counter()
    for face in faces:
        if face.get("kept") is not None:  # what the chain did was not used
            continue
        texts = [text for stage in entries(face.get("stages")) for text in _corrected(stage)]
        corrections.update(list(dict.fromkeys(texts)))
    for text, number in corrections.items():
        yield f"{text} in {count(number, 'face')}"


def _turned(faces: Iterable[Entry]) -> Iterator[str]:
    """Faces that lie on their side or stand on their head in the photograph."""
    turns = Counter(face["turn"] for face in faces if face.get("turn") in (90, 180, 270))
    for turn, number in sorted(turns.items()):
        yield f"{count(number, 'face')} turned by {turn} degrees"


def _gentler(faces: Iterable[Entry]) -> Iterator[str]:
    """Faces that the stage `keep-identity` changed less."""
    number = sum(any(0 < share < 1 for share in shares_of(entries(face.get("stages")))) for face in faces)
    if number:
        yield f"{count(number, 'face')} changed less, to keep the face distance"


def _distances(faces: Iterable[Entry]) -> Iterator[float]:
    """Face distances over `SAME_PERSON` of restored faces."""
    values = (face.get("face_distance") for face in faces if face.get("kept") is None)
    return (value for value in values if isinstance(value, int | float) and value > SAME_PERSON)


def _different(distances: Sequence[float], aligned: bool) -> Iterator[str]:
    """Faces that may have become another person; of a heavily damaged one the measure sees little."""
    if distances:
        largest = f"{max(distances):.2f}".lstrip("0")
        text = (
            "compare it with the original" if aligned else f"compare {count(len(distances), 'face')} with the original"
        )
        yield f"{text} (face distance {largest})"


def _left_damage(stages: Iterable[Entry]) -> Iterator[str]:
    """Damage that was seen and left, and what could not be measured."""
    for stage in stages:
        cracks, reason = stage.get("scratches"), stage.get("scratches_left")
        if isinstance(cracks, int) and cracks and reason:
            yield f"{count(cracks, 'crack')} left ({reason})"
        if stage.get("scratch_mask") == "given" and stage.get("scratched_share") == 0:
            yield "nothing in the mask is white"
        for part in [*entries(stage.get("background")), stage]:
            if part.get("noise_unknown"):
                yield f"noise unknown ({part['noise_unknown']})"


def _unexplained(stages: Iterable[Entry]) -> list[str]:
    """Names of a plugin's stages that did not say what they did."""
    names = (str(stage["stage"]) for stage in stages if "stage" in stage and "done" not in stage)
    return [name for name in dict.fromkeys(names) if name not in BUILT_IN_STAGES]
