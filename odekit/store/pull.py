"""Bring named weights into the store from the first place that has them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from odekit.entries import Weights
from odekit.errors import WeightsError
from odekit.safeload import sha256
from odekit.store import receipt
from odekit.store.download import Download, Tell, Unavailable
from odekit.store.home import folder, offline, stored
from odekit.store.lock import alone
from odekit.store.space import make_folder, trouble
from odekit.store.whole import whole

Verify = Callable[[Weights], object]


def unattended(weights: Weights) -> bool:
    """Nobody is there to accept a licence."""
    return weights.commercial_use


@dataclass
class Pull:
    """How weights are fetched."""

    verify: Verify
    """Raises WeightsError where the file that is here is not the right one (`odekit.weights.verify`)."""
    accept: Callable[[Weights], bool] = unattended
    """Asked before a download: may it be made under this licence?"""
    offline: bool = False
    """Use no network; `ODEKIT_OFFLINE` says so too."""
    places: Sequence[str] = ()
    """URLs to try before the registered ones."""
    again: bool = False
    """Fetch even what is here."""
    tell: Tell = lambda here, total: None
    say: Callable[[str], None] = lambda text: None

    def run(self, weights: Weights) -> Path:
        """The local file, fetched where it is not here; what is here is verified.

        Raises:
            WeightsError: offline, licence not accepted, no place has the right file, or the disk is full.
        """
        if weights.path is not None:
            return weights.path
        if not self.again and self._here(weights):
            return stored(weights)
        urls = [*self.places, *weights.urls]
        self._allowed(weights, urls)
        place = folder(weights)
        make_folder(place)
        with alone(place, self.say):
            if self.again or not self._here(weights):  # another process may have brought it meanwhile
                self._fetch(weights, urls, place)
        return stored(weights)

    def _here(self, weights: Weights) -> bool:
        file = stored(weights)
        if not file.exists():
            return False
        try:
            self.verify(weights)
        except WeightsError as error:
            self.say(f"{str(error).partition(';')[0]}; fetching it again")
            return False
        return True

    def _allowed(self, weights: Weights, urls: Sequence[str]) -> None:
        by_hand = f"odekit weights add {weights.name} FILE"
        if not urls:
            raise WeightsError(f"nobody offers the weights '{weights.name}' for download; get the file and: {by_hand}")
        for url in urls:
            if not url.lower().startswith(("https://", "http://")):
                raise WeightsError(f"{url}: weights are fetched from http and https only; for a file here: {by_hand}")
        if self.offline or offline():
            raise WeightsError(
                f"the weights '{weights.name}' are not on this machine, and the network is switched off (--offline or "
                f"ODEKIT_OFFLINE); fetch them elsewhere from {urls[0]} and: {by_hand}"
            )
        if not self.accept(weights):
            raise WeightsError(
                f"the licence of '{weights.name}' ({weights.licence}) was not accepted, nothing was fetched; "
                f"read it, then: odekit weights pull {weights.name} --accept-licence"
            )

    def _fetch(self, weights: Weights, urls: Sequence[str], place: Path) -> None:
        part, reasons = place / f"{weights.file}.part", []
        for url in urls:
            self.say(f"fetching {url}")
            try:
                found = self._from(url, weights, part)
                accepted = "" if weights.commercial_use else weights.licence
                os.replace(part, place / weights.file)
                receipt.write(place, receipt.note(place / weights.file, found, url, accepted=accepted))
            except Unavailable as error:
                self.say(f"  {error}")
                reasons.append(f"{url}: {error}")
            except OSError as error:
                kept = f" ({part} is kept: the same command goes on from there)" if part.exists() else ""
                raise trouble(error, place, kept) from error
            else:
                return
        raise WeightsError(
            f"the weights '{weights.name}' could not be fetched: {'; '.join(reasons)}; "
            f"a file from elsewhere: odekit weights add {weights.name} FILE"
        )

    def _from(self, url: str, weights: Weights, part: Path) -> str:
        """SHA-256 of the right file, which lies at `part` then."""
        for fresh in (False, True):
            download = Download(url, part, weights.size, weights.sha256 is not None, self.tell)
            if fresh:
                download.drop()
            began = part.exists()
            download.run()
            found = sha256(part)
            if weights.sha256 in (None, found):
                break
            download.drop()
            if fresh or not (began or download.resumed):  # nothing was pieced together: it is the server's file
                raise Unavailable(f"another file (its SHA-256 is {found}, not {weights.sha256})")
        if weights.sha256 is None:
            try:
                whole(part, weights.file)
            except WeightsError as error:
                Download(url, part).drop()
                raise Unavailable(str(error).partition(": ")[2]) from error
        return found
