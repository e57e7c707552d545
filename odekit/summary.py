"""What a run is asked to do, and what it says it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


class Progress(Protocol):
    """Is told how far a run is."""

    def begin(self, images: int, calls: int | None) -> None:
        """The run has this many images to restore, and makes this many network calls (None: unknown)."""
        ...

    def calls(self, count: int) -> None:
        """Network calls happened."""
        ...

    def images(self, count: int) -> None:
        """Images are finished, restored or failed."""
        ...


@dataclass
class RunOptions:
    """How a folder is run; the chain says what is done."""

    out: Path
    seed: int | None = None
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    resume: bool = False
    overwrite: bool = False
    keep_stages: bool = False
    limit: int | None = None
    shard: str | None = None
    max_megapixels: float = 100.0


@dataclass
class Summary:
    """What a run did."""

    out: Path
    restored: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    calls_per_image: int = 0
    seconds: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)

    def tree(self) -> dict[str, Any]:
        """The summary as plain data, for --json."""
        return {
            "out": str(self.out),
            "restored": [str(path) for path in self.restored],
            "skipped": [str(path) for path in self.skipped],
            "failed": self.failed,
            "calls_per_image": self.calls_per_image,
            "seconds": round(self.seconds, 3),
        } | {key: self.settings[key] for key in ("device", "precision", "slots", "threads") if key in self.settings}
