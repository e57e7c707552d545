"""A chain: read from YAML or built from parts, checked, explained, and run on images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.chains import document as yamldoc
from odekit.chains.overrides import override
from odekit.chains.resolve import DEFAULT_PRIORS, SCHEMA, ChainSpec, Resolver
from odekit.core.image import Image
from odekit.core.options import Options
from odekit.core.result import Result
from odekit.core.spelling import did_you_mean, nearest
from odekit.errors import ConfigError
from odekit.parts.installed import catalog
from odekit.plugins.catalog import OUR_CHAINS, Catalog

if TYPE_CHECKING:
    from odekit.chains.execution import Execution
    from odekit.chains.plan import Plan
    from odekit.chains.session import Session
    from odekit.chains.tuning.batch_size import BatchSize


class Chain:
    """Stages in order, with named priors.

    `Chain([Restore(inverter=Ode(steps=100)), Upsample("resize")])` equals its YAML. Two chains are equal when every
    option is, defaults included.
    """

    def __init__(
        self,
        items: Sequence[Options | str | dict[str, Any]],
        *,
        priors: dict[str, Any] | None = None,
        name: str = "",
        seed: int = 0,
        parts: Catalog | None = None,
    ) -> None:
        data = {
            "odekit": SCHEMA,
            "name": name,
            "seed": seed,
            "priors": priors or dict(DEFAULT_PRIORS),
            "chain": list(items),
        }
        self.parts = parts or catalog()
        self.spec: ChainSpec = Resolver(self.parts, yamldoc.Document(data, "", {})).chain()

    @classmethod
    def from_document(
        cls, document: yamldoc.Document, settings: Iterable[str] = (), parts: Catalog | None = None
    ) -> Chain:
        """From a parsed document, with `path=value` settings applied."""
        chain = cls.__new__(cls)
        chain.parts = parts or catalog()
        override(document, settings, yamldoc.value)
        chain.spec = Resolver(chain.parts, document).chain()
        return chain

    @classmethod
    def load(cls, chain: str | Path, settings: Iterable[str] = (), parts: Catalog | None = None) -> Chain:
        """From a YAML file, or the name of a shipped chain.

        Raises:
            ConfigError: no such chain, or the first thing in it that is wrong, with file:line:column.
        """
        parts = parts or catalog()
        path = find_chain(str(chain), parts)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the chain {path} cannot be read: {error}") from error
        return cls.from_document(yamldoc.parse(text, str(path)), settings, parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chain) and self.tree() == other.tree()

    __hash__ = None  # type: ignore[assignment]

    def tree(self) -> dict[str, Any]:
        """The chain as plain data with every default written out."""
        return self.spec.tree()

    def plan(self) -> Plan:
        """What a run would do: calls per image, weights, licences. Loads no weights.

        Raises:
            ConfigError: a level outside the grid, an unstable step, a prior that is not there.
        """
        from odekit.chains.plan import make_plan

        return make_plan(self.spec, self.parts)

    def execution(
        self, images: int, device: str = "auto", precision: str = "auto", batch_size: BatchSize | None = None
    ) -> Execution:
        """Resolve device, precision and batch size for a job of so many images on this machine."""
        from odekit.chains.execution import choose

        return choose(self.spec, self.parts, images, device, precision, batch_size)

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
        tell: Callable[[int], None] | None = None,
    ) -> Session:
        """Load weights and get ready to run batches.

        Args:
            images: of the job, so that no more rows are called than there are.
            seed: of the noise; the chain's own when None.
            device: auto, cpu, cuda, cuda:N or mps.
            precision: auto, float32, tf32 (NVIDIA GPUs since Ampere), bfloat16 or float16, of the networks.
            batch_size: rows of every network call; 8 by default, `auto` is measured.
            execution: all three, already resolved.
            keep_stages: keep intermediate pictures in the results.
            tell: called with the number of network calls since the last time.
        """
        from odekit.chains.session import Session

        execution = execution or self.execution(images, device, precision, batch_size)
        return Session(self.spec, self.parts, self.spec.seed if seed is None else seed, execution, keep_stages, tell)

    def run(
        self,
        images: Sequence[Image],
        seed: int | None = None,
        device: str = "auto",
        *,
        precision: str = "auto",
        batch_size: BatchSize | None = None,
        keep_stages: bool = False,
        tell: Callable[[int], None] | None = None,
    ) -> list[Result]:
        """Run the chain on images; one result per image, in order.

        Args:
            images: pictures that the chain accepts.
            seed: of the noise; the chain's own when None.
            device: auto, cpu, cuda, cuda:N or mps.
            precision: auto, float32, tf32 (NVIDIA GPUs since Ampere), bfloat16 or float16, of the networks.
            batch_size: slots of every network call; by default 8, or the number of images where fewer; `auto` measures
                what is best here.
            keep_stages: keep intermediate pictures in the results.
            tell: called with the number of network calls since the last time.
        """
        if not images:
            return []
        session = self.open(
            images=len(images), seed=seed, device=device, precision=precision, batch_size=batch_size,
            keep_stages=keep_stages, tell=tell,
        )  # fmt: skip
        window = session.window
        return [result for i in range(0, len(images), window) for result in session.run(images[i : i + window])]


def find_chain(name: str, parts: Catalog) -> Path:
    """The file of a chain: a shipped or registered name, or a path."""
    if name in parts.chains:
        return parts.chains[name]
    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir():
        raise ConfigError(f"'{name}' is a folder, and a chain is a YAML file or a name{nearest(name, parts.chains)}")
    if path.suffix in (".yaml", ".yml") or "/" in name:
        raise ConfigError(f"there is no chain file {name}{did_you_mean(path.stem, parts.chains)}")
    if name in OUR_CHAINS:
        raise ConfigError(
            f"the chain '{name}' comes with the plugin {OUR_CHAINS[name]}; pip install {OUR_CHAINS[name]}"
        )
    raise ConfigError(f"unknown chain '{name}'{nearest(name, parts.chains)}")
