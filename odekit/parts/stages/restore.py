"""The stage `restore`: Algorithm 1 on aligned faces, in network calls of a fixed batch size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from odekit.core.abilities import HasRowFailures, HasRowFindings, RowFinding, TreatsRowsApart
from odekit.core.image import Image, is_square
from odekit.core.interfaces import Adaptive, Enhancer, Fitted, Inverter, Latent, StageContext, Tools
from odekit.core.noise import BatchNoise, Noise, ZeroNoise, make_batch_noise
from odekit.errors import ConfigError, InputError
from odekit.images.resize import area_resize_image
from odekit.images.tone import keep_tone
from odekit.parts.faces.is_aligned import AlignedFaceCheck
from odekit.parts.priors.batched import BatchedPrior
from odekit.parts.repair.colour import load_colour_correction
from odekit.parts.repair.deblur import deblur_face
from odekit.parts.stages.advice import not_aligned_error, photo_advice
from odekit.parts.stages.options import NO_METER, Restore
from odekit.parts.stages.pictures import latent_picture, map_picture, read_mask, with_colours_of
from odekit.parts.stages.progress import EditProgress
from odekit.parts.stages.spread import sample_spread

if TYPE_CHECKING:
    pass


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
        self.options = options
        prior = tools.prior(options.prior)
        self.prior = prior if isinstance(prior, BatchedPrior) else BatchedPrior(prior, 1)
        self.enhancer: Enhancer = tools.make(options.enhancer_with_temperature())
        self.inverter: Inverter = tools.make(options.inverter, prior=self.prior)
        self.adaptive = isinstance(self.enhancer, Adaptive)
        """The enhancer chooses its updates for each picture; all pictures run in one `edit`."""
        if isinstance(self.enhancer, Adaptive):
            self.enhancer.check_prior(self.prior.weights_digest)
        apart = isinstance(self.inverter, TreatsRowsApart)
        if apart and self.adaptive:
            raise ConfigError(NO_METER.format(options.inverter.name))
        self.packs = self.adaptive or apart
        """Pictures need different numbers of network calls; all run in one `edit`, which packs their rows."""
        self.enhancer.acts_on(self.inverter.levels)
        check_alignment = options.aligned == "check" and not tools.aligned
        self.check = AlignedFaceCheck(tools) if check_alignment else None
        self.keep = None if options.mask is None else read_mask(options.mask, *self.prior.shape[1:])

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
                progress = EditProgress(
                    context, self.prior, self.inverter.levels, self.options.enhancer_with_temperature().options,
                    rows=rows, before=before, members=len(members), total=total, rounds=self.options.repeats,
                    apart=isinstance(self.inverter, TreatsRowsApart),
                )  # fmt: skip
                for i, image in self._rows(members, rows, images, context, sample, progress).items():
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
        if self.options.colour == "undo":
            image, corrections["colour"] = load_colour_correction().correct(image)
        return image, {name: facts for name, facts in corrections.items() if facts}

    def _rows(
        self, members: list[int], rows: int, images: list[Image], context: StageContext, sample: int,
        progress: EditProgress,
    ) -> dict[int, Image]:  # fmt: skip
        """One sample of the pictures `members`, by index. Failures go to the context and are left out."""
        import torch

        from odekit.core.image import from_state, stack
        from odekit.edit import edit

        # Every operation has the same number of rows whatever the number of pictures, so that the result of a picture
        # does not depend on the others in its batch. Unused rows hold a grey picture and get no noise.
        clean = torch.zeros((rows, *self.prior.shape), dtype=torch.float64)
        clean[: len(members)] = stack([images[i] for i in members])
        clean = clean.to(context.state_device)
        noise: list[Noise] = [context.noise(images[i], sample) for i in members]
        noise += [ZeroNoise() for _ in range(rows - len(members))]
        calls = context.counter.calls
        used_before = (self.prior.rows, self.prior.capacity)
        problems: dict[int, str] = {}
        decisions: list[Fitted] = []
        findings: list[Sequence[RowFinding]] = []

        def watch(event: str, latent: Latent) -> None:
            if event == "inverted":
                progress.inverted()
            if event == "restored":
                progress.restored()
            if event == "restored" and isinstance(
                latent, HasRowFailures
            ):  # once per round: reading it synchronises the device
                for row, reason in latent.row_failures.items():
                    problems.setdefault(row, reason)
            if event == "restored" and isinstance(latent, HasRowFindings):
                findings.append(latent.row_findings)
            if event == "inverted" and sample == 0:
                for row, i in enumerate(members):
                    context.picture(i, "latent", latent_picture(images[i], latent.x[row]))

        def decided(fitted: Fitted) -> None:
            decisions.append(fitted)
            progress.decided(fitted)

        with torch.inference_mode(), progress:
            result = edit(
                clean, self.inverter, self.enhancer, self.prior, make_batch_noise(noise, context.state_device), watch,
                repeats=self.options.repeats, keep=None if self.keep is None else self.keep.to(clean.device),
                decided=decided,
            )  # fmt: skip
        calls = context.counter.calls - calls
        facts: list[dict[str, Any]] = [{"calls": calls}] * len(members)
        if self.adaptive:
            facts = self._decided(decisions, used_before)
        elif findings:
            facts = self._found(findings, used_before)
            for row, i in enumerate(members if sample == 0 else ()):
                for name, values in findings[-1][row].pictures.items():
                    context.picture(i, name, map_picture(images[i], values))
        out: dict[int, Image] = {}
        finite = (
            torch.isfinite(result).flatten(1).all(dim=1).tolist()
        )  # one read for all rows: each one synchronises the device
        for row, (i, pixels) in enumerate(zip(members, from_state(result), strict=False)):
            earlier_calls = context.notes.get(i, {}).get("calls", 0) if sample else 0
            context.note(i, **facts[row] | {"calls": earlier_calls + facts[row]["calls"]})
            if row in problems or not finite[row]:
                context.fail(i, InputError(problems.get(row, "the result is NaN or infinite; try precision float32")))
            else:
                out[i] = images[i].with_pixels(pixels)
        return out

    def decide(self, image: Image, device: str = "cpu") -> dict[str, Any]:
        """The decision of an adaptive enhancer for a picture, in the form of the record; nothing is restored.

        Raises:
            InputError: not an aligned face.
            ConfigError: the enhancer is not adaptive.
        """
        import torch

        from odekit.core.image import stack

        if not isinstance(self.enhancer, Adaptive):
            raise ConfigError("this chain treats every picture alike; set iterations: auto to choose for each picture")
        clean = stack([self.prepare(image)[0]]).to(device)
        rows_before = self.prior.rows
        with torch.inference_mode():
            latent = self.inverter.invert(clean, BatchNoise([ZeroNoise()]))
            fitted = self.enhancer.adapt(clean, latent, self.inverter.levels)
        decision: dict[str, Any] = fitted.decisions[0].tree()
        # The decoding takes as many calls as the inversion.
        return decision | {"calls": 2 * (self.prior.rows - rows_before) + fitted.calls(0, self.inverter.levels)}

    def _decided(self, rounds: list[Fitted], before: tuple[int, int]) -> list[dict[str, Any]]:
        """For each picture: its decisions, its network calls, and which fraction of the rows were not padding.

        Args:
            rounds: the decisions, one entry per round.
            before: requested and evaluated rows of the prior before the edit.
        """
        rows, capacity = self.prior.rows - before[0], self.prior.capacity - before[1]
        count = len(rounds[0].decisions)
        updates = [sum(fitted.calls(row, self.inverter.levels) for fitted in rounds) for row in range(count)]
        shared = (rows - sum(updates)) // count
        return [
            {
                "calls": shared + updates[row],
                "fill": round(rows / capacity, 4),
                "strength": [fitted.decisions[row].tree() for fitted in rounds],
            }
            for row in range(count)
        ]

    def _found(self, rounds: list[Sequence[RowFinding]], before: tuple[int, int]) -> list[dict[str, Any]]:
        """For each picture: what the inverter found out, its network calls, and the fraction of rows that were used."""
        rows, capacity = self.prior.rows - before[0], self.prior.capacity - before[1]
        count = len(rounds[0])
        own = [sum(findings[row].calls for findings in rounds) for row in range(count)]
        updates = (rows - sum(own)) // count
        name = self.options.inverter.name
        out = []
        for row in range(count):
            found = dict(rounds[-1][row].facts)
            message = found.pop("message", None)
            facts = {"calls": own[row] + updates, "fill": round(rows / capacity, 4) if capacity else 0.0, name: found}
            out.append(facts if message is None else facts | {"message": message})
        return out


def fit(image: Image, shape: tuple[int, int, int], place: str = "") -> Image:
    """Resize an aligned face to the prior's size by area averaging.

    Raises:
        InputError: the sides differ by more than 5 %.
    """
    if not is_square(image):
        raise InputError(f"{image.width}x{image.height} is not an aligned square face; {photo_advice(place)}")
    return area_resize_image(image, shape[1], shape[2])
