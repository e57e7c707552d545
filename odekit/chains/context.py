"""The context of a running stage: noise, device and batch size; it collects failures, record entries and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from odekit.core.counter import CallCounter
from odekit.core.image import Image
from odekit.core.noise import ImageNoise, Noise, noise_generator


@dataclass
class RunContext:
    """The `context` of one stage on one batch. The mappings have the index of the image in the batch as key."""

    seed: int
    place: str
    """Index of the stage in the chain, such as `0`, or `0.each.1` in a sub-chain."""
    batch_size: int
    """Number of rows of every network call."""
    state_device: str
    """Device of float64 states."""
    counter: CallCounter
    originals: Sequence[Image] = ()
    """The images of the batch as they entered the chain or sub-chain."""
    earlier: Sequence[Sequence[Mapping[str, Any]]] = ()
    """For each image, the record entries of the earlier stages."""
    failures: dict[int, Exception] = field(default_factory=dict)
    notes: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Entries for the records."""
    pictures: dict[int, list[tuple[str, Image]]] = field(default_factory=dict)
    """Intermediate pictures, if `keep_pictures`."""
    extras: dict[int, list[tuple[str, Image]]] = field(default_factory=dict)
    """Pictures to write beside the results."""
    corrected: dict[int, Image] = field(default_factory=dict)
    """Originals that a stage corrected."""
    keep_pictures: bool = False
    on_phase: Callable[[str, float, int], None] | None = None
    """Progress callback; see `phase`."""

    def phase(self, name: str, done: float, total: int) -> None:
        """Report the progress of the stage; see `odekit.core.abilities.report_phase`."""
        if self.on_phase is not None:
            self.on_phase(name, done, total)

    def noise(self, image: Image, sample: int = 0) -> Noise:
        """Noise stream of one image in this stage, independent of the other images; see `Image.track`."""
        key = (f"track {image.track}", 0) if image.track else (image.origin, image.face)
        return ImageNoise(noise_generator(self.seed, key[0], self.place, key[1], sample))

    def fail(self, index: int, error: Exception) -> None:
        """Mark image `index` as failed; the other images continue."""
        self.failures[index] = error

    def original(self, index: int, image: Image) -> None:
        """Replace the original of image `index` that guided upsamplers see, for a correction of the whole picture."""
        self.corrected[index] = image

    def note(self, index: int, **entries: Any) -> None:
        """Add entries to the record of image `index`."""
        self.notes.setdefault(index, {}).update(entries)

    def extra(self, index: int, name: str, image: Image) -> None:
        """Add a picture to be written beside the result of image `index`."""
        self.extras.setdefault(index, []).append((name, image))

    def picture(self, index: int, name: str, image: Image) -> None:
        """Add an intermediate picture of image `index`, kept with --keep-stages only."""
        if self.keep_pictures:
            self.pictures.setdefault(index, []).append((name, image))
