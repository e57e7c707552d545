"""The stage `faces`: detect and align the faces of photographs, run a chain on each, paste the results back."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from odekit.core.abilities import KnowsOutputSize, report_phase
from odekit.core.image import VISIBLE, Image, Metadata, Pixels, is_square
from odekit.core.interfaces import FaceMask, StageContext, Tools
from odekit.errors import ConfigError, InputError, NoFaceWarning
from odekit.images.resize import resized
from odekit.parts.faces.find import FaceFinder, PhotoFaces
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.parts.faces.options import Alignment, Faces
from odekit.parts.faces.paste import KEPT, PhotoTone, RestoredFace, paste_face, stays
from odekit.parts.faces.visible import uncovered
from odekit.parts.faces.warp import crop_face
from odekit.parts.stages.decisions import narrowest_side, without_updates

if TYPE_CHECKING:
    from odekit.core.result import Result


class FacesStage:
    """See `odekit.parts.faces.options.Faces`."""

    def __init__(self, options: Faces, tools: Tools) -> None:
        """Make detector, mask and sub-chains, so that missing parts fail before any work."""
        self.options = options
        self.finder = None if options.align == "none" else FaceFinder(options, tools)
        self.mask: FaceMask = tools.make(options.paste.mask)
        self.each = tools.chain(options.each, aligned=True)
        self.background = None if options.background is None else tools.chain(options.background)

    @property
    def frees_tone(self) -> bool:
        """The option `tone: free`; see `odekit.core.abilities.FreesTone`."""
        return self.options.tone == "free"

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """See `odekit.core.abilities.KnowsOutputSize`."""
        factor = self.options.paste.upscale
        if self.finder is None:
            return self.each.output_size(width, height) if isinstance(self.each, KnowsOutputSize) else (width, height)
        if factor is not None:
            return max(1, round(width * factor)), max(1, round(height * factor))
        background: object = self.background
        if isinstance(background, KnowsOutputSize):
            return background.output_size(width, height)
        return width, height

    def run(self, batch: Sequence[Image], context: StageContext) -> list[Image]:
        """Photographs with restored faces. The faces of all photographs go through `each` as one batch."""
        if self.finder is None:
            return self._aligned(batch, context)
        align = self.options.align
        assert isinstance(align, Alignment)
        detections = []
        for i, photo in enumerate(batch):
            report_phase(context, "searching faces", i, len(batch))
            detections.append(self.finder.find(photo))
        crops: list[Image] = []
        sources: list[tuple[int, int, Frame]] = []
        for i, detection in enumerate(detections):
            for number in detection.selected():
                frame = Frame.fit(detection.faces[number - 1].points, TEMPLATES[align.template])
                pixels = crop_face(detection.photo.pixels, frame, align.side, align.border)
                known = None if detection.photo.faces is None else detection.photo.faces[number - 1]
                pixels = uncovered(pixels, known)
                crops.append(
                    Image(
                        pixels,
                        meta=Metadata(path=detection.photo.meta.path),
                        origin=detection.photo.origin,
                        face=number,
                        native=frame.side,
                        track="" if known is None else known.track,
                        decided={} if known is None else known.decided,
                        extra={} if known is None or known.visible is None else {VISIBLE: known.visible},
                    )
                )
                sources.append((i, number, frame))
        results = self.each.run(crops, f"{context.place}.each") if crops else []
        faces: dict[int, list[RestoredFace]] = {i: [] for i in range(len(batch))}
        facts: dict[int, dict[int, dict[str, Any]]] = {i: {} for i in range(len(batch))}
        for (i, number, frame), crop, result in zip(sources, crops, results, strict=True):
            facts[i][number] = self._collect(i, number, frame, crop, result, faces, context)
        return self._photos(detections, faces, facts, context)

    def _collect(
        self, i: int, number: int, frame: Frame, crop: Image, result: Result,
        faces: dict[int, list[RestoredFace]], context: StageContext,
    ) -> dict[str, Any]:  # fmt: skip
        """Add the result of one face to `faces`, or report its failure; returns the face's facts for the record."""
        for name, picture in result.stages:
            context.picture(i, f"face{number}-{name}", picture)
        facts: dict[str, Any] = {"stages": result.record["stages"]}
        if "face_distance" in result.record:
            facts["face_distance"] = result.record["face_distance"]
        calls = sum(stage.get("calls", 0) for stage in result.record["stages"])
        context.note(i, calls=context.notes.get(i, {}).get("calls", 0) + calls)
        try:
            after = result.image
            if after.width != after.height:
                raise ConfigError(f"'each' returned {after.width}x{after.height}; an aligned face must stay square")
        except ConfigError:
            raise
        except Exception as error:
            if self.options.failed == "fail" and i not in context.failures:
                hint = "faces.select.skip leaves a face out, faces.failed=keep keeps the original"
                context.fail(i, InputError(f"face {number}: {error}; {hint}"))
            return facts | {"failed": str(error)}
        entries = result.record["stages"]
        # a guided upsampler decides by itself whether the face is left as it was
        unchanged = without_updates(entries) and not any(e.get("guided") for e in entries)
        kept = np.array_equal(after.pixels, crop.pixels)
        narrow = narrowest_side(entries, crop.width)
        faces[i].append(RestoredFace(number, frame, crop, after, narrow, unchanged, kept=kept))
        return facts

    def _photos(
        self,
        detections: list[PhotoFaces],
        faces: dict[int, list[RestoredFace]],
        facts: dict[int, dict[int, dict[str, Any]]],
        context: StageContext,
    ) -> list[Image]:
        """Backgrounds with the faces pasted in, small faces first, so that the nearer face lies on top."""
        out: list[Image] = []
        for i, (detection, background) in enumerate(
            zip(detections, self._backgrounds(detections, context), strict=True)
        ):
            report_phase(context, "pasting faces", i, len(detections))
            if not faces[i]:
                self._report_no_face(i, detection, context)
            photo = detection.photo.pixels
            same_size = background.pixels.shape == photo.shape
            reference = background.pixels if same_size else photo  # the faces keep its detail, colour and tone
            if same_size and all(stays(face, reference, self.options.paste) for face in faces[i]):
                for face in faces[i]:
                    facts[i][face.number] |= KEPT
                faces[i] = []
            copy = faces[i] and (same_size or not background.pixels.flags.writeable)
            pixels = background.pixels.copy() if copy else background.pixels
            tones = PhotoTone.of(detection.photo) if faces[i] and self.options.tone == "keep" else None
            for face in sorted(faces[i], key=lambda f: (f.frame.side, f.number)):
                if reference is not photo:
                    face = self._with_cleaned_original(face, reference)
                facts[i][face.number] |= paste_face(pixels, reference, face, self.mask, self.options.paste, tones)
            context.note(i, faces=detection.tree(facts[i]))
            if detection.rejected:
                context.note(i, rejected=detection.rejected_tree())
            out.append(replace(background, pixels=np.ascontiguousarray(pixels)))
        return out

    def _with_cleaned_original(self, face: RestoredFace, photo: Pixels) -> RestoredFace:
        """The face with its original cut from the photograph after the background's chain."""
        assert isinstance(self.options.align, Alignment)
        crop = crop_face(photo, face.frame, face.original.width, self.options.align.border)
        return replace(face, original=face.original.with_pixels(crop), cleaned=True)

    def _report_no_face(self, i: int, detection: PhotoFaces, context: StageContext) -> None:
        """No face was restored in this photograph: warn, or fail with `require_face`."""
        if i in context.failures:
            return
        name = detection.photo.meta.path or "a picture"
        reasons = "; ".join(dict.fromkeys(detection.out.values()))
        message = f"no face found{f' to restore ({reasons})' if reasons else ''}"
        if self.options.require_face:
            context.fail(i, InputError(f"{message}; give boxes (faces.select.boxes) or lower faces.detect.score"))
        else:
            context.note(i, message=message)
            warnings.warn(f"{name}: {message}; only its background went through the chain", NoFaceWarning, stacklevel=2)

    def _backgrounds(self, detections: list[PhotoFaces], context: StageContext) -> list[Image]:
        """The photographs after the background's chain, scaled by `paste.upscale`."""
        photos = [detection.photo for detection in detections]
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
        """Run `each` on pictures that are aligned faces already (`align: none`)."""
        out = list(batch)
        ready = []
        for i, image in enumerate(batch):
            if not is_square(image):
                message = f"{image.width}x{image.height} is not an aligned square face; remove 'align: none'"
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
