"""Resume: decide from the records in an output folder which inputs are complete."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from odekit.chains.record import RECORD_SCHEMA
from odekit.core.files import parse_json
from odekit.runs.findings import Findings, findings_of
from odekit.runs.record import SHARED_START
from odekit.runs.stores import Folder, OutputStore
from odekit.runs.whole import same_input


class CompletionCheck:
    """Decides from records which files are complete. The part that records share is parsed and compared only once.

    Args:
        out: the output folder, or what stands in its place.
        agrees: whether a record has the settings of this run.
        files_of: SHA-256 of the files that belong to an input, by path, such as its mask.
        verify: compare the SHA-256 of inputs and outputs.
        is_same: whether an input is the one that a record describes; takes what the record says of it, its path, and
            `verify`.
    """

    def __init__(
        self,
        out: str | OutputStore,
        agrees: Callable[[Mapping[str, Any]], bool],
        files_of: Callable[[str], Mapping[str, str]] = lambda source: {},
        verify: bool = False,
        is_same: Callable[[Mapping[str, Any], str, bool], bool] = same_input,
    ) -> None:
        self.store = Folder(Path(out)) if isinstance(out, str) else out
        self.is_same = is_same
        self.agrees = agrees
        self.files_of = files_of
        self.verify = verify
        self.agreed: set[bytes] = set()
        """Shared parts of records that have the settings of this run."""
        self.findings = Findings()
        """Of the record that `done` has read last."""
        self.disagreed = 0
        """Number of records of other settings."""

    def done(self, name: str, source: str) -> bool:
        """Whether the record of the result `name` shows that it was restored from `source` with these settings."""
        try:
            record = self._record(f"{name}.json")
            if record is None or not self._whole(record, name, source):
                return False
            self.findings = findings_of(record)
            return True
        except Exception:  # a record may contain anything
            return False

    def _record(self, name: str) -> Mapping[str, Any] | None:
        """A record with the settings of this run, without the shared part where that is known; else None."""
        data = self.store.read(name)
        head, _, shared = data.partition(SHARED_START)
        if shared in self.agreed and isinstance(record := parse_json(head + b"}"), dict):
            return record
        record = parse_json(data)  # a new shared part, or a record in another format
        if not isinstance(record, dict):
            return None
        if not self.agrees(record):
            self.disagreed += 1
            return None
        entries = parse_json(head + b"}")
        if shared and isinstance(entries, dict) and all(record[key] == value for key, value in entries.items()):
            self.agreed.add(shared)
        return record

    def _whole(self, record: Mapping[str, Any], name: str, source: str) -> bool:
        """Whether the input is as recorded, and all files that were written are."""
        if record["schema"] != RECORD_SCHEMA or not self.is_same(record["input"], source, self.verify):
            return False
        if dict(record["input"].get("files", {})) != dict(self.files_of(source)):
            return False
        # The name is taken from the record, because a file with the wrong suffix gets a second one.
        written = os.path.basename(record["output"]["path"])
        if not written.startswith(os.path.basename(name)):
            return False
        folder = os.path.dirname(name)
        files = {written: record["output"]}
        described = record.get("extra_files", {})
        for extra in record.get("extras", ()):
            if os.path.dirname(extra) != folder:
                return False
            files[os.path.basename(extra)] = described.get(extra, {})
        return all(self.store.is_whole(os.path.join(folder, file), of, self.verify) for file, of in files.items())
