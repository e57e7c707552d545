"""One picture into one file or to standard output: nothing else is written where the result is.

The run itself goes into a temporary folder, like any run; its result and its record are taken from there.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from odekit.chains.chain import Chain
from odekit.core.files import read_json, write_atomic, write_json
from odekit.core.options import Part
from odekit.errors import ConfigError, InputError, OutputError
from odekit.images.formats.names import WRITABLE, format_of_suffix
from odekit.images.io import max_file_bytes
from odekit.parts.stages.options import Save
from odekit.runs.output_target import STREAM, check_writable
from odekit.runs.runner import Runner
from odekit.runs.stop import ending_in_order
from odekit.runs.summary import Progress, RunOptions, RunSummary

STANDARD_INPUT = "standard input"
"""Name of the picture from standard input in messages."""
CLOSED = "standard output was closed before the picture was written"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Single:
    """One picture and where its result goes."""

    source: str
    """Path of the picture, or `-` for standard input."""
    target: Path | None
    """File of the result; None for standard output."""
    record: Path | None = None
    """File of the record; None: no record is written."""

    def check(self, overwrite: bool) -> None:
        """Check before the work that result and record can be written. Raises ConfigError."""
        if self.record is not None and self.target is not None and self.record.absolute() == self.target.absolute():
            raise ConfigError(f"--record {self.record} is the result itself; choose another name")
        for path in (self.target, self.record):
            if path is not None:
                check_writable(path, self.source, overwrite)


def restore_single(
    chain: Chain, options: RunOptions, single: Single, progress: Progress, *,
    stdin: BinaryIO | None = None, stdout: BinaryIO | None = None,
) -> RunSummary:  # fmt: skip
    """Restore one picture. The suffix of the target decides the format; on standard output it is that of the chain.

    Args:
        chain: to be applied; its `save.format` is replaced where the target is a file.
        options: of the run; `out` is ignored.
        single: the picture, and where its result goes.
        progress: receives the progress.
        stdin: standard input, read where `single.source` is `-`.
        stdout: standard output, written where `single.target` is None.

    Raises:
        ConfigError: the result or the record cannot be written there.
    """
    single.check(options.overwrite)
    if single.target is not None:
        chain = with_format(chain, single.target.suffix)
    with ending_in_order(), tempfile.TemporaryDirectory(prefix="odekit-") as scratch:
        out = Path(scratch) / "out"
        source = single.source
        summary = RunSummary(out)
        names = {str(out) + os.sep: ""}
        if source == STREAM:
            source = str(Path(scratch) / STANDARD_INPUT)
            names = {source: STANDARD_INPUT} | names
            try:
                copy_stream(stdin or sys.stdin.buffer, Path(source), options.max_megapixels)
            except InputError as error:
                summary.failed.append({"input": STREAM, "error": str(error)})
                return _as_file(summary, single, written=False)
        with renamed_warnings(names):
            summary = Runner(chain, replace(options, out=out), RenamedMessages(progress, names)).run([source])
        for failure in summary.failed:
            failure["error"] = renamed(failure["error"], names)
        for entry in (*summary.failed, *summary.notes):
            entry["input"] = single.source
        record = _record(out)
        if record is not None:
            _deliver(record, single, summary, progress, stdout or sys.stdout.buffer)
        return _as_file(summary, single, written=record is not None)


def _deliver(record: dict[str, Any], single: Single, summary: RunSummary, progress: Progress, stdout: BinaryIO) -> None:
    """Write the result and its record to where they belong."""
    data = Path(record["output"]["path"]).read_bytes()
    extras = record.pop("extras", [])
    record["output"]["path"] = STREAM if single.target is None else str(single.target)
    record["input"]["path"] = single.source
    try:
        if single.target is not None:
            write_atomic(data, single.target)
        else:
            stdout.write(data)
            stdout.flush()
        if single.record is not None:
            write_json(single.record, record)
    except BrokenPipeError:
        summary.stopped = CLOSED
        _discard(stdout)
    except OSError as error:
        summary.stopped = f"{single.target or 'the output'} cannot be written: {error.strerror or error}"
    if extras:
        names = ", ".join(name.split(".")[-2] for name in extras)
        with contextlib.suppress(OutputError):  # where the line cannot be printed, the result is there all the same
            progress.message(f"not written: {names}; name a folder with -o to get these as well")


def _discard(stream: BinaryIO) -> None:
    """Send what is still buffered nowhere, so that Python does not report a closed pipe when it ends."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _record(out: Path) -> dict[str, Any] | None:
    """The record of the only result in a folder; None if there is no result."""
    for path in out.glob("*.json"):
        content = read_json(path)
        if isinstance(content, dict) and "output" in content:
            return content
    return None


def _as_file(summary: RunSummary, single: Single, written: bool) -> RunSummary:
    """The summary with the result under its final name."""
    name = STREAM if single.target is None else single.target.name
    summary.out = Path() if single.target is None else single.target.parent
    summary.file = single.target
    summary.restored = [name] if summary.restored and written and not summary.stopped else []
    summary.unchanged = [name] if summary.unchanged and written and not summary.stopped else []
    return summary


def with_format(chain: Chain, suffix: str) -> Chain:
    """The chain with the format of a suffix in its stage `save`."""
    last = chain.spec.items[-1]
    has_save = isinstance(last.options, Save)
    name = format_of_suffix(suffix, WRITABLE)
    assert name is not None
    save = (last.options if has_save else Save()).model_copy(update={"format": name.lower()})
    items = (*(chain.spec.items[:-1] if has_save else chain.spec.items), Part("stage", "save", save))
    changed = Chain.__new__(Chain)
    changed.parts, changed.spec = chain.parts, replace(chain.spec, items=items)
    return changed


def copy_stream(stream: BinaryIO, path: Path, max_megapixels: float) -> None:
    """Copy a stream to a file, up to the size of the largest picture that is accepted.

    Raises:
        InputError: the stream is larger.
    """
    left = max_file_bytes(max_megapixels)
    with path.open("wb") as file:
        while chunk := stream.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise InputError(
                    f"{STANDARD_INPUT}: is larger than any picture of {max_megapixels:g} megapixels; "
                    "raise --max-megapixels"
                )
            file.write(chunk)


def renamed(text: str, names: Mapping[str, str]) -> str:
    """A message without the paths of the temporary folder."""
    for path, name in names.items():
        text = text.replace(path, name)
    return text


@contextlib.contextmanager
def renamed_warnings(names: Mapping[str, str]) -> Iterator[None]:
    """Show warnings without the paths of the temporary folder."""
    show = warnings.showwarning

    def show_renamed(message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any) -> None:
        show(renamed(str(message), names), category, *args, **kwargs)

    warnings.showwarning = show_renamed
    try:
        yield
    finally:
        warnings.showwarning = show


class RenamedMessages:
    """Progress callbacks whose texts do not name the temporary folder.

    Args:
        progress: receives the callbacks.
        names: path in the temporary folder: name in messages.
    """

    def __init__(self, progress: Progress, names: Mapping[str, str]) -> None:
        self._progress = progress
        self._names = names

    def __getattr__(self, name: str) -> Callable[..., None]:
        callback = getattr(self._progress, name)

        def call(*args: Any) -> None:
            callback(*(renamed(arg, self._names) if isinstance(arg, str) else arg for arg in args))

        return call
