"""Where a run writes: the output, its record, and the folder of what is not finished."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from odekit.core.files import exclusive
from odekit.errors import InputError, OutputError

PLAN, LOCK, REPLACING = "plan.json", "lock", "replacing"
"""Files in the folder. The last one says that the run may replace what is at the output."""


class Place:
    """The files of a run.

    Args:
        output: the video to write.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output.with_name(f"{output.name}.parts")
        self.record = output.with_name(f"{output.name}.json")
        self.plan = self.folder / PLAN
        self.replaces = False
        """Whether something at the output may be replaced."""

    def check(self, source: Path, resume: bool, overwrite: bool) -> None:
        """Refuse what would overwrite something, or begin in what an earlier run left.

        Raises:
            InputError: the input is missing, or is the output.
            OutputError: something is there, and neither `resume` nor `overwrite` says what to do with it; or another
                run is writing, or nothing can be written.
        """
        if not source.is_file():
            raise InputError(f"{source}: there is no such file")
        if self.output.exists() and self.output.samefile(source):
            raise InputError(f"{self.output} is the input; choose another output")
        check_folder(self.output.parent, str(self.output))
        for path in (self.output, self.record):
            if path.is_dir():
                raise OutputError(f"{path} is a folder, and a run writes a file of this name; choose another output")
        if os.path.lexists(self.folder) and not self.folder.is_dir():
            raise OutputError(f"{self.folder} is no folder, and a run keeps its parts in one; move it away")
        if self.folder.exists():
            with self.held():
                self.replaces = overwrite or (self.folder / REPLACING).exists()
                if overwrite:
                    self.plan.unlink(missing_ok=True)
            if overwrite:
                shutil.rmtree(self.folder, ignore_errors=True)
        self.replaces |= overwrite
        if self.output.exists() and not self.replaces:
            raise OutputError(f"{self.output} is there already; --overwrite replaces it")
        if self.folder.exists() and not resume:
            raise OutputError(
                f"{self.folder} is what an unfinished run left: --resume continues it, --overwrite starts anew"
            )

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder against other runs.

        Raises:
            OutputError: another run holds it, or it cannot be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(exclusive(self.folder / LOCK, timeout=0))
            except TimeoutError:
                raise OutputError(f"{self.output}: another run is writing it") from None
            except OSError as error:
                raise OutputError(f"{self.folder}: cannot be written ({error.strerror or error})") from error
            yield

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """The folder, made and held. It is removed at the end, and after an error before `plan` is there."""
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be made ({error.strerror or error})") from error
        with self.held():
            try:
                if self.output.exists() and not self.replaces:
                    raise self._appeared()
                if self.replaces:
                    (self.folder / REPLACING).touch()
                yield
                self.plan.unlink(missing_ok=True)
            except BaseException:
                if not self.plan.exists():
                    shutil.rmtree(self.folder)
                raise
        shutil.rmtree(self.folder, ignore_errors=True)

    def publish(self, part: Path) -> None:
        """Give the finished file its name.

        Raises:
            OutputError: something that may not be replaced has got it meanwhile.
        """
        if self.replaces:
            part.replace(self.output)
        else:
            try:
                os.link(part, self.output)
            except FileExistsError:
                raise self._appeared() from None
            except OSError:  # a file system without links
                if self.output.exists():
                    raise self._appeared() from None
                part.replace(self.output)
        (self.folder / REPLACING).touch()  # if record or sheet cannot be written, --resume writes all again

    def _appeared(self) -> OutputError:
        return OutputError(
            f"{self.output}: a file of this name was written meanwhile, and stays; move it away and use --resume"
        )


def check_folder(folder: Path, what: str) -> None:
    """Refuse a folder in which no file can be written, which `what` is to be in. Raises OutputError."""
    if not folder.is_dir():
        raise OutputError(f"{what}: there is no folder {folder}")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"{what}: the folder cannot be written ({error.strerror or error})") from error
