"""An open chain: weights loaded, device, precision and batch size resolved, for running batches of images."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from odekit.chains.adjust import FACE_STAGE
from odekit.chains.context import RunContext
from odekit.chains.execution import Execution
from odekit.chains.faults import place_of_fault
from odekit.chains.identity import IdentityCheck
from odekit.chains.output_size import size_after
from odekit.chains.packages import require_packages
from odekit.chains.plan import required_weights
from odekit.chains.resolve import ChainSpec, prior_of
from odekit.chains.tools import PartTools
from odekit.chains.tuning.batch_size import check_memory
from odekit.core.abilities import Decides, FreesTone, HasWeightsDigest, PacksRows
from odekit.core.counter import CallCounter
from odekit.core.device import is_out_of_memory, state_device
from odekit.core.image import Image
from odekit.core.interfaces import Prior, Stage
from odekit.core.interrupts import stray_interrupts
from odekit.core.options import Part
from odekit.core.result import Result
from odekit.errors import (
    PLUGIN_FAULTS,
    ConfigError,
    DeviceError,
    OdekitError,
    OutputError,
    PluginError,
    StrayInterrupt,
    WeightsError,
)
from odekit.images.tone import keep_tone
from odekit.parts.priors.batched import BatchedPrior
from odekit.plugins.catalog import BUILT_IN, Catalog
from odekit.plugins.weights.lookup import require_weights

if TYPE_CHECKING:
    from odekit.core.progress import Tell
    from odekit.images.accept import Picture

EXHAUSTED = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE})
"""Errors of the system that every further picture would meet: a full disk, too many open files."""
WINDOW_BATCHES = 8
"""Batches in memory at once if the pictures of a batch may need different numbers of network calls."""


class Session:
    """Runs batches of images through a chain. Networks are loaded once, when the session opens.

    Args:
        spec: the resolved chain.
        catalog: of its parts.
        seed: of the noise.
        execution: device, precision and batch size.
        keep_stages: keep intermediate pictures in the results.
        on_calls: progress callback; receives the number of network calls since the previous callback.
        on_phase: progress callback; receives the name of the phase, and how many of how many images or faces are done.
            Both callbacks may raise `odekit.errors.Stopped`, which ends the batch.
        measure_identity: write `face_distance` into the records of changed faces, 50 ms each on a processor.

    Raises:
        PluginError: packages are missing; the message names all of them.
        ConfigError: the batch size does not fit into memory.
        WeightsError: weights are missing; the message names all of them.
    """

    def __init__(
        self,
        spec: ChainSpec,
        catalog: Catalog,
        seed: int,
        execution: Execution,
        keep_stages: bool = False,
        on_calls: Callable[[int], None] | None = None,
        on_phase: Callable[[str, float, int], None] | None = None,
        measure_identity: bool = True,
    ) -> None:
        require_packages(spec, catalog)
        require_weights(required_weights(spec, catalog), catalog)
        check_memory(execution.batch_size, execution.device, spec, catalog)
        self.spec = spec
        self.catalog = catalog
        self.seed = seed
        self.execution = execution
        self.batch_size = execution.batch_size
        """Current batch size of network calls; smaller than that of `execution` after an out-of-memory error."""
        self.keep_stages = keep_stages
        self.counter = CallCounter(on_calls)
        self.on_phase = on_phase
        self.views: list[BatchedPrior] = []
        """The priors passed to stages; `batch_size` sets the number of rows of their calls."""
        self.networks: dict[str, Prior] = {}
        """Loaded priors by their names in the chain."""
        self.used: dict[str, str] = {}
        """SHA-256 of the weights requested by parts, by name or path."""
        self.identity = IdentityCheck(catalog, state_device(execution.device)) if measure_identity else None
        self.stages = self.make_stages(spec.items)

    def make_stages(self, items: Sequence[Part], aligned: bool = False) -> list[tuple[str, Stage]]:
        """Build stages that share the loaded networks. `aligned`: all their inputs are aligned faces."""
        from odekit.core.meta_tensors import unfilled_meta_tensors

        tools = ChainTools(self, aligned)
        with unfilled_meta_tensors():
            return [(item.name, tools.make(item)) for item in items]

    def prior(self, name: str | None) -> BatchedPrior:
        """The named prior of the chain, or its only one if `name` is None, in batched calls; loaded on first use.

        Raises:
            ConfigError: there is no such prior.
        """
        name = name or next(iter(self.spec.priors))
        if name not in self.spec.priors:
            raise ConfigError(f"no prior is named '{name}'; the chain has {', '.join(self.spec.priors)}")
        execution = self.execution
        if name not in self.networks:
            self.networks[name] = ChainTools(self).make(prior_of(self.spec, name))
        view = BatchedPrior(self.networks[name], self.batch_size, self.counter, execution.precision, execution.device)
        self.views.append(view)
        return view

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the result for a picture of this size, before it is run."""
        return size_after(self.stages, width, height)

    @property
    def _packed_rows(self) -> list[tuple[int, int]]:
        """(occupied rows, all rows) in the network calls of each stage that packs rows of several batches."""
        counts = [stage.packed for _, stage in self.stages if isinstance(stage, PacksRows)]
        return [count for count in counts if count is not None]

    @property
    def window(self) -> int:
        """Number of pictures to pass at once: several batches if a stage packs rows, else one batch."""
        return WINDOW_BATCHES * self.batch_size if self._packed_rows else self.batch_size

    @property
    def fill(self) -> float | None:
        """Occupied share of the rows of all network calls; None if no stage packs rows."""
        capacity = sum(total for _, total in self._packed_rows)
        return sum(occupied for occupied, _ in self._packed_rows) / capacity if capacity else None

    def decide(self, image: Image) -> dict[str, Any]:
        """Decision of the first stage that decides, in the form used in records; the stages before it are run.

        Raises:
            ConfigError: no stage takes decisions for a picture.
        """
        for number, (_, stage) in enumerate(self.stages):
            if isinstance(stage, Decides):
                result = Result(image, image, {"stages": []})
                self.run_stages(self.stages[:number], [result])
                return stage.decide(result.image, state_device(self.execution.device))
        raise ConfigError(
            f"the first stage of the chain, '{self.stages[0][0]}', takes no decision for a picture; use a chain of "
            "aligned faces"
        )

    def weights(self) -> dict[str, str]:
        """SHA-256 of the weights in use, by prior and by name."""
        digests = {n: p.weights_digest for n, p in self.networks.items() if isinstance(p, HasWeightsDigest)}
        return {name: digest for name, digest in digests.items() if digest} | self.used

    def run(self, images: Sequence[Image]) -> list[Result]:
        """Run a batch; one result per image, in order. An image that fails does not stop the others."""
        results = [Result(image, image, {"stages": []}) for image in images]
        if self.keep_stages:
            for result in results:
                result.stages.append(("input", result.source))
        self.run_stages(self.stages, results)
        if self.identity is not None and any(name == FACE_STAGE for name, _ in self.stages):
            self.identity.note(results)
        return results

    def restore(self, pictures: Sequence[Picture], tell: Tell | None = None) -> list[Result]:
        """Restore any number of pictures, with whole records, as `Chain.run` does; the networks stay loaded.

        Args:
            pictures: what `odekit.as_image` takes.
            tell: progress callback; see `Chain.run`. It may raise `odekit.Stopped`; the session can run again.

        Raises:
            InputError: a picture cannot be read, or is nothing of these.
        """
        from odekit.chains.windows import restore_pictures

        return restore_pictures(self, pictures, tell)

    def run_stages(self, stages: Sequence[tuple[str, Stage]], results: Sequence[Result], place: str = "") -> None:
        """Run stages on results that have not failed and update them; `place` is the prefix of each stage's index."""
        for number, (name, stage) in enumerate(stages):
            live = [result for result in results if result.error is None]
            if live:
                self._run_stage(f"{place}{number}", name, stage, live)

    def _described(self, name: str) -> str:
        """A stage by its name, and its distribution if it is a plugin's."""
        dist = self.catalog.get("stage", name, (BUILT_IN,)).dist
        return f"the stage '{name}'" if dist == BUILT_IN else f"the stage '{name}' of the plugin {dist}"

    def _is_output_stage(self, place: str) -> bool:
        """Whether the stage at this index is `save` or the like, which only sets how results are written."""
        return place == str(len(self.spec.items) - 1) and self.spec.items[-1].options.last

    def context(self, place: str) -> RunContext:
        """The context of the stage at this index."""
        device = state_device(self.execution.device)
        return RunContext(
            self.seed, place, self.batch_size, device, self.counter, keep_pictures=self.keep_stages,
            on_phase=self.on_phase,
        )  # fmt: skip

    def _run_stage(self, place: str, name: str, stage: Stage, live: list[Result]) -> None:
        before = [result.image for result in live]
        context = self.context(place)
        context.originals = [result.original or result.source for result in live]
        context.earlier = [tuple(result.record["stages"]) for result in live]
        for prior in self.views:
            prior.batch_size = self.batch_size
        if not self._is_output_stage(place):
            context.phase(name, 0, len(live))  # a stage that knows more replaces this
        started = time.perf_counter()
        try:
            with stray_interrupts():
                after = check_returned(stage.run(before, context), len(live), name)
        except (ConfigError, DeviceError, OutputError, PluginError, WeightsError):
            raise
        except PLUGIN_FAULTS as raised:
            if isinstance(raised, OSError) and raised.errno in EXHAUSTED:
                # All further pictures would meet it, too.
                raise OutputError(f"{self._described(name)}: {raised.strerror or raised}") from raised
            error: Exception
            if isinstance(raised, SystemExit):
                error = PluginError(f"the stage '{name}' ended the program")
            elif isinstance(raised, StrayInterrupt):
                error = PluginError(f"the stage '{name}' raised {raised}")
            else:
                error = raised
            if is_out_of_memory(error):
                raise
            if (
                len(live) > 1
            ):  # retry one by one to isolate the failure; the bytes do not change, because batches are padded
                for result in live:
                    self._run_stage(place, name, stage, [result])
                return
            live[0].error = error
            if not isinstance(error, OdekitError):
                live[0].record["failure"] = place_of_fault(error, name, self.spec, self.catalog)
            return
        if place.isdigit() and not (isinstance(stage, FreesTone) and stage.frees_tone):  # not in a sub-chain
            after = [keep_tone(result.source, *pair) for result, *pair in zip(live, before, after, strict=True)]
        seconds = (time.perf_counter() - started) / len(live)
        for i, (result, image) in enumerate(zip(live, after, strict=True)):
            result.error = context.failures.get(i)
            result.output = image if result.error is None else None
            result.original = context.corrected.get(i, result.original)
            result.stages += context.pictures.get(i, [])
            result.extras += context.extras.get(i, [])
            if self.keep_stages and result.error is None and not self._is_output_stage(place):
                result.stages.append((name, image))
            entry: dict[str, Any] = {"place": place, "stage": name, "seconds": round(seconds, 4), "batch": len(live)}
            entry["size"] = [image.width, image.height]
            result.record["stages"].append(entry | context.notes.get(i, {}))
        self.catalog.stage_done(stage=name, before=before, after=after, context=context)


