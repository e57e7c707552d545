"""One `edit` of a batch of faces: its noise, its record entries, and its intermediate pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from odekit.core.abilities import HasRowFailures, HasRowFindings, MayBeIdle, RowFinding, TreatsRowsApart
from odekit.core.image import Image
from odekit.core.interfaces import Adaptive, Enhancer, Fitted, Inverter, Latent, StageContext
from odekit.core.noise import Noise, ZeroNoise, make_batch_noise
from odekit.errors import ConfigError, InputError
from odekit.parts.priors.batched import BatchedPrior
from odekit.parts.stages.options import NO_METER
from odekit.parts.stages.pictures import latent_picture, map_picture
from odekit.parts.stages.progress import EditProgress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from odekit.core.options import Options

STREAMS = 64
"""Samples that a stage may draw at most: edit number n of a stage has the noise streams from n times this on."""


@dataclass(frozen=True)
class EditPart:
    """Which part of a stage's work an edit is."""

    rows: int
    """Rows of every operation; unused ones are grey. A result does not depend on the other pictures."""
    sample: int
    """Number of the sample, from 0."""
    before: float
    """Faces finished before, for the progress."""
    members: float
    """Faces that this edit finishes."""
    total: float


class FaceEdit:
    """An inverter with its enhancer, applied to faces at the prior's size."""

    def __init__(
        self, prior: BatchedPrior, name: str, inverter: Inverter, enhancer: Enhancer, settings: Options,
        *, repeats: int = 1, stream: int = 0,
    ) -> None:  # fmt: skip
        """Check that the parts fit together.

        Args:
            prior: of the calls.
            name: of the inverter; its findings are recorded under it. Empty: they are not recorded.
            inverter: the inverter.
            enhancer: the enhancer.
            settings: options of the enhancer.
            repeats: rounds.
            stream: number of this edit in its stage; edits draw independent noise.

        Raises:
            ConfigError: a level is not on the grid, the enhancer is calibrated for another prior, or it reads latents
                that the inverter does not make.
        """
        self.prior, self.name, self.inverter, self.enhancer = prior, name, inverter, enhancer
        self.settings, self.repeats, self.stream = settings, repeats, stream
        self.adaptive = isinstance(enhancer, Adaptive)
        idle = isinstance(settings, MayBeIdle) and settings.idle
        if isinstance(enhancer, Adaptive) and not idle:
            enhancer.check_prior(prior.weights_digest)
        self.apart = isinstance(inverter, TreatsRowsApart)
        if self.apart and self.adaptive:
            raise ConfigError(NO_METER.format(name))
        enhancer.acts_on(inverter.levels)

    @property
    def packs(self) -> bool:
        """Pictures need different numbers of network calls; all run in one `edit`, which packs their rows."""
        return self.adaptive or self.apart

    def run(
        self, images: Mapping[int, Image], part: EditPart, context: StageContext,
        keep: Mapping[int, NDArray[np.float64]] | None = None,
    ) -> dict[int, Image]:  # fmt: skip
        """The edited faces, by index. Failures go to the context and are left out; record entries are added to it.

        Args:
            images: faces at the prior's size, at most `part.rows`, by their index in the stage's batch.
            part: which part of the work this is.
            context: of the stage.
            keep: for each face (H, W), 1 where its pixels are kept; None: no face has such a mask.
        """
        import torch

        from odekit.core.image import from_state, stack
        from odekit.edit import edit

        # Every operation has the same number of rows whatever the number of pictures, so that the result of a picture
        # does not depend on the others in its batch. Unused rows hold a grey picture and get no noise.
        members = list(images)
        clean = torch.zeros((part.rows, *self.prior.shape), dtype=torch.float64)
        clean[: len(members)] = stack([images[i] for i in members])
        clean = clean.to(context.state_device)
        kept = None
        if keep is not None:
            kept = torch.ones((part.rows, 1, *self.prior.shape[1:]), dtype=torch.float64)
            for row, i in enumerate(members):
                kept[row, 0] = torch.from_numpy(keep[i])
            kept = kept.to(context.state_device)
        sample = part.sample + STREAMS * self.stream
        noise: list[Noise] = [context.noise(images[i], sample) for i in members]
        noise += [ZeroNoise() for _ in range(part.rows - len(members))]
        calls = context.counter.calls
        used_before = (self.prior.rows, self.prior.capacity)
        problems: dict[int, str] = {}
        decisions: list[Fitted] = []
        findings: list[Sequence[RowFinding]] = []
        progress = EditProgress(
            context, self.prior, self.inverter.levels, self.settings, rows=part.rows, before=part.before,
            members=part.members, total=part.total, rounds=self.repeats, apart=self.apart,
        )  # fmt: skip

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
            if event == "inverted" and part.sample == 0 and not self.stream:
                for row, i in enumerate(members):
                    context.picture(i, "latent", latent_picture(images[i], latent.x[row]))

        def decided(fitted: Fitted) -> None:
            decisions.append(fitted)
            progress.decided(fitted)

        with torch.inference_mode(), progress:
            result = edit(
                clean, self.inverter, self.enhancer, self.prior, make_batch_noise(noise, context.state_device), watch,
                repeats=self.repeats, keep=kept, decided=decided,
            )  # fmt: skip
        calls = context.counter.calls - calls
        facts: list[dict[str, Any]] = [{"calls": calls}] * len(members)
        if self.adaptive:
            facts = self._decided(decisions, used_before)
        elif findings:
            facts = self._found(findings, used_before)
            for row, i in enumerate(members if part.sample == 0 and self.name else ()):
                for name, values in findings[-1][row].pictures.items():
                    context.picture(i, name, map_picture(images[i], values))
        out: dict[int, Image] = {}
        finite = (
            torch.isfinite(result).flatten(1).all(dim=1).tolist()
        )  # one read for all rows: each one synchronises the device
        for row, (i, pixels) in enumerate(zip(members, from_state(result), strict=False)):
            earlier_calls = context.notes.get(i, {}).get("calls", 0)
            context.note(i, **facts[row] | {"calls": earlier_calls + facts[row]["calls"]})
            if row in problems or not finite[row]:
                context.fail(i, InputError(problems.get(row, "the result is NaN or infinite; try precision float32")))
            else:
                out[i] = images[i].with_pixels(pixels)
        return out

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
        out = []
        for row in range(count):
            found = dict(rounds[-1][row].facts)
            message = found.pop("message", None)
            facts: dict[str, Any] = {
                "calls": own[row] + updates,
                "fill": round(rows / capacity, 4) if capacity else 0.0,
            }
            facts |= {self.name: found} if self.name else {}
            out.append(facts if message is None else facts | {"message": message})
        return out
