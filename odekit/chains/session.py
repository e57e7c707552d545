"""A chain that is ready to run: weights loaded, device, precision and batch size decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from odekit.chains.context import RunContext
from odekit.chains.execution import Execution
from odekit.chains.plan import weights_needed
from odekit.chains.resolve import ChainSpec, prior_of
from odekit.chains.tools import Toolbox
from odekit.core.abilities import Decides, HasWeightsDigest, PacksRows
from odekit.core.counter import Counter
from odekit.core.device import out_of_memory, state_device
from odekit.core.image import Image
from odekit.core.interfaces import Prior, Stage
from odekit.core.options import Part
from odekit.core.result import Result
from odekit.errors import ConfigError, DeviceError, PluginError, WeightsError
from odekit.parts.priors.batched import BatchedPrior
from odekit.plugins.catalog import Catalog
from odekit.plugins.weights.lookup import require

WINDOW = 8
"""Batches held at once where each picture gets its own strength."""


class Session:
    """Runs batches of images through a chain. Networks are loaded once, when the session opens."""

    def __init__(
        self,
        spec: ChainSpec,
        catalog: Catalog,
        seed: int,
        execution: Execution,
        keep_stages: bool = False,
        tell: Callable[[int], None] | None = None,
    ) -> None:
        require(weights_needed(spec, catalog), catalog)
        self.spec = spec
        self.catalog = catalog
        self.seed = seed
        self.execution = execution
        self.slots = execution.batch_size
        """Rows of every network call; smaller than the batch size after memory ran out."""
        self.keep_stages = keep_stages
        self.counter = Counter(tell)
        self.views: list[BatchedPrior] = []
        """The priors that stages were given; their calls have as many rows as `slots`."""
        self.networks: dict[str, Prior] = {}
        """Loaded priors by their names in the chain."""
        self.used: dict[str, str] = {}
        """SHA-256 of the weights that parts asked for."""
        self.stages = self.made(spec.items)

    def made(self, items: Sequence[Part], aligned: bool = False) -> list[tuple[str, Stage]]:
        """Stages, ready to run; networks are shared with the other stages. `aligned`: all they get are faces."""
        tools = ChainTools(self, aligned)
        return [(item.name, tools.make(item)) for item in items]

    def prior(self, name: str | None) -> BatchedPrior:
        """A view of the chain's prior of this name, or of its only one; the network is loaded once.

        Raises:
            ConfigError: no such prior.
        """
        name = name or next(iter(self.spec.priors))
        if name not in self.spec.priors:
            raise ConfigError(f"no prior is named '{name}'; the chain has {', '.join(self.spec.priors)}")
        run = self.execution
        if name not in self.networks:
            self.networks[name] = ChainTools(self).make(prior_of(self.spec, name))
        self.views.append(BatchedPrior(self.networks[name], self.slots, self.counter, run.precision, run.device))
        return self.views[-1]

    @property
    def _packed(self) -> list[tuple[int, int]]:
        """Rows and slots of the stages that pack rows of several batches into network calls."""
        told = [stage.packed for _, stage in self.stages if isinstance(stage, PacksRows)]
        return [one for one in told if one is not None]

    @property
    def window(self) -> int:
        """Pictures to hand over at once: several batches where pictures are treated differently, to fill the slots."""
        return WINDOW * self.slots if self._packed else self.slots

    @property
    def fill(self) -> float | None:
        """Share of the slots of all network calls that held a picture, where pictures are packed; else None."""
        slots = sum(room for _, room in self._packed)
        return sum(rows for rows, _ in self._packed) / slots if slots else None

    def decide(self, image: Image) -> dict[str, Any]:
        """What the first stage decides for a picture, as records state it; nothing is restored.

        Raises:
            ConfigError: the chain does not begin with a stage that decides.
        """
        name, stage = self.stages[0]
        if not isinstance(stage, Decides):
            raise ConfigError(f"the chain begins with '{name}', which decides nothing; name a chain of aligned faces")
        return stage.decide(image, state_device(self.execution.device))

    def weights(self) -> dict[str, str]:
        """SHA-256 of the weights in use, by prior and by name."""
        found = {n: p.weights_digest for n, p in self.networks.items() if isinstance(p, HasWeightsDigest)}
        return {name: digest for name, digest in found.items() if digest} | self.used

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

    def _is_last(self, place: str) -> bool:
        """Whether the stage at this place only says how results are written."""
        return place == str(len(self.spec.items) - 1) and self.spec.items[-1].options.last

    def context(self, place: str) -> RunContext:
        """What a stage at this place is told of the run."""
        where = state_device(self.execution.device)
        return RunContext(self.seed, place, self.slots, where, self.counter, keep_pictures=self.keep_stages)

    def _stage(self, place: str, name: str, stage: Stage, live: list[Result]) -> None:
        before = [result.image for result in live]
        context = self.context(place)
        for prior in self.views:
            prior.slots = self.slots
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
            if self.keep_stages and result.error is None and not self._is_last(place):
                result.stages.append((name, image))
            note: dict[str, Any] = {"place": place, "stage": name, "seconds": round(seconds, 4), "batch": len(live)}
            note["size"] = [image.width, image.height]
            result.record["stages"].append(note | context.notes.get(i, {}))
        self.catalog.stage_done(stage=name, before=before, after=after, context=context)


class ChainTools(Toolbox):
    """The tools of the parts of an open chain. See `odekit.core.interfaces.Tools`."""

    def __init__(self, session: Session, aligned: bool = False) -> None:
        run = session.execution
        super().__init__(session.catalog, run.device, run.precision, used=session.used)
        self.session = session
        self.aligned = aligned

    def prior(self, name: str | None = None) -> BatchedPrior:
        """The chain's prior of this name, or its only one."""
        return self.session.prior(name)

    def chain(self, items: Sequence[Part], *, aligned: bool = False) -> SessionChain:
        """A sub-chain that shares the networks of this one."""
        return SessionChain(self.session, items, aligned or self.aligned)


class SessionChain:
    """A sub-chain of an open chain: `each` and `background` of `faces`, and those of plugins' stages."""

    def __init__(self, session: Session, items: Sequence[Part], aligned: bool = False) -> None:
        self.session = session
        self.stages = session.made(items, aligned)

    def run(self, images: Sequence[Image], place: str) -> list[Result]:
        """One result per image, in order; an image that fails does not stop the others."""
        results = [Result(image, image, {"stages": []}) for image in images]
        self.session.through(self.stages, results, f"{place}.")
        return results
