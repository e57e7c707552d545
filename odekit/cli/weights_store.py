"""`odekit weights pull|add|verify`: the weight store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from odekit.plugins.catalog import Weights

Names = Annotated[list[str], typer.Argument(help="Names of weights (odekit weights list).", metavar="NAME...")]


def pull(
    names: Names,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", "--accept-license", help="Accept their licences without being asked.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use no network: only check what is here.")] = False,
    place: Annotated[list[str] | None, typer.Option("--from", help="A URL to try before the registered ones.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Fetch what is here once more.")] = False,
) -> None:
    """Fetch weights into the store, check them, and go on where an earlier fetch was cut.

    Their licence is shown; where it forbids commercial use it must be accepted. ODEKIT_HOME says where the store is,
    ODEKIT_OFFLINE=1 forbids the network.

    Example: odekit weights pull face64
    """
    from odekit.cli.show import say
    from odekit.errors import ConfigError
    from odekit.parts.installed import catalog
    from odekit.plugins.weights.fetch import Pull
    from odekit.plugins.weights.lookup import find, verify

    if place and len(names) > 1:
        raise ConfigError("--from goes with one name, because a URL has one file")
    wanted = [find(name, catalog()) for name in names]
    for weights in wanted:
        bar = Transfer(weights.file)
        try:
            path = Pull(verify, Accept(accept_licence), offline, place or [], again, bar.tell, bar.say).run(weights)
        finally:
            bar.close()
        sys.stderr.write(f"{weights.name}: here and verified{other(weights)}\n")
        say(str(path))


def add(
    name: Annotated[str, typer.Argument(help="Name of the weights.")],
    file: Annotated[Path, typer.Argument(help="The file on this machine.")],
    link: Annotated[bool, typer.Option("--link", help="Do not copy: link to the file where it is.")] = False,
    allow_other: Annotated[
        bool, typer.Option("--allow-other", help="Take a file that is not the published one: your own, say.")
    ] = False,
) -> None:
    """Put a file that you have into the store, after a check of size and SHA-256 where they are known.

    Example: odekit weights add codeformer downloads/codeformer.pth
    """
    from odekit.cli.show import say
    from odekit.parts.installed import catalog
    from odekit.plugins.weights.fetch import add as bring
    from odekit.plugins.weights.lookup import find
    from odekit.plugins.weights.store import stored

    weights = find(name, catalog())
    made = bring(weights, file, link, allow_other)
    show_licence(weights)
    if made.other:
        sys.stderr.write(f"{name}: taken, although it is not the published file\n")
    elif weights.sha256 is None:
        sys.stderr.write(f"{name}: no SHA-256 is published; remembered {made.sha256}\n")
    say(str(stored(weights)))


def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names; all that are here by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read weights byte by byte and hold them against their SHA-256. Exit code 3 where one is wrong or missing.

    Example: odekit weights verify face64
    """
    from odekit.cli.show import print_json, say
    from odekit.parts.installed import catalog
    from odekit.plugins.weights.lookup import find, is_present

    found = catalog()
    stores = [find(name, found) for name in names] if names else [w for w in found.stores.values() if is_present(w)]
    rows = [checked(weights) for weights in sorted(stores, key=lambda w: w.name)]
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            say(f"{row['name']:28} {'ok' if row['ok'] else 'WRONG':6} {row['note']}".rstrip())
    raise typer.Exit(0 if all(row["ok"] for row in rows) else 3)


def checked(weights: Weights) -> dict[str, Any]:
    """One verified row."""
    from odekit.errors import WeightsError
    from odekit.parts.installed import catalog
    from odekit.plugins.weights.lookup import path_of
    from odekit.plugins.weights.lookup import verify as hold

    try:
        path = path_of(weights.name, catalog())
        sha256 = hold(weights).sha256 if weights.path is None else weights.sha256
    except WeightsError as error:
        return {"name": weights.name, "ok": False, "note": str(error)}
    known = "" if weights.sha256 else "as it was when it came here; no SHA-256 is published"
    note = other(weights).strip(" ,") or known
    return {"name": weights.name, "ok": True, "path": str(path), "sha256": sha256, "note": note}


def other(weights: Weights) -> str:
    """A remark where what is here is not the published file."""
    from odekit.plugins.weights import store
    from odekit.plugins.weights.store import folder

    known = None if weights.path is not None else store.read_receipt(folder(weights))
    return ", not the published file" if known is not None and known.other else ""


def show_licence(weights: Weights) -> None:
    """Name, size, licence and notices on stderr."""
    from odekit.plugins.weights.store import size_text

    use = "yes" if weights.commercial_use else "no"
    lines = [
        f"{weights.name}: {weights.summary or weights.file}" + (f", {size_text(weights.size)}" if weights.size else ""),
        f"  licence: {weights.licence}; commercial use: {use}",
        *([f"  {weights.notice}"] if weights.notice else []),
    ]
    sys.stderr.write("\n".join(lines) + "\n")


class Accept:
    """Shows a licence and, where it forbids commercial use, asks at a terminal whether it is accepted."""

    def __init__(self, already: bool) -> None:
        self.already = already

    def __call__(self, weights: Weights) -> bool:
        """Whether the download may be made."""
        show_licence(weights)
        if weights.commercial_use or self.already:
            return True
        return sys.stdin.isatty() and typer.confirm("Accept this licence?", err=True)


class Transfer:
    """A progress bar of bytes; on a pipe, lines alone."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.progress: Any = None
        self.task: Any = None

    def tell(self, here: int, total: int | None) -> None:
        """So many bytes are here."""
        if not sys.stderr.isatty():
            return
        if self.progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

            columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
            self.progress = Progress("{task.description}", *columns, console=Console(stderr=True))
            self.progress.start()
            self.task = self.progress.add_task(self.file)
        self.progress.update(self.task, completed=here, total=total)

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self.progress is not None:
            self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            sys.stderr.write(text + "\n")

    def close(self) -> None:
        """Leave the bar as it is."""
        if self.progress is not None:
            self.progress.stop()
