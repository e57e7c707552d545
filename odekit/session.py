"""A chain that is ready to run: weights loaded, device, precision and slots decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from odekit.chain import Result
from odekit.config import ChainSpec
from odekit.context import CountedPrior, Counter, StageRun, tensor_device
from odekit.device import resolve_device, stored
from odekit.errors import ConfigError, DeviceError, PluginError, WeightsError
from odekit.guard import precision_for
from odekit.image import Image
from odekit.interfaces import Adaptive, Prior, Stage
from odekit.memory import out_of_memory
from odekit.options import Part
from odekit.plan import weights_needed
from odekit.registry import Catalog, loaded
from odekit.restoring import RestoreStage
from odekit.slots import SlottedPrior
from odekit.stages import SaveStage, UpsampleStage, enhancer_of
from odekit.startup import resume
from odekit.weights import require

WINDOW = 8
"""Batches held at once where each picture gets its own strength."""


class Toolbox:
    """The `tools` that factories of parts with weights are given."""

    def __init__(self, catalog: Catalog, device: str, precision: str, prior: Prior | None = None) -> None:
        self.catalog = catalog
        self.device = device
        self.precision = stored(precision)
        self.tf32 = precision == "tf32"
        """Whether a prior may multiply float32 numbers in TF32 (see `odekit.arithmetic`)."""
        self.prior = prior
        self.used: dict[str, str] = {}
        """SHA-256 of the weights that were asked for, by name."""

    def weights(self, name: str) -> Any:
        """The verified local path of named weights."""
        from odekit.weights import digest_of, path_of

        path = path_of(name, self.catalog)
        self.used[name] = digest_of(name, self.catalog)
        return path

    def make(self, part: Part) -> Any:
        """Build a part: `factory(options)` for pure mathematics, `factory(options, tools)` for the rest."""
        factory = self.catalog.get(part.kind, part.name).load()
        if part.kind in ("solver", "enhancer", "corruption"):
            return factory(part.options)
        return factory(part.options, self)

    def with_prior(self, prior: Prior) -> Toolbox:
        """The same tools for parts that work with this prior."""
        tools = Toolbox(self.catalog, self.device, "tf32" if self.tf32 else self.precision, prior)
        tools.used = self.used
        return tools


class Session:
    """Runs batches of images through a chain. Networks are loaded once, when the session opens."""

    def __init__(
        self,
        spec: ChainSpec,
        catalog: Catalog,
        seed: int,
        device: str,
        precision: str,
        slots: int,
        keep_stages: bool = False,
        tell: Callable[[int], None] | None = None,
    ) -> None:
        if slots < 1:
            raise ConfigError(f"the batch size is {slots}; it is at least 1")
        require(weights_needed(spec, catalog), catalog)
        self.spec = spec
        self.seed = seed
        self.device = resolve_device(device)
        self.precision = precision_for(precision, self.device, spec, catalog)
        self.slots = slots
        self.keep_stages = keep_stages
        self.counter = Counter(tell)
        self.tools = Toolbox(catalog, self.device, self.precision)
        self.priors: dict[str, CountedPrior] = {}
        self.stages = self.made(spec.items)
        resume()

    def made(self, items: Sequence[Part], aligned: bool = False) -> list[tuple[str, Stage]]:
        """Stages, ready to run; networks are shared with the other stages. `aligned`: all they get are faces."""
        return [(item.name, self._make(item, aligned)) for item in items]

    def _prior(self, name: str | None) -> CountedPrior:
        name = name or next(iter(self.spec.priors))
        if name not in self.priors:
            self.priors[name] = CountedPrior(
                self.tools.make(self.spec.priors[name]), self.counter, self.precision, self.device
            )
        return self.priors[name]

    def _make(self, item: Part, aligned: bool) -> Stage:
        options: Any = item.options
        if item.name == "restore":
            enhancer = self.tools.make(enhancer_of(options))
            prior: Prior = self._prior(options.prior)
            if isinstance(enhancer, Adaptive):  # pictures that differ in what they need are held together
                enhancer.belongs(getattr(self._prior(options.prior).prior, "weights_digest", None))
                prior = SlottedPrior(prior, self.slots)
            tools = self.tools.with_prior(prior)
            looks = options.aligned == "check" and not aligned
            stage = RestoreStage(options, prior, tools.make(options.inverter), enhancer, looks)
            enhancer.acts_on(stage.inverter.levels)
            return stage
        if item.name == "upsample":
            return UpsampleStage(self.tools.make(options.upsampler))
        if item.name == "faces":
            from odekit.faces_stage import FacesStage

            background = None if options.background is None else SubChain(self, options.background)
            return FacesStage(options, self.tools, SubChain(self, options.each, aligned=True), background)
        if item.name == "save":
            return SaveStage()
        made: Stage = self.tools.make(item)
        return made

    @property
    def window(self) -> int:
        """Pictures to hand over at once: several batches where pictures are treated differently, to fill the slots."""
        adaptive = any(isinstance(getattr(stage, "prior", None), SlottedPrior) for _, stage in self.stages)
        return WINDOW * self.slots if adaptive else self.slots

    @property
    def fill(self) -> float | None:
        """Share of the slots of all network calls that held a picture, where pictures are packed; else None."""
        packed = [p for _, stage in self.stages if isinstance(p := getattr(stage, "prior", None), SlottedPrior)]
        room = sum(prior.room for prior in packed)
        return sum(prior.rows for prior in packed) / room if room else None

    def decide(self, image: Image) -> dict[str, Any]:
        """What the first stage decides for a picture (see `RestoreStage.decide`).

        Raises:
            ConfigError: the chain does not begin with a `restore` that decides.
        """
        name, stage = self.stages[0]
        if not isinstance(stage, RestoreStage):
            raise ConfigError(f"the chain begins with '{name}', which decides nothing; name a chain of aligned faces")
        return stage.decide(image, tensor_device(self.device))

    def weights(self) -> dict[str, str]:
        """SHA-256 of the weights in use, by prior and by name."""
        digests = {name: getattr(prior.prior, "weights_digest", None) for name, prior in self.priors.items()}
        return {name: digest for name, digest in digests.items() if digest} | self.tools.used

    def run(self, images: Sequence[Image]) -> list[Result]:
        """One result per image, in order; an image that fails does not stop the others."""
        results = [Result(image, image, {"stages": []}) for image in images]
        if self.keep_stages:
            for result in results:
                result.stages.append(("input", result.source))
        self.through(self.stages, results)
        return results

    def through(self, stages: Sequence[tuple[str, Stage]], results: Sequence[Result], place: str = "") -> None:
        """Take results through stages; `place` is what stands before each stage's number."""
        for number, (name, stage) in enumerate(stages):
            live = [result for result in results if result.error is None]
            if live:
                self._stage(f"{place}{number}", name, stage, live)

    def _stage(self, place: str, name: str, stage: Stage, live: list[Result]) -> None:
        before = [result.image for result in live]
        context = StageRun(
            self.seed, place, self.slots, tensor_device(self.device), self.counter, keep_pictures=self.keep_stages
        )
        began = time.perf_counter()
        try:
            after = stage.run(before, context)
        except (ConfigError, DeviceError, PluginError, WeightsError):
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            if len(live) > 1:  # one picture may be to blame: slots are padded, so alone each gives the same bytes
                for result in live:
                    self._stage(place, name, stage, [result])
                return
            live[0].error = error
            return
        seconds = (time.perf_counter() - began) / len(live)
        for i, (result, image) in enumerate(zip(live, after, strict=True)):
            result.error = context.failures.get(i)
            result.output = image if result.error is None else None
            result.stages += context.pictures.get(i, [])
            result.extras += context.extras.get(i, [])
            if self.keep_stages and result.error is None and name != "save":
                result.stages.append((name, image))
            note: dict[str, Any] = {"place": place, "stage": name, "seconds": round(seconds, 4), "batch": len(live)}
            note["size"] = [image.width, image.height]
            result.record["stages"].append(note | context.notes.get(i, {}))
        loaded()[1].hook.odekit_stage_done(stage=name, before=before, after=after, context=context)


class SubChain:
    """A chain inside a stage: `each` and `background` of `faces`."""

    def __init__(self, session: Session, items: Sequence[Part], aligned: bool = False) -> None:
        self.session = session
        self.stages = session.made(items, aligned)

    def run(self, images: Sequence[Image], place: str) -> list[Result]:
        """One result per image, in order; an image that fails does not stop the others."""
        results = [Result(image, image, {"stages": []}) for image in images]
        self.session.through(self.stages, results, f"{place}.")
        return results
