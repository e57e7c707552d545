"""The stage `restore`: Algorithm 1 on aligned faces, in network calls of a fixed batch size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from odekit.core.abilities import HasRowFindings, MayBeIdle, MayInsist
from odekit.core.image import Image, is_square
from odekit.core.interfaces import Adaptive, Enhancer, Inverter, Latent, StageContext, Tools
from odekit.core.noise import BatchNoise, ImageNoise, ZeroNoise, noise_generator
from odekit.errors import ConfigError, InputError
from odekit.images.resize import area_resize_image
from odekit.images.tone import keep_tone
from odekit.parts.enhancers.none import NoEnhancer, NoneOptions
from odekit.parts.faces.is_aligned import AlignedFaceCheck
from odekit.parts.priors.batched import BatchedPrior
from odekit.parts.repair.burnt_out import BURNT, burnt_share
from odekit.parts.repair.colour import load_colour_correction
from odekit.parts.repair.deblur import deblur_face
from odekit.parts.repair.motion import undo_motion
from odekit.parts.repair.occlusion import candidate_areas
from odekit.parts.stages.advice import not_aligned_error, photo_advice
from odekit.parts.stages.face_edit import STREAMS, EditPart, FaceEdit
from odekit.parts.stages.holes import HoleFilling
from odekit.parts.stages.options import Restore
from odekit.parts.stages.pictures import KeepMasks, with_colours_of
from odekit.parts.stages.spread import sample_spread


class RestoreStage:
    """Runs `edit` on aligned faces, in batches padded to the batch size.

    An adaptive enhancer decides for each picture. Then all pictures run in one `edit`, and `BatchedPrior` packs the
    rows that need a network call into full batches.
    """

    def __init__(self, options: Restore, tools: Tools) -> None:
        """Make the parts, so that invalid combinations fail before any work.

        Raises:
            ConfigError: a level is not on the grid, or the enhancer is calibrated for another prior.
        """
        options.check()
        self.options = options
        prior = tools.prior(options.prior)
        self.prior = prior if isinstance(prior, BatchedPrior) else BatchedPrior(prior, 1)
        part, none = options.enhancer_with_temperature(), NoneOptions()
        self.enhancer: Enhancer = tools.make(part)
        holes = options.hole_inverter
        self.inverter: Inverter = tools.make(options.edit_inverter, prior=self.prior)
        self.main = FaceEdit(
            self.prior, options.inverter.name, self.inverter, self.enhancer, part.options, repeats=options.repeats
        )
        self.first = self.insistent = None
        if options.first is not None:
            first = tools.make(options.first, prior=self.prior)
            self.first = FaceEdit(self.prior, options.first.name, first, NoEnhancer(none), none, stream=1)
            self.insistent = self.first
            if isinstance(options.first.options, MayInsist):
                sure = replace(options.first, options=options.first.options.for_every_picture())
                inverter = tools.make(sure, prior=self.prior)
                self.insistent = FaceEdit(self.prior, sure.name, inverter, NoEnhancer(none), none, stream=1)
        self.holes: HoleFilling | None = None
        if holes is not None and (options.occlusions == "undo" or (options.mask is not None and self.first)):
            inverter = tools.make(holes, prior=self.prior)
            self.holes = HoleFilling(FaceEdit(self.prior, "", inverter, NoEnhancer(none), none, stream=2))
        self.adaptive = self.main.adaptive
        """The enhancer chooses its updates for each picture; all pictures run in one `edit`."""
        self.packs = self.main.packs or (self.first is not None and self.first.packs)
        """Pictures need different numbers of network calls; all run in one `edit`, which packs their rows."""
        check_alignment = options.aligned == "check" and not tools.aligned
        self.check = AlignedFaceCheck(tools) if check_alignment else None
        self.masks = None if options.mask is None else KeepMasks(options.mask, *self.prior.shape[1:])

    @property
    def packed(self) -> tuple[int, int] | None:
        """Rows requested and evaluated (padding included) so far; None if all pictures need equal calls."""
        return (self.prior.rows, self.prior.capacity) if self.packs else None

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """See `odekit.core.abilities.KnowsOutputSize`."""
        return self.prior.shape[2], self.prior.shape[1]

    def run(self, batch: Sequence[Image], context: StageContext) -> list[Image]:
        """Restored faces at the prior's side. Pictures that are not aligned faces fail; the others are processed."""
        images = list(batch)
        ready: list[int] = []
        for i, (image, reason) in enumerate(zip(batch, self.why_not_aligned(batch), strict=True)):
            try:
                if reason:
                    raise not_aligned_error(image, reason, context.place)
                images[i], corrections = self.preprocess(image, context.place)
                context.note(i, **corrections)
                if corrections.get("colour", {}).get("damaged"):
                    context.original(i, with_colours_of(context.originals[i], fit(image, self.prior.shape), images[i]))
                ready.append(i)
            except InputError as error:
                context.fail(i, error)
        self.prior.batch_size = context.batch_size
        rows = max(1, len(ready)) if self.packs else context.batch_size
        samples: dict[int, list[Image]] = {i: [] for i in ready}
        for sample in range(self.options.samples):
            for start in range(0, len(ready), rows):
                members = ready[start : start + rows]
                before, total = sample * len(ready) + start, self.options.samples * len(ready)
                part = EditPart(rows, sample, before, len(members), total)
                for i, image in self._edited({i: images[i] for i in members}, batch, part, context).items():
                    samples[i].append(image)
        for i, variants in samples.items():
            if i in context.failures:
                continue
            if len(variants) > 1:
                variants = [keep_tone(batch[i], batch[i], variant) for variant in variants]
                for number, variant in enumerate(variants[1:], 2):
                    context.extra(i, f"sample{number}", variant)
                context.extra(i, "spread", sample_spread(variants))
            images[i] = variants[0]
        return images

    def _edited(
        self, images: dict[int, Image], batch: Sequence[Image], part: EditPart, context: StageContext
    ) -> dict[int, Image]:
        """One sample of some faces, by index: holes drawn, then `first`, then `inverter` with `enhancer`."""
        keep = {} if self.masks is None else self.masks.of(images, context)
        images = {i: image for i, image in images.items() if i not in context.failures}
        if self.holes is not None:
            search = self.options.occlusions == "undo"
            areas = {i: candidate_areas(batch[i], self.prior.shape[1]) for i in images if search and i not in keep}
            images = self.holes.filled(images, keep, areas, replace(part, members=0), context)
        edits = (self.first is not None) + (not self.options.idle)
        part = replace(part, members=part.members / max(1, edits))
        if self.first is not None:
            images |= self._first({i: image for i, image in images.items() if i not in keep}, part, context)
            images = {i: image for i, image in images.items() if i not in context.failures}
            part = replace(part, before=part.before + part.members)
        if self.options.idle:
            self._note_idle(list(images), context)
            return images
        return self.main.run(images, part, context, keep or None) if images else {}

    def _first(self, images: dict[int, Image], part: EditPart, context: StageContext) -> dict[int, Image]:
        """These faces after the inverter `first`, which decides unless `Image.decided` does.

        Faces in photographs that are burnt out are left: a prior of faces takes burnt out skin for rubbish.
        """
        if self.first is None or self.insistent is None:
            return {}
        out: dict[int, Image] = {}
        wanted = {i: image.decided.get("restore") for i, image in images.items()}
        burnt = {i: burnt_share(image.pixels) for i, image in images.items() if image.native and wanted[i] is None}
        burnt = {i: share for i, share in burnt.items() if share >= BURNT}
        wanted |= dict.fromkeys(burnt, False)
        for decision, edit in ((None, self.first), (True, self.insistent)):
            some = {i: image for i, image in images.items() if wanted[i] is decision}
            if some:
                share = replace(part, members=part.members * len(some) / len(images))
                out |= edit.run(some, replace(share, rows=len(some)) if edit.packs else share, context)
                part = replace(part, before=part.before + share.members)
        for i, image in images.items():
            if wanted[i] is False:
                why = {"burnt_out": round(burnt[i], 3)} if i in burnt else {"decided_before": True}
                facts = {self.first.name: {"untouched": True, **why}}
                context.note(i, calls=context.notes.get(i, {}).get("calls", 0), **facts)
                out[i] = image
        return out

    def _note_idle(self, members: list[int], context: StageContext) -> None:
        """The record entries of faces that get no updates, whatever they look like."""
        options = self.options.enhancer.options
        for i in members:
            entry = dict(options.idle_entry) if isinstance(options, MayBeIdle) else {}
            context.note(i, calls=context.notes.get(i, {}).get("calls", 0), **entry)

    def why_not_aligned(self, batch: Sequence[Image]) -> list[str]:
        """For each picture, the reason why it is not an aligned face, or ''."""
        if self.check is None:
            return [""] * len(batch)
        checked = [i for i, image in enumerate(batch) if is_square(image)]
        reasons = dict(zip(checked, self.check.reasons([batch[i] for i in checked]), strict=True)) if checked else {}
        return [reasons.get(i, "") for i in range(len(batch))]

    def prepare(self, image: Image) -> tuple[Image, dict[str, Any]]:
        """Check that a picture is an aligned face, then preprocess it as `preprocess` does.

        Raises:
            InputError: not an aligned face.
        """
        if reason := self.why_not_aligned([image])[0]:
            raise not_aligned_error(image, reason)
        return self.preprocess(image)

    def preprocess(self, image: Image, place: str = "") -> tuple[Image, dict[str, Any]]:
        """Preprocess a picture for the inversion: resize it, and correct blur and colour where the options say so.

        Args:
            image: the picture.
            place: of this stage in the chain (`RunContext.place`), for error messages.

        Returns:
            The picture at the prior's size, and the corrections made, for the record.

        Raises:
            InputError: not a square picture.
        """
        original, image = image, fit(image, self.prior.shape, place)
        corrections: dict[str, Any] = {}
        if self.options.blur == "undo":
            image, corrections["blur"] = deblur_face(image, original)
            if not corrections["blur"]:
                image, corrections["blur"] = undo_motion(image)
        if self.options.colour == "undo":
            image, corrections["colour"] = load_colour_correction().correct(image)
        return image, {name: facts for name, facts in corrections.items() if facts}

    def decide(self, image: Image, device: str = "cpu") -> dict[str, Any]:
        """What would be decided for a picture, in the form of the record; nothing is written.

        The findings of `first`, and the decision of an adaptive enhancer unless it is set to no updates.

        Raises:
            InputError: not an aligned face.
            ConfigError: nothing is decided for each picture.
        """
        import torch

        from odekit.core.image import stack
        from odekit.edit import edit

        adaptive = self.enhancer if isinstance(self.enhancer, Adaptive) else None
        if adaptive is None and self.first is None:
            raise ConfigError("this chain treats every picture alike; set iterations: auto to choose for each picture")
        image = self.prepare(image)[0]
        clean = stack([image]).to(device)
        rows_before, decision, calls = self.prior.rows, {}, 0
        with torch.inference_mode():
            if self.first is not None:
                latents: list[Latent] = []
                noise = BatchNoise([ImageNoise(noise_generator(0, image.origin, "0", 0, STREAMS))])
                first = self.first
                clean = edit(
                    clean, first.inverter, NoEnhancer(), self.prior, noise, lambda _, one: latents.append(one)
                )  # fmt: skip
                found = latents[-1]
                if isinstance(found, HasRowFindings):
                    decision[self.first.name] = dict(found.row_findings[0].facts)
                calls, rows_before = self.prior.rows - rows_before, self.prior.rows
            if adaptive is not None and not (self.first is not None and self.options.idle):
                latent = self.inverter.invert(clean, BatchNoise([ZeroNoise()]))
                fitted = adaptive.adapt(clean, latent, self.inverter.levels)
                decision |= fitted.decisions[0].tree()
                # The decoding takes as many calls as the inversion.
                calls += 2 * (self.prior.rows - rows_before) + fitted.calls(0, self.inverter.levels)
        return decision | {"calls": calls}


def fit(image: Image, shape: tuple[int, int, int], place: str = "") -> Image:
    """Resize an aligned face to the prior's size by area averaging.

    Raises:
        InputError: the sides differ by more than 5 %.
    """
    if not is_square(image):
        raise InputError(f"{image.width}x{image.height} is not an aligned square face; {photo_advice(place)}")
    return area_resize_image(image, shape[1], shape[2])
