"""Files on disk: atomic writes, JSON, SHA-256, and the path of the package's assets."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from odekit.core.text import visible_json
from odekit.errors import ConfigError, WeightsError

ASSETS = Path(__file__).parents[1] / "assets"
"""Weights that ship with the package."""
ENCODING_ERRORS = "backslashreplace"
"""Error handler for file names that are not valid Unicode: JSON escapes lone surrogates, and reading restores them."""
MAX_JSON_DEPTH = 64
"""Deepest nesting of JSON that is read. Records have about 10 levels."""
_SESSION, _NUMBERS = uuid.uuid4().hex[:12], itertools.count()
"""Parts of temporary file names that are unique across processes, threads and machines."""


MAX_JSON = 256 << 20
"""Largest JSON file that is read, in bytes: the failures of a million files."""
MAX_TEXT = 64 << 20
"""Largest file of settings that is read, in bytes."""


def open_regular(path: Path | str) -> int:
    """Open a regular file for reading and return its descriptor; a device, pipe or folder is not even waited for.

    Raises:
        OSError: there is no such file, it may not be read, or it is not a regular one.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(file).st_mode
    if stat.S_ISREG(mode):
        return file
    os.close(file)
    code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    raise OSError(code, os.strerror(code) if code == errno.EISDIR else "it is not a regular file", str(path))


def read_bounded(path: Path | str, max_bytes: int) -> bytes:
    """The bytes of a regular file of at most `max_bytes`.

    Raises:
        OSError: like `open_regular`, or the file is larger (EFBIG).
    """
    file = open_regular(path)
    try:
        size = os.fstat(file).st_size  # a sparse file of terabytes is not read first
        data = os.read(file, size + 1) if size <= max_bytes else b""
        while size <= max_bytes >= len(data) and (more := os.read(file, 1 << 20)):
            data += more
    finally:
        os.close(file)
    if max(size, len(data)) > max_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {max_bytes >> 20} MiB", str(path))
    return data


def read_text(path: Path | str, max_bytes: int = MAX_TEXT) -> str:
    """The text of a regular UTF-8 file.

    Raises:
        OSError: like `read_bounded`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return read_bounded(path, max_bytes).decode("utf-8")


def write_atomic(data: bytes, path: Path | str, scratch: Path | None = None, durable: bool = False) -> None:
    """Write bytes to a temporary file (in `scratch`, or beside the target) and rename it. Raises OSError.

    A temporary file remains only if the process is killed in between; the next run clears `scratch`. A link at `path`
    is replaced, not followed. `durable`: return when the disk has the data, so that a power failure leaves either the
    old file or the new one.
    """
    folder = os.path.dirname(path)
    temporary = os.path.join(scratch or folder, f".odekit-{_SESSION}-{os.getpid()}-{next(_NUMBERS)}.tmp")
    try:
        if scratch is None:
            os.makedirs(folder or ".", exist_ok=True)
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            remaining = memoryview(data)
            while remaining:
                remaining = remaining[os.write(file, remaining) :]
            if durable:
                os.fsync(file)
        finally:
            os.close(file)
        try:
            os.replace(temporary, path)
        except FileNotFoundError:  # the folder does not exist yet
            os.makedirs(folder, exist_ok=True)
            os.replace(temporary, path)
        if durable:
            _flush_folder(folder or ".")
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if scratch is None or getattr(error, "errno", None) != errno.EXDEV:
            raise
        write_atomic(data, path, durable=durable)  # the target is on another disk than `scratch`: no rename is possible


def _flush_folder(folder: str) -> None:
    """Let the disk have the names in a folder; some file systems cannot."""
    with contextlib.suppress(OSError):
        file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, to be written in the block and renamed at its end; removed if the block fails."""
    temporary = path.with_name(f".{path.name}-{_SESSION}-{os.getpid()}-{next(_NUMBERS)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def set_usual_rights(path: Path) -> None:
    """Give a file the rights that a new file gets. safetensors leaves its files to their owner alone."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.touch()
        path.chmod(new.stat().st_mode & 0o777)
    finally:
        new.unlink(missing_ok=True)


@contextlib.contextmanager
def exclusive(path: Path, timeout: float = -1, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock file against other processes. A killed process releases its lock.

    Args:
        path: the lock file, in an existing folder.
        timeout: seconds to wait for another process; negative: without end.
        on_wait: called if another process holds the lock, before waiting.

    Raises:
        TimeoutError: another process held the lock all the time.
        OSError: the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)  # does not follow a link
    try:
        lock.acquire(timeout=0 if on_wait else timeout, poll_interval=0.05)
    except Timeout:
        if on_wait is None:
            raise
        on_wait()
        lock.acquire(timeout=timeout)
    try:
        yield
    finally:
        lock.release()


def write_json(path: Path, data: Any, durable: bool = False, indent: int | None = 1) -> None:
    """Write JSON with `write_atomic`, so that a reader never sees half a file. `indent` None: on one line."""
    text = visible_json(json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False))
    write_atomic(f"{text}\n".encode(errors=ENCODING_ERRORS), path, durable=durable)


def read_json(path: Path | str) -> Any:
    """The JSON content of a file, or None if the file is missing, damaged, or larger than `MAX_JSON`."""
    try:
        return parse_json(read_bounded(path, MAX_JSON))
    except (OSError, ValueError):
        return None


def parse_json(data: bytes) -> Any:
    """Parse JSON; None if it is not valid, or is nested more than `MAX_JSON_DEPTH` deep."""
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return value if data.count(b"[") + data.count(b"{") <= MAX_JSON_DEPTH or _depth_within(value) else None


def _depth_within(value: Any) -> bool:
    """Whether lists and objects are nested at most `MAX_JSON_DEPTH` deep; deeper ones exhaust recursive functions."""
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        items = [
            outer.values() if isinstance(outer, dict) else outer for outer in level if isinstance(outer, dict | list)
        ]
        level = [inner for group in items for inner in group]
        if not level:
            return True
    return False


def sha256(path: Path, chunk: int = 1 << 20) -> str:
    """The SHA-256 of a file of weights in hexadecimal, read in chunks of `chunk` bytes.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        return file_digest(path, chunk)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error


def file_digest(path: Path | str, chunk: int = 1 << 20) -> str:
    """The SHA-256 of any file in hexadecimal, read in chunks of `chunk` bytes. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(chunk):
            digest.update(block)
    return digest.hexdigest()


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file that comes with weights, such as a config.

    Raises:
        WeightsError: the file cannot be read, or does not hold a JSON object.
    """
    try:
        content = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: cannot be read as JSON ({error}); fetch it again") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: must hold one JSON object, holds a {type(content).__name__}")
    return content


@contextlib.contextmanager
def calibration_errors(kind: str, file: Path, command: str) -> Iterator[None]:
    """Convert the errors of reading a file of `odekit calibrate` to a ConfigError.

    Args:
        kind: of the file's content, with its article.
        file: the file that is read.
        command: the subcommand of `odekit calibrate` that writes such files.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{kind} {file} cannot be used: {error}; write one with 'odekit calibrate {command}'"
        ) from error
