"""Settle what the results of a run depend on: as the folder has it, if results are to join others; else as requested.

Shards of one job start at the same time, on different machines, each with the command of its user. The first one
settles under a lock and writes run.json; every other one takes the same settings, or is refused.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from odekit.chains.chain import Chain
from odekit.chains.dependencies import Dependencies
from odekit.chains.record import versions
from odekit.chains.tuning.batch_size import DEFAULT_BATCH_SIZE, MAX_BATCH_SIZE, check_memory
from odekit.core.device import resolve_device
from odekit.core.processors import choose_threads
from odekit.errors import ConfigError
from odekit.runs.digests import dependencies_of, difference
from odekit.runs.layout import TREE
from odekit.runs.settings import FILE, RAN_OUT, RunSettings, count_others, has_results, parse_settings, read_settings
from odekit.runs.stored_chain import first_difference, with_defaults
from odekit.runs.stores import Folder, OutputStore, read_json_in
from odekit.runs.summary import Progress, RunOptions

ROWS_PER_IMAGE = 16
"""A batch size in run.json beyond that many for each image, and beyond any that is measured, is not believed."""


class OtherSettingsError(ConfigError):
    """The results of a folder were made with other settings than those of this run.

    Args:
        reason: the first setting that differs.
        advice: what to do.
    """

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason}; {advice}")
        self.reason = reason


class Settlement:
    """Settles the settings of one run.

    Args:
        chain: of the run.
        options: of the run.
        progress: receives messages for the user.
        store: where the results lie; default: the folder of the options.
    """

    def __init__(self, chain: Chain, options: RunOptions, progress: Progress, store: OutputStore | None = None) -> None:
        self.parts = chain.parts
        self.chain = chain
        self.tree = chain.tree()
        self.seed = chain.spec.seed if options.seed is None else options.seed
        self.options = options
        self.store = store or Folder(options.out)
        self.progress = progress
        self.images = 0
        """Number of images of the job."""
        self.is_new = False
        """The settings are those of this run, not of the folder."""
        self.kept: RunSettings | None = None
        """What run.json keeps while this run has other settings: most results of the folder have them."""

    @functools.cached_property
    def depends(self) -> Dependencies:
        """Weights, files and parts as they are now."""
        return dependencies_of(self.chain)

    @functools.cached_property
    def versions(self) -> dict[str, str]:
        """Versions of what gives the results."""
        return versions(self.depends.distributions)

    def settle(self, count: int, names: Collection[str] = ()) -> RunSettings:
        """The settings of a run in a folder that it has locked; of a shard they are written.

        Args:
            count: images of the job.
            names: of the results of this run; the job of a shard has more.

        Raises:
            ConfigError: the folder has results of other settings.
            OSError: run.json cannot be written.
        """
        self.images = count
        if self.options.shard is None:
            return self.found(names) or self._new(count)
        waiting = "waiting for another shard, which chooses the settings"
        with self.store.settling(lambda: self.progress.message(waiting)):
            settings = self.adopted() or self._new(count)
            return self.write(settings)

    def write(self, settings: RunSettings) -> RunSettings:
        """Write run.json if it does not hold these settings, or those that it keeps; returns those of this run.

        Raises:
            OSError: it cannot be written.
            ConfigError: another run was first, on a store without locks, and has other settings.
        """
        written = self.kept or settings
        if parse_settings(read_json_in(self.store, FILE)) != written:
            try:
                written.write(self.store, first=self.is_new)
            except FileExistsError:
                other = parse_settings(read_json_in(self.store, FILE))
                if other is None:
                    raise ConfigError(f"{self.store.place(FILE)} is damaged; remove it") from None
                return self._agreed(other)
        return settings

    def found(self, names: Collection[str]) -> RunSettings | None:
        """The settings of the folder for this run; None if there are none to be kept.

        Args:
            names: of the results of this run.

        Raises:
            ConfigError: like `adopted`; or other results of the folder have other settings, and `overwrite` is not set.
        """
        options, self.images = self.options, self.images or len(names)
        if options.resume or options.shard is not None:
            return self.adopted()
        others = count_others(self.store, names, len(names) if options.overwrite else 0)
        if others <= (len(names) if options.overwrite else 0):
            return None
        try:
            stored = read_settings(self.store)
        except ConfigError:
            if options.overwrite:
                return None  # run.json is damaged, and does not bind whoever replaces results on purpose
            raise
        assert stored is not None  # there are records
        try:
            return self._agreed(stored)
        except OtherSettingsError as error:
            if not options.overwrite:
                raise ConfigError(
                    f"{error.reason}; use that, choose another folder with -o, or add --overwrite"
                ) from error
            self.kept = stored
            self.progress.message(
                f"{error.reason}; {FILE} keeps that for the other results, and --resume restores these again"
            )
            return None

    def adopted(self) -> RunSettings | None:
        """The settings of the folder for a resume or a shard; None if there are none to be kept.

        Raises:
            ConfigError: this run requests others, or files and parts have changed since.
        """
        if not self.options.resume and self.options.shard is None:
            return None
        stored = read_settings(self.store)
        if stored is not None:
            return self._agreed(stored)
        begun = parse_settings(read_json_in(self.store, FILE))
        if begun is not None and self.store.others_run(self.options.shard):
            return self._agreed(begun)
        if begun is not None:
            with contextlib.suppress(ConfigError):  # nothing is finished, so that nothing can be mixed
                return self._agreed(begun)
        elif self.options.resume and has_results(self.store):
            self.progress.message(f"{self.store.place(FILE)} and the records are damaged; everything is restored again")
        return None

    def _agreed(self, stored: RunSettings) -> RunSettings:
        """Stored settings for this run. Raises ConfigError if it requests others, or other results would come."""
        self._check_asked(stored)
        settings = self._with_machine(stored)
        if settings.slots > DEFAULT_BATCH_SIZE:
            self._check_slots(settings)
        return self._with_current_parts(settings)

    def _check_slots(self, settings: RunSettings) -> None:
        """Raise ConfigError for a batch size that this machine has no memory for, or that is damage or a forgery.

        Every network call computes so many rows, however few images there are.
        """
        slots = settings.slots
        try:
            check_memory(slots, resolve_device(settings.device), self.chain.spec, self.parts)
        except ConfigError as error:
            raise ConfigError(f"{self.store.place(FILE)}: {error}") from error
        if slots > max(MAX_BATCH_SIZE, ROWS_PER_IMAGE * self.images) and self.options.batch_size != slots:
            raise ConfigError(
                f"{self.store.place(FILE)} states a batch size of {slots:,} for {self.images} image(s), so that every "
                f"network call is slow; if that is right, add --batch-size {slots}"
            )

    def _new(self, count: int) -> RunSettings:
        """The requested settings, with every `auto` resolved on this machine."""
        import torch

        self.is_new, options = True, self.options
        threads = choose_threads(options.threads, torch.get_num_threads())
        torch.set_num_threads(threads)  # before anything is measured
        execution = self.chain.execution(count, options.device, options.precision, options.batch_size)
        return RunSettings(
            self.tree, self.seed, execution.device, execution.precision, execution.batch_size,
            threads,
            self.depends.tree(), self.versions, execution.precision_choices, layout=options.layout or TREE,
        )  # fmt: skip

    def _check_asked(self, stored: RunSettings) -> None:
        """Raise ConfigError if the folder has another chain, seed or layout."""
        chain = with_defaults(stored.chain, self.parts)
        for key, was, now in (("chain", chain, self.tree), ("seed", stored.seed, self.seed)):
            if was != now:
                raise OtherSettingsError(
                    f"{self.store} was written with another {key} ({first_difference(was, now)})",
                    f"resume with that {key}, or choose another folder",
                )
        if self.options.layout not in (None, stored.layout):
            raise OtherSettingsError(
                f"{self.store} was written with --layout {stored.layout}", "resume with this value, or omit --layout"
            )

    def _with_machine(self, stored: RunSettings) -> RunSettings:
        """The stored settings; another GPU of the same kind may replace that of the first run.

        Raises:
            ConfigError: this run requests another device, precision, batch size or number of threads.
        """
        options, device = self.options, stored.device
        if options.device != "auto" and options.device.partition(":")[0] == device.partition(":")[0]:
            device = options.device
        for name, requested, was in (
            ("device", None if options.device == "auto" else options.device, device),
            ("precision", None if options.precision == "auto" else options.precision, stored.precision),
            ("batch-size", None if options.batch_size == "auto" else options.batch_size, stored.slots),
            ("threads", None if options.threads == "free" else options.threads, stored.threads),
        ):
            if requested not in (None, was):
                raise OtherSettingsError(
                    f"{self.store} was written with --{name} {was}", f"resume with this value, or omit --{name}"
                )
        return replace(stored, chain=self.tree, device=device)

    def _with_current_parts(self, stored: RunSettings) -> RunSettings:
        """The stored settings with the files and versions of now.

        Raises:
            ConfigError: they give other results, and these are not to be redone.
        """
        changed = difference(stored.depends, self.depends)
        if changed:
            if self.options.changed != "redo":
                raise OtherSettingsError(
                    f"{self.store}: {changed} since its results were made",
                    "bring that back, restore the results again with --resume --changed redo, or choose another folder",
                )
            if self.store.others_run(self.options.shard):
                raise ConfigError(f"{self.store}: {changed}, and other shards are running; end them, or wait for them")
            self.progress.message(f"{changed}; results made before are restored again")
        if told := version_changes(stored.versions, self.versions):
            self.progress.message(f"{self.store} was written with {told}")
        redo = stored.redo_undated or bool(changed)
        return replace(stored, depends=self.depends.tree(), versions=self.versions, redo_undated=redo)

    def matches(self, record: Mapping[str, Any], settings: RunSettings) -> bool:
        """Whether a record has the settings of this run.

        The number of the device may differ, and the batch size after memory ran out.
        """
        found = parse_settings(record)
        if found is None or found.seed != settings.seed:
            return False
        if found.chain != settings.chain and with_defaults(found.chain, self.parts) != settings.chain:
            return False
        ran_out = RAN_OUT.fullmatch(str(record.get("memory", "")))
        slots = int(ran_out[1]) if ran_out and len(ran_out[1]) < 6 else found.slots
        kinds = [one.device.partition(":")[0] for one in (found, settings)]
        if (kinds[0], found.precision, slots, found.threads) != (
            kinds[1], settings.precision, settings.slots, settings.threads
        ):  # fmt: skip
            return False
        if found.depends:
            return not difference(found.depends, self.depends)
        undated = Dependencies(self.depends.weights)  # of an older version, which kept weights only
        return not settings.redo_undated and not difference({"weights": record.get("weights")}, undated)


def version_changes(stored: Mapping[str, Any], current: Mapping[str, str]) -> str:
    """Such as `odekit 0.1.0 (now 0.2.0)`: the distributions whose versions differ; empty if none does."""
    changed = (name for name in current if isinstance(stored.get(name), str) and stored[name] != current[name])
    return ", ".join(f"{name} {stored[name]} (now {current[name]})" for name in changed)
