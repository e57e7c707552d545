"""A chain of stages: read from YAML or built from parts, checked, planned, and run on images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, overload

from odekit.chains.adjust import with_identity_limit, with_side, with_strength
from odekit.chains.chain_file import find_chain_file
from odekit.chains.document import Document, chain_text, parse_value, parse_yaml
from odekit.chains.overrides import apply_overrides
from odekit.chains.resolve import CHAIN_SCHEMA, ChainSpec, Resolver
from odekit.core.files import read_text
from odekit.core.memory import return_gpu_libraries
from odekit.core.noise import checked_seed
from odekit.core.options import Options, Part
from odekit.core.progress import Tell
from odekit.core.result import Result
from odekit.errors import ConfigError
from odekit.parts.installed import catalog
from odekit.plugins.catalog import Catalog

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from odekit.chains.execution import Execution
    from odekit.chains.plan import Plan
    from odekit.chains.session import Session
    from odekit.chains.tuning.batch_size import BatchSize
    from odekit.core.interfaces import Stage
    from odekit.images.accept import Picture


class Chain:
    """Stages in order, with named priors.

    `Chain([Restore(inverter=Ode(steps=100)), Upsample("resize")])` equals the same chain written in YAML. Two chains
    are equal if all their options are equal, including defaults.

    Args:
        items: stages as option models, names, mappings of one name to options, or objects with the method `run` of
            `odekit.plugins.Stage`. Options that refer to a part take an object of the part's interface, too.
        priors: named priors; `face64` under the name `face` if there are none. A prior is a name, a mapping, an object
            of `odekit.plugins.Prior`, or a diffusers `UNet2DModel` or pipeline with one, as it is in memory.
        name: of the chain.
        seed: of the noise.
        parts: the catalogue to look parts up in; the installed one if None.

    Raises:
        ConfigError: an unknown part or option, or a value of the wrong type.
    """

    def __init__(
        self,
        items: Sequence[Options | str | dict[str, Any] | Part | Stage],
        *,
        priors: Mapping[str, Any] | None = None,
        name: str = "",
        seed: int = 0,
        parts: Catalog | None = None,
    ) -> None:
        if isinstance(items, (str, Path)) or not isinstance(items, Sequence):
            raise ConfigError(
                f"Chain takes a list of stages, not {items!r}; Chain.load loads a chain by its name or from a file"
            )
        if priors is not None and not isinstance(priors, Mapping):
            raise ConfigError("priors are named: Chain(..., priors={'face': prior})")
        data = {"odekit": CHAIN_SCHEMA, "name": name, "seed": seed, "chain": list(items)}
        if priors:
            data["priors"] = dict(priors)
        self.parts = parts or catalog()
        self.spec: ChainSpec = Resolver(self.parts, Document(data, "", {})).chain()

    @classmethod
    def from_document(cls, document: Document, settings: Iterable[str] = (), parts: Catalog | None = None) -> Chain:
        """Create a chain from a parsed document, with `path=value` settings applied.

        Raises:
            ConfigError: the first error in the document or in the settings.
        """
        chain = cls.__new__(cls)
        chain.parts = parts or catalog()
        apply_overrides(document, settings, parse_value, chain.parts)
        chain.spec = Resolver(chain.parts, document).chain()
        return chain

    @classmethod
    def load(cls, chain: str | Path, settings: Iterable[str] = (), parts: Catalog | None = None) -> Chain:
        """Load a chain from a YAML file, or by the name of a shipped chain.

        Raises:
            ConfigError: there is no such chain, or the first error in it, with file:line:column.
        """
        if isinstance(settings, str):
            raise ConfigError(f"settings are a list: Chain.load({str(chain)!r}, [{settings!r}])")
        parts = parts or catalog()
        path = find_chain_file(str(chain), parts)
        try:
            text = read_text(path)
        except OSError as error:
            raise ConfigError(f"the chain {path} cannot be read: {error}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"{path} is not a chain: not a text file; the chain comes first, then the images: "
                "odekit run odedit-plus face.png -o out/"
            ) from error
        document = parse_yaml(text, str(path))
        document.owner = parts.chain_owners.get(path.resolve(), "")
        return cls.from_document(document, settings, parts)

    def adjusted(
        self, strength: str = "auto", side: int | None = None, max_identity_shift: float | None = None
    ) -> Chain:
        """A copy with what a person chose (`--strength`, `--side`, `--max-identity-shift`).

        Args:
            strength: auto, none, light, medium or heavy; see docs/strength.md.
            side: of the results in pixels; None: as the chain has it.
            max_identity_shift: largest face distance between a face and its result; see the stage `keep-identity`.

        Raises:
            ConfigError: an unknown value, or the chain has no part that it concerns.
        """
        chain = type(self).__new__(type(self))
        chain.parts = self.parts
        chain.spec = with_strength(self.spec, strength)
        if side is not None:
            chain.spec = with_side(chain.spec, side)
        if max_identity_shift is not None:
            chain.spec = with_identity_limit(chain.spec, max_identity_shift, self.parts)
        return chain

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chain) and self.tree() == other.tree()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """The stages by name: `Chain(restore, upsample)`, with the chain's name if it has one."""
        stages = ", ".join(item.name for item in self.spec.items)
        return f"Chain({self.spec.name}: {stages})" if self.spec.name else f"Chain({stages})"

    def tree(self) -> dict[str, Any]:
        """The chain as plain data, including all defaults."""
        return self.spec.tree()

    def plan(self) -> Plan:
        """The plan of a run: network calls per image, weights and licences. Loads no weights.

        Raises:
            ConfigError: a level outside the grid, an unstable step, or a missing prior.
        """
        from odekit.chains.plan import make_plan

        return make_plan(self.spec, self.parts)

    def execution(
        self, images: int, device: str = "auto", precision: str = "auto", batch_size: BatchSize | None = None
    ) -> Execution:
        """Resolve device, precision and batch size on this machine, for a job with the given number of images."""
        from odekit.chains.execution import resolve_execution

        return resolve_execution(self.spec, self.parts, images, device, precision, batch_size)

    def open(
        self,
        *,
        images: int = 8,
        seed: int | None = None,
        device: str = "auto",
        precision: str = "auto",
        batch_size: BatchSize | None = None,
        execution: Execution | None = None,
        keep_stages: bool = False,
        on_calls: Callable[[int], None] | None = None,
        on_phase: Callable[[str, float, int], None] | None = None,
        measure_identity: bool = True,
    ) -> Session:
        """Load the weights and return a session that runs batches.

        Args:
            images: number of images in the job; the default and the automatic batch size do not exceed it.
            seed: of the noise; the chain's seed if None.
            device: auto, cpu, cuda, cuda:N or mps.
            precision: of the networks: auto, float32, tf32 (NVIDIA GPUs since Ampere), bfloat16, float16, int8 (CPUs).
            batch_size: of every network call; default 8; `auto` measures the best value on this machine.
            execution: device, precision and batch size, already resolved.
            keep_stages: keep intermediate pictures in the results.
            on_calls: progress callback; receives the number of network calls since the previous callback.
            on_phase: progress callback; receives the name of a phase, and how many of how many images or faces are
                done. Both callbacks may raise `odekit.errors.Stopped`, which ends the batch.
            measure_identity: write `face_distance` into the records of changed faces. Hosts of moving pictures, which
                keep no record of each frame, save 50 ms a face without.

        Raises:
            ConfigError: a seed that is no whole number of at least 0, or another batch size than stated.
            DeviceError: a device or precision that this machine does not have.
        """
        from odekit.chains.session import Session

        try:
            seed = checked_seed(self.spec.seed if seed is None else seed)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        execution = execution or self.execution(images, device, precision, batch_size)
        if execution.device == "cpu":
            return_gpu_libraries()
        return Session(self.spec, self.parts, seed, execution, keep_stages, on_calls, on_phase, measure_identity)

    @overload
    def run(  # type: ignore[overload-overlap]  # a text is a path, not a list of letters
        self, images: Picture, seed: int | None = None, device: str = "auto", **more: Unpack[RunKeywords]
    ) -> Result: ...

    @overload
    def run(
        self, images: Sequence[Picture], seed: int | None = None, device: str = "auto", **more: Unpack[RunKeywords]
    ) -> list[Result]: ...

    def run(
        self,
        images: Picture | Sequence[Picture],
        seed: int | None = None,
        device: str = "auto",
        *,
        precision: str = "auto",
        batch_size: BatchSize | None = None,
        keep_stages: bool = False,
        on_calls: Callable[[int], None] | None = None,
        tell: Tell | None = None,
    ) -> Result | list[Result]:
        """Run the chain on one picture, or on a list of them.

        Args:
            images: a picture, or a list of pictures: `Image`s, paths, bytes of files, numpy arrays (H, W, 3), torch
                tensors (3, H, W) or Pillow pictures (`odekit.as_image` tells the types and ranges of their values).
            seed: of the noise; the chain's seed if None.
            device: auto, cpu, cuda, cuda:N or mps.
            precision: of the networks: auto, float32, tf32 (NVIDIA GPUs since Ampere), bfloat16, float16, int8 (CPUs).
            batch_size: of every network call; default 8, or the number of images if smaller; `auto` measures the best
                value on this machine.
            keep_stages: keep intermediate pictures in the results.
            on_calls: progress callback; receives the number of network calls since the previous callback.
            tell: progress callback; receives a `Progress` after each network call and phase. Both callbacks may raise
                `odekit.Stopped`: it ends the call before the next network call, and the chain can run again.

        Returns:
            A result for one picture; for a list one result per picture, in order. `Result.image` raises the error of a
            picture that failed; the others are restored.

        Raises:
            InputError: a picture cannot be read, or is nothing of these.
        """
        from odekit.images.accept import as_images

        pictures, single = as_images(images)
        if not pictures:
            return []
        session = self.open(
            images=len(pictures), seed=seed, device=device, precision=precision, batch_size=batch_size,
            keep_stages=keep_stages, on_calls=on_calls,
        )  # fmt: skip
        results = session.restore(pictures, tell)
        return results[0] if single else results

    def to_yaml(self) -> str:
        """The chain as the text of a chain file, with every default written out.

        Raises:
            ConfigError: a part was given as a Python object, which a file cannot hold.
        """
        return chain_text(self.tree())


class RunKeywords(TypedDict, total=False):
    """Options of `Chain.run` that are given by name."""

    precision: str
    batch_size: BatchSize | None
    keep_stages: bool
    on_calls: Callable[[int], None] | None
    tell: Tell | None