def check_returned(returned: object, count: int, name: str) -> list[Image]:
    """What a stage returned, if it is one `Image` for each of its `count` images. Raises PluginError otherwise."""
    if not isinstance(returned, Sequence):
        raise PluginError(f"the stage '{name}' returned {type(returned).__name__}, not a list of images")
    if len(returned) != count:
        raise PluginError(f"the stage '{name}' returned {len(returned)} images for {count}")
    for image in returned:
        if not isinstance(image, Image):
            raise PluginError(f"the stage '{name}' returned a list with {type(image).__name__}, not only images")
    return list(returned)


class ChainTools(PartTools):
    """Tools for the parts of an open chain. See `odekit.core.interfaces.Tools`."""

    def __init__(self, session: Session, aligned: bool = False) -> None:
        execution = session.execution
        super().__init__(session.catalog, execution.device, execution.precision, used=session.used)
        self.session = session
        self.aligned = aligned

    def prior(self, name: str | None = None) -> BatchedPrior:
        """The named prior of the chain, or its only one if `name` is None."""
        return self.session.prior(name)

    def chain(self, items: Sequence[Part], *, aligned: bool = False) -> SessionChain:
        """Build a sub-chain that shares the networks of this chain."""
        return SessionChain(self.session, items, aligned or self.aligned)


class SessionChain:
    """A sub-chain of an open chain, such as `each` and `background` of `faces`, or of a plugin's stage."""

    def __init__(self, session: Session, items: Sequence[Part], aligned: bool = False) -> None:
        self.session = session
        self.aligned = aligned
        self.stages = session.make_stages(items, aligned)

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """See `odekit.core.abilities.KnowsOutputSize`."""
        return size_after(self.stages, width, height)

    def run(self, images: Sequence[Image], place: str) -> list[Result]:
        """Run a batch; one result per image, in order. An image that fails does not stop the others."""
        results = [Result(image, image, {"stages": []}) for image in images]
        self.session.run_stages(self.stages, results, f"{place}.")
        if self.aligned and self.session.identity is not None:
            self.session.identity.note(results)
        return results
