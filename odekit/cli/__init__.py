"""The `odekit` command line: one module per command."""

from __future__ import annotations

from odekit.cli import waiting  # first: it watches the machine while the others are loaded

# isort: split
import errno
import itertools
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import typer

from odekit.cli import (
    bench,
    calibrate,
    chains,
    degrade,
    doctor,
    eval,
    experiment,
    faces,
    help,
    new_plugin,
    plugins,
    records,
    run,
    status,
    train,
    weights,
)
from odekit.cli.plugin_commands import CommandsWithPlugins
from odekit.cli.show import print_line, print_message, print_stderr, print_text, reserve_stdout

app = typer.Typer(
    name="odekit",
    cls=CommandsWithPlugins,
    help="Blind face restoration with ODEdit and plugins. A chain is a YAML file, or the name of a shipped chain.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.command()(run.run)
app.command()(chains.check)
app.command()(chains.explain)
app.command()(faces.faces)
app.command()(plugins.plugins)
app.command()(degrade.degrade)
app.command()(eval.eval)
app.command()(status.status)
app.command()(records.records)
app.command()(doctor.doctor)
app.command("new-plugin")(new_plugin.new_plugin)
app.add_typer(weights.app, name="weights")
app.add_typer(train.app, name="train")
app.add_typer(experiment.app, name="experiment")
app.add_typer(calibrate.app, name="calibrate")
reserve_stdout(app)
app.command("help")(help.help)
app.command("bench", hidden=True, context_settings=bench.ANYTHING)(bench.bench)


def version(value: bool) -> None:
    """Print the version and exit."""
    if value:
        from odekit.core.version import __version__

        print_line(f"odekit {__version__}")
        raise typer.Exit()


@app.callback()
def main_callback(
    context: typer.Context,
    show: bool = typer.Option(
        False, "--version", "-V", callback=version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Blind face restoration with ODEdit and plugins. A chain is a YAML file, or the name of a shipped chain."""
    if context.invoked_subcommand is None:
        print_text(help.START.removesuffix("\n"))


def one_line_warnings(default: Callable[..., None]) -> Callable[..., None]:
    """A replacement for `warnings.showwarning`: one line for odekit's warnings, `default` for all others."""
    from odekit.errors import OdekitWarning

    def show(message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any) -> None:
        if issubclass(category, OdekitWarning):
            print_message(f"note: {' '.join(str(message).split())}")
        else:
            default(message, category, *args, **kwargs)

    return show


def refuse_empty_out(arguments: Sequence[str]) -> None:
    """Raise ConfigError for `-o ""`, as from a shell variable that is not set: it would be the current folder."""
    from odekit.errors import ConfigError

    pairs = itertools.zip_longest(arguments, arguments[1:])
    if any((name in ("-o", "--out") and value == "") or name == "--out=" for name, value in pairs):
        raise ConfigError("-o '': names nothing; name a folder, or . for the current one")


def main() -> None:
    """Entry point. Errors of odekit are printed as one line on stderr, with exit code 2; after Ctrl-C it is 130.

    It is 4 where the output takes no more, as after a run that this ends, or the machine opens no further file.
    """
    from odekit.cli.startup import pause_gc
    from odekit.cli.streams import ReaderGoneError, prepare_streams
    from odekit.core.debug import debugging, traceback_lines
    from odekit.errors import OdekitError
    from odekit.runs.faults import is_of_machine  # not when it is needed: perhaps no file can be opened any more

    prepare_streams()
    waiting.prepare_threads()
    with warnings.catch_warnings(), pause_gc(sys.argv[1:2] == ["run"]):
        warnings.showwarning = one_line_warnings(warnings.showwarning)
        warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged tags; `without_warnings` serves one thread
        try:
            call()
        except ReaderGoneError:
            raise SystemExit(4) from None  # nobody reads what would be said
        except OdekitError as error:
            for line in traceback_lines(error) if debugging() else ():
                print_stderr(line)
            print_message(" ".join(str(error).split()))
            raise SystemExit(4 if is_of_machine(error) else 2) from None
        except KeyboardInterrupt:
            print_message("interrupted")
            raise SystemExit(130) from None


def call() -> None:
    """Run the command of the command line, and write what it printed.

    Raises:
        SystemExit: at its end.
        KeyboardInterrupt: Ctrl-C that the command did not treat.
        OdekitError: an error that is one line; OutputError also for the errors of the machine in any command.
    """
    from odekit.cli.streams import drop_output, flush_output
    from odekit.errors import ConfigError, OutputError
    from odekit.runs.faults import FOLDER_ERRORS, PROCESS_ERRORS

    try:
        refuse_empty_out(sys.argv[1:])
        app(standalone_mode=True)
    except SystemExit as end:
        flush_output()
        ended = end.__context__
        if ended is not None and isinstance(ended.__cause__, KeyboardInterrupt):
            raise KeyboardInterrupt from None  # typer would end the program without a word
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno == errno.ENOENT and error.filename is None:
            raise ConfigError("the current folder does not exist any more; change to another one") from error
        if error.errno not in FOLDER_ERRORS | PROCESS_ERRORS:
            raise
        drop_output()
        name = error.filename2 or error.filename
        raise OutputError(
            f"{os.fsdecode(name)}: {reason}" if name else f"the output cannot be written: {reason}"
        ) from error
