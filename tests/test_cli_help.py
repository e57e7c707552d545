"""What somebody sees who does not know odekit yet: help in every usual form, a short start, and shell completion."""

import os
import subprocess
import sys

import pytest
from test_start import loaded_modules

import odekit
from benchmarks.__main__ import PANELS
from odekit.cli.bench import MEASUREMENTS


def test_odekit_alone_is_a_short_start_with_commands_that_exist(cli):
    done = cli()
    assert done.code == 0 and done.err == "" and len(done.out.splitlines()) < 15
    examples = [line.split("  ")[1] for line in done.out.splitlines() if line.startswith("  odekit")]
    assert examples[0].strip() == "odekit run photo family.jpg -o out/"
    for example in examples:
        command = example.split()[1]
        assert cli(command, "--help").code == 0


@pytest.mark.parametrize("command", [[], ["run"], ["weights"], ["weights", "pull"], ["train", "prior"]], ids=" ".join)
def test_every_form_of_help_is_the_same(cli, command):
    expected = cli(*command, "--help")
    assert expected.code == 0 and "Usage: " in expected.out
    for same in ([*command, "-h"], ["help", *command]):
        assert cli(*same) == expected


def test_help_for_an_unknown_command_is_an_error(cli):
    done = cli("help", "runn")
    assert done.code == 2 and "No such command 'runn'" in done.err and "Traceback" not in done.err


def test_the_version_has_a_short_form(cli):
    assert cli("-V") == cli("--version")
    assert cli("-V").out == f"odekit {odekit.__version__}\n"


def test_python_runs_the_package():
    done = subprocess.run([sys.executable, "-m", "odekit", "-V"], capture_output=True, text=True, check=True)
    assert done.stdout == f"odekit {odekit.__version__}\n"
    refused = subprocess.run(
        [sys.executable, "-m", "odekit", "check", "no"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2 and refused.stderr.startswith("odekit: unknown chain 'no'")


def test_the_first_example_of_run_is_a_photograph(cli):
    lines = [line.strip() for line in cli("run", "--help").out.splitlines()]
    examples = [line for line in lines if line.startswith("odekit run")]
    assert examples[0] == "odekit run photo family.jpg -o out/"


@pytest.mark.parametrize("args", [[], ["-h"], ["-V"], ["help", "run"]], ids=lambda args: " ".join(args) or "nothing")
def test_help_loads_no_library_of_the_work(args):
    code, modules = loaded_modules("from odekit.cli import main; main()", *args)
    assert code == 0
    assert not modules & {"torch", "numpy", "PIL", "ruamel", "pluggy", "scipy", "cv2"}


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Run a command in bash, with an installed `odekit` and an empty home."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "odekit"
    program.write_text(f"#!{sys.executable}\nfrom odekit.cli import main\nmain()\n")
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(tmp_path), "SHELL": "/bin/bash"}

    def run(command, **variables):
        done = subprocess.run(
            ["bash", "-c", f"{command}; exit $?"],
            capture_output=True,
            text=True,
            env=environment | variables,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def complete(shell, *words):
    variables = {"_ODEKIT_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    return shell("odekit", **variables).split()


def test_the_shell_completes_commands_options_and_chains(shell):
    assert complete(shell, "odekit", "exp") == ["explain", "experiment"]
    assert complete(shell, "odekit", "run", "odedit-p") == ["odedit-paper", "odedit-plus"]
    assert complete(shell, "odekit", "run", "photo", "--see") == ["--seed"]
    assert complete(shell, "odekit", "run", "./my") == []  # bash then completes files


def test_completion_is_shown_and_installed(shell, tmp_path):
    script = shell("odekit --show-completion")
    assert "complete -o default -F _odekit_completion odekit" in script
    assert "completion installed in" in shell("odekit --install-completion")
    assert "_odekit_completion" in (tmp_path / ".bash_completions" / "odekit.sh").read_text()
    assert "odekit.sh" in (tmp_path / ".bashrc").read_text()


def test_a_measurement_is_named_only_if_it_exists(cli):
    assert set(MEASUREMENTS) == {name for names in PANELS.values() for name in names}
    done = cli("bench", "nope")
    assert done.code == 2 and done.err.startswith("odekit: there is no measurement 'nope'")
    assert "python -m" not in done.err
    assert cli("bench", "spede").err == "odekit: there is no measurement 'spede'; did you mean 'speed'?\n"
    assert "is now 'python -m benchmarks speed'" in cli("bench", "speed").err
