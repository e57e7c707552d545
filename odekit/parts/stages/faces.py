"""The stage `faces` at work: whole photographs in, each face through a chain of its own, photographs out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from odekit.core.image import Image, Metadata, Pixels, is_square
from odekit.core.interfaces import FaceMask, StageContext, Tools
from odekit.errors import ConfigError, InputError, OdekitWarning
from odekit.images.resize import resized
from odekit.parts.faces.find import Finder, Found
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.parts.faces.options import Align, Faces
from odekit.parts.faces.paste import Restored, Tones, put
from odekit.parts.faces.warp import cut

if TYPE_CHECKING:
    from odekit.core.result import Result


class FacesStage:
    """See `odekit.parts.faces.options.Faces`."""

    def __init__(self, options: Faces, tools: Tools) -> None:
        """Make detector, mask and sub-chains; whatever is missing shows here."""
        self.options = options
        self.finder = None if options.align == "none" else Finder(options, tools)
        self.mask: FaceMask = tools.make(options.paste.mask)
        self.each = tools.chain(options.each, aligned=True)
        self.background = None if options.background is None else tools.chain(options.background)

    def run(self, batch: Sequence[Image], context: StageContext) -> list[Image]:
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
        faces: dict[int, list[Restored]], context: StageContext,
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
        context: StageContext,
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

    def _without(self, i: int, one: Found, context: StageContext) -> None:
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

    def _backgrounds(self, found: list[Found], context: StageContext) -> list[Image]:
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

    def _aligned(self, batch: Sequence[Image], context: StageContext) -> list[Image]:
        """`align: none`: every picture is one aligned face."""
        out = list(batch)
        ready = []
        for i, image in enumerate(batch):
            if not is_square(image):
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
