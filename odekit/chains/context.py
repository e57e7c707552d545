"""What a running stage knows of its run: noise, device, slots; and where it tells of calls, failures and facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from odekit.core.counter import Counter
from odekit.core.image import Image
from odekit.core.noise import ImageNoise, Noise, stream


@dataclass
class RunContext:
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
