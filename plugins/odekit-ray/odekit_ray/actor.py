"""A worker of a job on Ray: it holds a session, and reads, restores and writes batches of files by itself."""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from odekit.chains.chain import Chain
from odekit.chains.document import Document
from odekit.chains.output_size import check_output_size
from odekit.chains.session import Session
from odekit.errors import ConfigError, InputError, OutputError
from odekit.parts.installed import catalog
from odekit.plugins.catalog import BUILT_IN
from odekit.runs.engine import Engine
from odekit.runs.findings import findings_of
from odekit.runs.inputs import Job
from odekit.runs.jobs import JobBook, JobTicket
from odekit.runs.pipeline import Pipeline
from odekit.runs.settings import RunSettings
from odekit.runs.silent import Silent
from odekit.runs.stop import StopRequest
from odekit.runs.summary import Progress, RunOptions, failure_text
from odekit.runs.workers import WorkerPool
from odekit_ray.attempts import MAX_ATTEMPTS, Attempts

RESTORED, SKIPPED, FAILED, NOTED = "restored", "skipped", "failed", "noted"
"""What became of a file; a note comes beside one of the others."""
PARENT_SECONDS = 0.2
"""How often a worker looks whether the process that started it has ended."""

Row = dict[str, Any]
"""What the driver is told of one file: `name`, `state`, `text` and, of results, `findings`, `calls`, `seconds`."""


def end_with_parent() -> None:
    """End this process soon after the one that started it: another run may hold the folder then."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def chain_of(tree: Mapping[str, Any]) -> Chain:
    """The chain of a driver, from its tree.

    Raises:
        ConfigError: this machine lacks a part of it, or makes another chain of it.
    """
    chain = Chain.from_document(Document(dict(tree), "", {}, owner=BUILT_IN), (), catalog())
    if chain.tree() != tree:
        raise ConfigError("another version of odekit or of a plugin is installed on a worker; bring all to one version")
    return chain


def settle(
    tree: Mapping[str, Any],
    options: RunOptions,
    places: Mapping[str, Any],
    jobs: Sequence[Job],
    total: int,
    folder: str,
) -> tuple[RunSettings, list[str]]:
    """Settle a job on a worker, which has the device and the number of threads that the others have.

    Args:
        tree: of the chain.
        options: of the run.
        places: `store` and `source` of the job book.
        jobs: those whose results may be there already; none for a resume, which asks each record.
        total: number of all jobs.
        folder: working directory of the driver.

    Returns:
        The settings, and messages for the user.
    """
    os.chdir(folder)
    told = Told()
    book = JobBook(chain_of(tree), options, told, **places)
    try:
        settings = book.settlement.write(book.settle(jobs, total))
    except ConfigError as error:  # those of more arguments cannot be sent to the driver
        raise ConfigError(str(error)) from None
    return settings, told.messages


class Told(Silent):
    """Collects messages."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        """Keep a message."""
        self.messages.append(text)


class Rows:
    """Accounts of the files of a batch, as rows for the driver."""

    def __init__(self) -> None:
        self.progress: Progress = Silent()
        self.rows: list[Row] = []

    def written(self, job: Job, name: str, entries: Mapping[str, Any]) -> None:
        """Tell of a result."""
        findings = pickle.dumps(findings_of(entries))
        self.rows.append(row(job.name, RESTORED, name, findings, entries["calls"], entries["seconds"]))

    def failed(self, job: Job, error: Exception, place: str = "") -> None:
        """Tell of a failure."""
        self.rows.append(row(job.name, FAILED, failure_text(job, error, place)))

    def noted(self, job: Job, notes: Sequence[str]) -> None:
        """Tell of notes."""
        self.rows += [row(job.name, NOTED, note) for note in notes]

    def flush(self) -> None:
        """Nothing."""


def row(name: str, state: str, text: str, findings: bytes = b"", calls: int = 0, seconds: float = 0.0) -> Row:
    """One row; all have the same types, so that they make a table."""
    return {"name": name, "state": state, "text": text, "findings": findings, "calls": calls, "seconds": seconds}


class Restorer:
    """An actor of Ray Data's pool.

    Args:
        tree: of the chain.
        ticket: of the job.
        scratch: name of the run's folder for temporary files.
        folder: working directory of the driver, from which relative paths lead.
    """

    def __init__(self, tree: Mapping[str, Any], ticket: JobTicket, scratch: str, folder: str) -> None:
        end_with_parent()
        os.chdir(folder)
        self.book = JobBook.join(chain_of(tree), ticket)
        self.attempts = Attempts(ticket.output.store, scratch)
        self.session: Session | None = None
        self.engine: Engine

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Restore what is not done of a batch with the columns `name` and `file`; a table of rows."""
        jobs = [Job(str(file), str(name)) for file, name in zip(batch["file"], batch["name"], strict=True)]
        rows = self.restore(jobs)
        return {key: [one[key] for one in rows] for key in row("", "", "")}

    def restore(self, jobs: Sequence[Job]) -> list[Row]:
        """The rows of a batch. If an attempt at it has ended a process, its files are taken in smaller parts."""
        names = [job.name for job in jobs]
        before = self.attempts.begun(names)
        rows: list[Row] = []
        todo = []
        for job in jobs:
            if self.book.done(job.name, job.file):
                # An earlier attempt of this run may have made it; nobody was told.
                state = RESTORED if before is not None and job.name in before else SKIPPED
                rows.append(row(job.name, state, job.name, pickle.dumps(self.book.findings)))
            else:
                todo.append(job)
        if before is not None:
            return rows + self.again(todo)
        if todo:
            self.attempts.begin(names, [job.name for job in todo])
            rows += self.run(todo)
        return rows

    def again(self, todo: Sequence[Job]) -> list[Row]:
        """The rows of files that were in a batch which has ended a process: together, in halves, at last alone."""
        if not todo:
            return []
        names = [job.name for job in todo]
        count = self.attempts.count(names)
        if len(todo) > 1 and count:
            half = (len(todo) + 1) // 2
            return self.again(todo[:half]) + self.again(todo[half:])
        if count >= MAX_ATTEMPTS:
            job = todo[0]
            error = InputError(f"{job.file}: ended its worker process {MAX_ATTEMPTS} times; the file may be damaged")
            return [row(job.name, FAILED, failure_text(job, error))]
        self.attempts.begin(names, names)
        return self.run(todo)

    def run(self, todo: Sequence[Job]) -> list[Row]:
        """Read, restore and write files; one row for each.

        Raises:
            OutputError: the store takes no more, which ends the job.
        """
        if self.session is None:  # the first file that is not done
            self.session = self.book.session()
            self.engine = Engine(self.session)
        accounts, stop = Rows(), StopRequest()
        limit = self.book.options.max_megapixels
        check = partial(check_output_size, session=self.session, max_megapixels=limit)
        pipeline = Pipeline(self.engine, WorkerPool(0), accounts, self.book, check)
        try:
            pipeline.run(todo, stop)
        finally:
            pipeline.workers.close()
        if stop.reason:
            raise OutputError(stop.reason)
        return accounts.rows
