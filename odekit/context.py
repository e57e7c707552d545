"""What a running stage knows of its run: noise, device, slots; and where it tells of calls, failures and facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from odekit.arithmetic import arithmetic
from odekit.image import Image
from odekit.interfaces import Prior, State
from odekit.rng import ImageNoise, Noise, stream
from odekit.schedule import NoiseSchedule


class Counter:
    """Counts network calls of a run and tells whoever watches."""

    def __init__(self, tell: Callable[[int], None] | None = None) -> None:
        self.calls = 0
        self.tell = tell

    def count(self) -> None:
        """One call happened."""
        self.calls += 1
        if self.tell is not None:
            self.tell(1)


class CountedPrior:
    """A prior whose calls are counted, and made in the arithmetic of the run's precision; nothing else differs."""

    def __init__(self, prior: Prior, counter: Counter, precision: str = "float32", device: str = "cpu") -> None:
        self.prior = prior
        self.counter = counter
        self.precision = precision
        self.device = device
        self.shape: tuple[int, int, int] = prior.shape
        self.schedule: NoiseSchedule = prior.schedule

    def eps(self, x: State, t: float) -> State:
        """The prior's eps; counted."""
        self.counter.count()
        with arithmetic(self.precision, self.device):
            return self.prior.eps(x, t)


@dataclass
class StageRun:
    """The `context` of one stage on one batch."""

    seed: int
    place: str
    slots: int
    state_device: str
    counter: Counter
    failures: dict[int, Exception] = field(default_factory=dict)
    notes: dict[int, dict[str, Any]] = field(default_factory=dict)
    pictures: dict[int, list[tuple[str, Image]]] = field(default_factory=dict)
    extras: dict[int, list[tuple[str, Image]]] = field(default_factory=dict)
    keep_pictures: bool = False

    def noise(self, image: Image, sample: int = 0) -> Noise:
        """The image's own noise stream at this place."""
        return ImageNoise(stream(self.seed, image.origin, self.place, image.face, sample))

    def fail(self, index: int, error: Exception) -> None:
        """Image `index` of the batch cannot be restored; the others go on."""
        self.failures[index] = error

    def note(self, index: int, **facts: Any) -> None:
        """Facts for the record of image `index`."""
        self.notes.setdefault(index, {}).update(facts)

    def extra(self, index: int, name: str, image: Image) -> None:
        """A picture made beside the output of image `index`, written beside it."""
        self.extras.setdefault(index, []).append((name, image))

    def picture(self, index: int, name: str, image: Image) -> None:
        """An intermediate picture for --keep-stages."""
        if self.keep_pictures:
            self.pictures.setdefault(index, []).append((name, image))


def tensor_device(device: str) -> str:
    """Where float64 states live: on the device, or on the CPU where the device has no float64 (mps)."""
    return "cpu" if device.startswith("mps") else device
