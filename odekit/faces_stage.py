"""The stage `faces` at work: whole photographs in, each face through a chain of its own, photographs out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from odekit.errors import ConfigError, InputError, OdekitWarning
from odekit.faces import select
from odekit.faces.geometry import TEMPLATES, Frame
from odekit.faces.options import Align, Faces
from odekit.faces.paste import Restored, Tones, put
from odekit.faces.warp import cut
from odekit.image import Image, Metadata, Pixels
from odekit.interfaces import Face, FaceDetector, FaceMask, Tools
from odekit.upsamplers.resize import resized

if TYPE_CHECKING:
    from odekit.chain import Result
    from odekit.context import StageRun

SQUARE = 0.05


class Line(Protocol):
    """A sub-chain, ready to run."""

    def run(self, images: Sequence[Image], place: str) -> list[Result]:
        """One result per image, in order; `place` is where the sub-chain stands."""
        ...


@dataclass
class Found:
    """One photograph: its faces by number from 1, and why some are left out."""

    photo: Image
    faces: list[Face] = field(default_factory=list)
    out: dict[int, str] = field(default_factory=dict)

    def chosen(self) -> list[int]:
        """Numbers of the faces to restore."""
        return [number for number in range(1, len(self.faces) + 1) if number not in self.out]

    def tree(self, facts: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
        """Every face for the record."""
        return [
            {
                "number": number,
                "box": [round(v, 1) for v in face.box],
                "points": [[round(v, 2) for v in point] for point in face.points],
                "score": face.score,
            }
            | ({"left_out": self.out[number]} if number in self.out else facts.get(number, {}))
            for number, face in enumerate(self.faces, 1)
        ]


class Finder:
    """Detection and choice: what `odekit faces` shows and the stage restores."""

    def __init__(self, options: Faces, tools: Tools) -> None:
        """The detector is made here, so that a missing part is told before any work; given boxes need none."""
        from odekit.faces.detector import Builtin

        self.options = options
        self.given = options.select.boxes
        self.detector: FaceDetector | None = None if self.given is not None else tools.make(options.detect)
        own = isinstance(self.detector, Builtin)
        self.points: Any = self.detector if own else Builtin(tools=tools)
        """Refines boxes without points."""

    def find(self, photo: Image) -> Found:
        """The faces of a photograph, numbered in reading order, and the reasons of those left out."""
        options = self.options.select
        if self.given is not None:
            faces = [self.points.given(photo, box) for box in select.boxes_for(photo, self.given)]
            return Found(photo, faces, select.choose(faces, options, photo.width, photo.height))
        assert self.detector is not None
        kept, doubles = select.distinct(self.detector.detect(photo), options.overlap)
        kept = [face if face.points else self.points.given(photo, face.box) for face in kept]
        faces = select.numbered(kept)
        out = select.choose(faces, options, photo.width, photo.height)
        for face, reason in doubles:
            faces.append(face)
            out[len(faces)] = reason
        return Found(photo, faces, out)


class FacesStage:
    """See `odekit.faces.options.Faces`."""

    def __init__(self, options: Faces, tools: Tools, each: Line, background: Line | None) -> None:
        self.options, self.each, self.background = options, each, background
        self.finder = None if options.align == "none" else Finder(options, tools)
        self.mask: FaceMask = tools.make(options.paste.mask)

    def run(self, batch: Sequence[Image], context: StageRun) -> list[Image]:
        """Photographs with their faces restored; the faces of all of them go through `each` together."""
        if self.finder is None:
            return self._aligned(batch, context)
        align = self.options.align
        assert isinstance(align, Align)
        found = [self.finder.find(photo) for photo in batch]
        crops: list[Image] = []
        owners: list[tuple[int, int, Frame]] = []
        for i, one in enumerate(found):
            for number in one.chosen():
                frame = Frame.fit(one.faces[number - 1].points, TEMPLATES[align.template])
                pixels = cut(one.photo.pixels, frame, align.side, align.border)
                crops.append(
                    Image(pixels, meta=Metadata(path=one.photo.meta.path), origin=one.photo.origin, face=number)
                )
                owners.append((i, number, frame))
        results = self.each.run(crops, f"{context.place}.each") if crops else []
        faces: dict[int, list[Restored]] = {i: [] for i in range(len(batch))}
        facts: dict[int, dict[int, dict[str, Any]]] = {i: {} for i in range(len(batch))}
        for (i, number, frame), crop, result in zip(owners, crops, results, strict=True):
            facts[i][number] = self._taken(i, number, frame, crop, result, faces, context)
        return self._photos(found, faces, facts, context)

    def _taken(
        self, i: int, number: int, frame: Frame, crop: Image, result: Result,
        faces: dict[int, list[Restored]], context: StageRun,
    ) -> dict[str, Any]:  # fmt: skip
        """One face's result: kept for pasting, or told as a failure; its facts for the record."""
        for name, picture in result.stages:
            context.picture(i, f"face{number}-{name}", picture)
        facts: dict[str, Any] = {"stages": result.record["stages"]}
        calls = sum(stage.get("calls", 0) for stage in result.record["stages"])
        context.note(i, calls=context.notes.get(i, {}).get("calls", 0) + calls)
        try:
            after = result.image
            if after.width != after.height:
                raise ConfigError(f"'each' gave {after.width}x{after.height} for an aligned face, which must be square")
        except ConfigError:
            raise
        except Exception as error:
            if self.options.failed == "fail" and i not in context.failures:
                hint = "faces.select.skip leaves a face out, faces.failed=keep leaves it as it is"
                context.fail(i, InputError(f"face {number}: {error}; {hint}"))
            return facts | {"failed": str(error)}
        sides = [stage["size"][0] for stage in result.record["stages"]]
        chosen = [one["strength"] for stage in result.record["stages"] for one in stage.get("strength", ())]
        idle = bool(chosen) and set(chosen) == {"none"}
        faces[i].append(Restored(number, frame, crop, after, min([crop.width, *sides]), idle))
        return facts

    def _photos(
        self,
        found: list[Found],
        faces: dict[int, list[Restored]],
        facts: dict[int, dict[int, dict[str, Any]]],
        context: StageRun,
    ) -> list[Image]:
        """Backgrounds, with the faces in them; small faces first, so that the nearer one lies on top."""
        out: list[Image] = []
        for i, (one, under) in enumerate(zip(found, self._backgrounds(found, context), strict=True)):
            if not faces[i]:
                self._without(i, one, context)
            same = under.pixels.shape == one.photo.pixels.shape
            seen = under.pixels if same else one.photo.pixels  # whose detail, colour and tone the faces keep
            pixels = under.pixels.copy() if (faces[i] and same) or not under.pixels.flags.writeable else under.pixels
            tones = Tones.of(one.photo) if self.options.tone == "keep" else None
            for face in sorted(faces[i], key=lambda f: (f.frame.side, f.number)):
                if seen is not one.photo.pixels:
                    face = self._again(face, seen)
                told = put(pixels, seen, face, self.mask, self.options.paste, tones)
                facts[i][face.number] |= told
            context.note(i, faces=one.tree(facts[i]))
            out.append(replace(under, pixels=np.ascontiguousarray(pixels)))
        return out

    def _again(self, face: Restored, seen: Pixels) -> Restored:
        """A face whose original is cut from the photograph as the background's chain left it."""
        assert isinstance(self.options.align, Align)
        crop = cut(seen, face.frame, face.original.width, self.options.align.border)
        return replace(face, original=face.original.with_pixels(crop), cleaned=True)

    def _without(self, i: int, one: Found, context: StageRun) -> None:
        """No face was restored in this photograph: say so, or fail."""
        if i in context.failures:
            return
        name = one.photo.meta.path or "a picture"
        reasons = "; ".join(dict.fromkeys(one.out.values()))
        what = f"no face found{f' to restore ({reasons})' if reasons else ''}"
        if self.options.require_face:
            context.fail(i, InputError(f"{what}; give boxes (faces.select.boxes) or lower faces.detect.score"))
        else:
            context.note(i, message=what)
            warnings.warn(f"{name}: {what}; only its background went through the chain", OdekitWarning, stacklevel=2)

    def _backgrounds(self, found: list[Found], context: StageRun) -> list[Image]:
        """The photographs after the background's chain, at the size that `paste.upscale` asks for."""
        photos = [one.photo for one in found]
        out = photos
        if self.background is not None:
            out = []
            for i, result in enumerate(self.background.run(photos, f"{context.place}.background")):
                context.note(i, background=result.record["stages"])
                if result.error is not None:
                    context.fail(i, result.error)
                out.append(photos[i] if result.error is not None else result.image)
        factor = self.options.paste.upscale
        if factor is None:
            return out
        sizes = [(max(1, round(p.height * factor)), max(1, round(p.width * factor))) for p in photos]
        return [p if (p.height, p.width) == s else resized(p, *s, "lanczos") for p, s in zip(out, sizes, strict=True)]

    def _aligned(self, batch: Sequence[Image], context: StageRun) -> list[Image]:
        """`align: none`: every picture is one aligned face."""
        out = list(batch)
        ready = []
        for i, image in enumerate(batch):
            short, long = sorted((image.height, image.width))
            if long - short > SQUARE * long:
                message = f"{image.width}x{image.height} is not an aligned square face; leave out 'align: none'"
                context.fail(i, InputError(message))
            else:
                ready.append(i)
        for i, result in zip(ready, self.each.run([batch[i] for i in ready], f"{context.place}.each"), strict=True):
            calls = sum(stage.get("calls", 0) for stage in result.record["stages"])
            context.note(i, calls=calls, faces=[{"number": 1, "stages": result.record["stages"]}])
            if result.error is not None:
                context.fail(i, result.error)
            else:
                out[i] = result.image
        return out
