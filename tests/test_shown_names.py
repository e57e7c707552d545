"""Names are shown, never obeyed: control, terminal and bidirectional characters appear as escapes wherever odekit prints.

A name with a line feed could otherwise write a line of its own, one with an escape sequence delete what was printed, and
one with U+202E show a suffix that it does not have.
"""

import ast
import json
import re
import sys
import warnings
from pathlib import Path

import PIL.Image
import pytest
from conftest import picture
from hypothesis import given
from hypothesis import strategies as st

import odekit.cli
from odekit.cli.progress import ProgressBar
from odekit.cli.show import print_json, print_line, print_message, print_table
from odekit.core.text import visible, visible_json, visible_line
from odekit.errors import OdekitWarning

HOSTILE = "a\x1b[2K\x1b]0;title\x07\r\nodekit: all is well\u202egnp\u2066\x9b31m\x85\u2028\ufeff.png"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def check(*texts):
    for text in texts:
        assert not UNSAFE.search(text)
        assert "\nodekit: all is well" not in text


@pytest.fixture
def hostile(tmp_path):
    """A folder with a picture, a broken picture and a video of hostile names."""
    folder = tmp_path / "in"
    folder.mkdir()
    PIL.Image.fromarray(picture(0)).save(folder / HOSTILE)
    (folder / f"b{HOSTILE}").write_bytes(b"no picture")
    (folder / f"c{HOSTILE}.mov").write_bytes(b"x")
    return folder


def test_a_run_shows_hostile_names_escaped_everywhere(cli, exact, hostile, tmp_path):
    done = cli("run", exact, hostile, "-o", tmp_path / "out", "--report", "--workers", 0)
    assert done.code == 3
    check(done.out, done.err)
    shown = "a\\x1b[2K\\x1b]0;title\\x07\\x0d\\nodekit: all is well\\u202egnp\\u2066\\x9b31m\\x85\\u2028\\ufeff.png"
    assert f"{shown}: restored" in done.out
    assert "bout" not in done.err
    for name in ("run.jsonl", "failures.json", "run.json", "report.html"):
        check((tmp_path / "out" / name).read_text())
    events = [json.loads(line) for line in (tmp_path / "out" / "run.jsonl").read_text().splitlines()]
    assert {event["input"] for event in events if event["event"] == "restored"} == {str(hostile / HOSTILE)}
    (failure,) = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert failure["input"] == str(hostile / f"b{HOSTILE}")


def test_other_commands_do_too(cli, exact, hostile, tmp_path):
    told = [
        cli("run", exact, hostile, "-o", tmp_path / "out", "--dry-run"),
        cli("run", exact, hostile, "-o", tmp_path / "out", "--dry-run", "--json"),
        cli("run", exact, hostile, "-o", tmp_path / "out", "--json"),
        cli("run", tmp_path / HOSTILE, hostile, "-o", tmp_path / "out"),
        cli("run", exact, tmp_path / f"no{HOSTILE}", "-o", tmp_path / "out"),
        cli("run", exact, hostile / HOSTILE, "-o", tmp_path / f"to{HOSTILE}"),
        cli("check", HOSTILE),
        cli("degrade", hostile, "-o", tmp_path / "worse", "--kind", "jpeg"),
        cli("status", tmp_path / HOSTILE),
        cli("weights", "pull", HOSTILE),
    ]
    for done in told:
        check(done.out, done.err)
    assert json.loads(told[1].out)["jobs"][0]["input"] == str(hostile / HOSTILE)


def test_every_way_of_printing_escapes(capsys):
    print_line(HOSTILE)
    print_message(HOSTILE)
    print_table(HOSTILE, (HOSTILE,), [(HOSTILE,)])
    print_json({HOSTILE: HOSTILE})
    bar = ProgressBar(max_lines=9)
    bar.picture(HOSTILE, HOSTILE)
    bar.message(HOSTILE)
    with warnings.catch_warnings():
        warnings.showwarning = odekit.cli.one_line_warnings(warnings.showwarning)
        warnings.simplefilter("always")
        warnings.warn(HOSTILE, OdekitWarning, stacklevel=1)
    out, err = capsys.readouterr()
    check(out, err)
    assert out.count("\\u202egnp") + err.count("\\u202egnp") >= 8


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_on_a_terminal_too(capsys, monkeypatch, stream):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(getattr(sys, name), "isatty", lambda: True)
    with ProgressBar(max_lines=9, stream=getattr(sys, stream)) as bar:
        bar.begin(3, None)
        bar.phase(f"[red]{HOSTILE}", 1, 2)
        bar.picture("x\x1b[2Jx", "y\u202ey")
        bar.message("z\x9b2Jz[bold]")
    told = "".join(capsys.readouterr())
    assert "\x1b[2J" not in told and "\u202e" not in told and "\x9b" not in told and "\x1b]0;" not in told
    assert "x\\x1b[2Jx: y\\u202ey" in told
    assert "z\\x9b2Jz[bold]" in told


@given(st.text())
def test_json_keeps_its_meaning_and_lines_are_one_line(text):
    assert json.loads(visible_json(json.dumps([text], ensure_ascii=False))) == [text]
    check(visible_json(json.dumps([text], ensure_ascii=False)))
    assert not UNSAFE.search(visible(text).replace("\t", ""))
    assert len(visible_line(text).splitlines()) <= 1


def test_commands_print_through_these_functions_alone():
    found = []
    for path in sorted(Path(odekit.cli.__file__).parent.glob("*.py")):
        if path.name in ("show.py", "progress.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if name == "print" or name.endswith(("echo", "stderr.write", "stdout.write", "writelines")):
                found.append((path.name, node.lineno, name))
    assert found == []
