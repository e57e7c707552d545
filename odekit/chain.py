"""A chain: read from YAML or built from parts, checked, explained, and run on images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit import yamldoc
from odekit.config import DEFAULT_PRIORS, SCHEMA, ChainSpec, Resolver
from odekit.errors import ConfigError
from odekit.image import Image
from odekit.options import Options
from odekit.registry import OUR_CHAINS, Catalog, catalog, meant, nearest
from odekit.settings import override

if TYPE_CHECKING:
    from odekit.autoslots import Slots
    from odekit.plan import Plan
    from odekit.session import Session


@dataclass
class Result:
    """What became of one image. `image` raises the error where it could not be restored."""

    source: Image
    output: Image | None
    record: dict[str, Any]
    error: Exception | None = None
    stages: list[tuple[str, Image]] = field(default_factory=list)
    """Input, inverted latent and every stage's output, when asked to keep them."""
    extras: list[tuple[str, Image]] = field(default_factory=list)
    """What a stage made beside its output: `sample2`, `sample3`, ... and their `spread`."""

    @property
    def image(self) -> Image:
        """The restored image."""
        if self.error is not None:
            raise self.error
        assert self.output is not None
        return self.output


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
        from odekit.plan import make_plan

        return make_plan(self.spec, self.parts)

    def open(
        self,
        *,
        seed: int | None = None,
        device: str = "auto",
        precision: str = "auto",
        batch_size: Slots = 8,
        keep_stages: bool = False,
        tell: Callable[[int], None] | None = None,
    ) -> Session:
        """Load weights and get ready to run batches; `batch_size` auto is measured (see `odekit.autoslots`)."""
        from odekit.session import Session

        if batch_size == "auto":
            from odekit.autoslots import best_slots
            from odekit.device import resolve_device
            from odekit.guard import precision_for

            device = resolve_device(device)
            precision = precision_for(precision, device, self.spec, self.parts)
            batch_size = best_slots(device, precision, self.spec, self.parts)
        seed = self.spec.seed if seed is None else seed
        return Session(self.spec, self.parts, seed, device, precision, batch_size, keep_stages, tell)

    def run(
        self,
        images: Sequence[Image],
        seed: int | None = None,
        device: str = "auto",
        *,
        precision: str = "auto",
        batch_size: Slots | None = None,
        keep_stages: bool = False,
        tell: Callable[[int], None] | None = None,
    ) -> list[Result]:
        """Run the chain on images; one result per image, in order.

        Args:
            images: pictures that the chain accepts.
            seed: of the noise; the chain's own when None.
            device: auto, cpu, cuda, cuda:N or mps.
            precision: auto, float32, tf32 (NVIDIA cards since Ampere), bfloat16 or float16, of the networks.
            batch_size: slots of every network call; by default 8, or the number of images where fewer; `auto` measures
                what is best here.
            keep_stages: keep intermediate pictures in the results.
            tell: called with the number of network calls since the last time.
        """
        if not images:
            return []
        slots = min(8, len(images)) if batch_size is None else batch_size
        options: dict[str, Any] = {"precision": precision, "keep_stages": keep_stages, "tell": tell}
        session = self.open(seed=seed, device=device, batch_size=slots, **options)
        if batch_size == "auto":
            session.slots = min(session.slots, len(images))
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
        raise ConfigError(f"there is no chain file {name}{meant(path.stem, parts.chains)}")
    if name in OUR_CHAINS:
        raise ConfigError(
            f"the chain '{name}' comes with the plugin {OUR_CHAINS[name]}; pip install {OUR_CHAINS[name]}"
        )
    raise ConfigError(f"unknown chain '{name}'{nearest(name, parts.chains)}")


def restore(picture: Image | str | Path, *, seed: int = 0, device: str = "auto") -> Image:
    """Restore one picture with the default chain.

    An aligned face (square within 5 %, and no whole photograph, see `odekit.faces.whole`) goes through `odedit-plus`,
    anything else through `photo`.

    Args:
        picture: an `Image`, or the path of a file.
        seed: of the noise.
        device: auto, cpu, cuda, cuda:N or mps.
    """
    from odekit.faces.whole import strangers
    from odekit.io import read
    from odekit.restoring import square

    image = picture if isinstance(picture, Image) else read(picture)
    name = "odedit-plus" if square(image) and not strangers([image])[0] else "photo"
    return Chain.load(name).run([image], seed=seed, device=device)[0].image
