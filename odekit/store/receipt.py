"""What the store wrote down about a file when it came in: the JSON beside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from odekit.record import read_json, write_json

NAME = "odekit.json"


@dataclass(frozen=True)
class Receipt:
    """A file as it was when it came in."""

    sha256: str
    bytes: int
    mtime_ns: int
    source: str
    """URL, or path on this machine."""
    when: str
    """UTC."""
    other: bool = False
    """It is not the published file, and was taken all the same (`--allow-other`)."""
    accepted: str = ""
    """The licence that was accepted for the download."""

    def unchanged(self, file: Path) -> bool:
        """Whether size and time are still the same, so that its bytes need not be read again."""
        stat = file.stat()
        return stat.st_size == self.bytes and stat.st_mtime_ns == self.mtime_ns

    def seen(self, file: Path) -> Receipt:
        """The receipt of the same bytes with the file's time of today."""
        return replace(self, mtime_ns=file.stat().st_mtime_ns)


def note(file: Path, sha256: str, source: str, other: bool = False, accepted: str = "") -> Receipt:
    """A receipt for a file of this digest."""
    stat, now = file.stat(), datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Receipt(sha256, stat.st_size, stat.st_mtime_ns, source, now, other, accepted)


def write(folder: Path, receipt: Receipt) -> None:
    """Put a receipt beside its file."""
    write_json(folder / NAME, asdict(receipt))


def read(folder: Path) -> Receipt | None:
    """The receipt in a folder; None where there is none that can be read."""
    content = read_json(folder / NAME)
    try:
        return Receipt(**content)
    except TypeError:
        return None
