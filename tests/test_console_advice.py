"""Messages for pages and windows: whatever the package says, no command to type is left in it."""

import ast
import re

import pytest
import typer
from conftest import ROOT

from odekit.cli import app
from odekit.core.console_advice import COMMANDS, CONSOLE, without_console_advice

ONLY_COMMANDS = re.compile(r"odekit/(cli|evaluation|training|runs|testing|core/precision|core/processors)")
"""Code that only commands reach."""


def text_of(node):
    """A message with `x` for its values."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def messages():
    """The messages of all errors that are raised, and of the functions that make them."""
    for path in sorted((ROOT / "odekit").rglob("*.py")):
        if ONLY_COMMANDS.match(path.relative_to(ROOT).as_posix()):
            continue
        for raised in ast.walk(ast.parse(path.read_text())):
            if isinstance(raised, ast.Raise) and isinstance(raised.exc, ast.Call):
                yield from (text_of(argument) for argument in raised.exc.args)


def test_no_message_of_the_package_keeps_a_command():
    found = [message for message in messages() if CONSOLE.search(message)]
    assert len(found) > 20
    for message in found:
        for settings in (False, True):
            left = without_console_advice(message, settings)
            assert left and not CONSOLE.search(left), left
            assert not left.endswith((" or", ",", ":", " with")), left


def test_all_commands_are_known():
    assert set(typer.main.get_command(app).list_commands(None)) <= {*COMMANDS, "ray"}


@pytest.mark.parametrize(
    ("message", "page", "window"),
    [
        (
            "9x9 is a whole photograph (no face); for a whole photograph use 'odekit run photo', or, if it is an "
            "aligned face, --set restore.aligned=trust",
            "9x9 is a whole photograph (no face); for a whole photograph use the chain 'photo'",
            "9x9 is a whole photograph (no face); for a whole photograph use the chain 'photo', or, if it is an "
            "aligned face, set restore.aligned=trust",
        ),
        (
            "the weights 'a' (MIT) are not on this machine; get them with: odekit weights pull a; or add a file that "
            "you have with: odekit weights add a FILE ; odekit weights add b FILE",
            "the weights 'a' (MIT) are not on this machine",
            "the weights 'a' (MIT) are not on this machine",
        ),
        (
            "a.jpg: is damaged or incomplete; copy it again, or restore its readable part with --salvage",
            "a.jpg: is damaged or incomplete; copy it again",
            "a.jpg: is damaged or incomplete; copy it again",
        ),
        (
            "'mend' needs OpenCV (x); pip install 'odekit[photos]', or set mend.scratches=false",
            "'mend' needs OpenCV (x)",
            "'mend' needs OpenCV (x); set mend.scratches=false",
        ),
        ("--set a.b=2: the chain has no 'b'", "a.b=2: the chain has no 'b'", "a.b=2: the chain has no 'b'"),
        ("size 8x9--x.png: is empty", "size 8x9--x.png: is empty", "size 8x9--x.png: is empty"),
        ("--set:1:2: not valid YAML", "not valid YAML", "not valid YAML"),
        ("--salvage", "salvage", "salvage"),
    ],
)
def test_what_is_wrong_stays_and_what_can_be_done_there(message, page, window):
    assert (without_console_advice(message), without_console_advice(message, settings=True)) == (page, window)
