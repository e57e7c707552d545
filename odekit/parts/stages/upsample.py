"""The stage `upsample`: one upsampler over the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from odekit.core.abilities import ForeseesJudgement, HasBatchSize, JudgesResult, report_phase
from odekit.core.image import Image
from odekit.core.interfaces import StageContext, Tools, UpsamplerSpec
from odekit.core.precision import precision
from odekit.errors import ConfigError
from odekit.parts.stages.decisions import changed_much
from odekit.parts.stages.identity_risk import IdentityRisk
from odekit.parts.stages.options import Upsample


class UpsampleStage:
    """Runs one upsampler over the batch. Guided upsamplers see the images as they entered the chain."""

    def __init__(self, options: Upsample, tools: Tools) -> None:
        self.upsampler: Any = tools.make(options.upsampler)
        judges = isinstance(self.upsampler, JudgesResult)
        self.identity: IdentityRisk | None = IdentityRisk(tools) if judges else None

    def run(self, batch: Sequence[Image], context: StageContext) -> list[Image]:
        """Upsampled images, in order.

        A face that the earlier stages left as it was or hardly changed, and whose result is not worth more than the
        original according to a guided upsampler, comes back bit for bit if it has the size of a result.
        """
        spec = self.upsampler.spec
        guided = isinstance(spec, UpsamplerSpec) and spec.guided
        chosen = [i for i in range(len(batch)) if not (guided and self._spared(i, context))]
        # Groups of the upsampler's own batch size give the same bytes as the whole batch.
        group = max(1, self.upsampler.batch_size if isinstance(self.upsampler, HasBatchSize) else len(batch))
        results: dict[int, Image] = {}
        # An upsampler makes one network call where a prior makes hundreds, so full float32 costs little.
        with precision("float32", context.state_device):
            for start in range(0, len(chosen), group):
                report_phase(context, "upsampling", start, len(chosen))
                numbers = chosen[start : start + group]
                images, noise = [batch[i] for i in numbers], [context.noise(batch[i]) for i in numbers]
                if guided:
                    originals = [context.originals[i] for i in numbers]
                    upsampled = self.upsampler.upsample(images, noise, originals=originals)
                else:
                    upsampled = self.upsampler.upsample(images, noise)
                if len(upsampled) != len(images):
                    raise ConfigError(f"the upsampler returned {len(upsampled)} images for {len(images)}")
                results |= zip(numbers, upsampled, strict=True)
        if guided:
            results = {i: self._judged(i, image, context) for i, image in results.items()}
        return [results[i] if i in results else context.originals[i] for i in range(len(batch))]

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """See `odekit.core.abilities.KnowsOutputSize`."""
        spec = self.upsampler.spec
        if not isinstance(spec, UpsamplerSpec) or (spec.scale is None and spec.side is None):
            return width, height
        factor = spec.scale if spec.scale is not None else (spec.side or 0) / max(width, height)
        return max(1, round(width * factor)), max(1, round(height * factor))

    def _spared(self, i: int, context: StageContext) -> bool:
        """Whether a face is left without a result, because the upsampler knows that it would not be used."""
        original = context.originals[i]
        if (
            not isinstance(self.upsampler, ForeseesJudgement)
            or "detail" in original.decided
            or changed_much(context.earlier[i])
        ):
            return False
        judgement = self.upsampler.foresee(original)
        if judgement is not None:
            context.note(i, guided=True, detail=judgement.tree() | {"kept_original": True})
        return judgement is not None

    def _judged(self, i: int, result: Image, context: StageContext) -> Image:
        """The result, or the original where that is good enough, or where it was decided before that it is."""
        original = context.originals[i]
        same_size = (original.height, original.width) == (result.height, result.width)
        decided = original.decided.get("detail")
        if decided is not None and (decided or same_size):
            context.note(i, guided=True, detail={"act": decided, "kept_original": not decided, "decided_before": True})
            return result if decided else original
        judgement = self.upsampler.judge(original, result) if isinstance(self.upsampler, JudgesResult) else None
        if judgement is None:
            context.note(i, guided=True)
            return result
        treated = changed_much(context.earlier[i])
        risk = {} if treated or not judgement.act or self.identity is None else self.identity.of(original, result)
        act = treated or (judgement.act and judgement.margin > risk.get("risk", 0.0))
        kept = not act and same_size
        context.note(i, guided=True, detail=judgement.tree() | risk | {"act": act, "kept_original": kept})
        return original if kept else result
