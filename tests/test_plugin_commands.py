"""Commands that plugins add: listed without importing them, called like odekit's own, and failing one by one."""

import json
import sys

import pytest

MODULE = '''
import sys
import typer

several = typer.Typer(help="Two commands.")
single = typer.Typer()


@several.command()
def first(number: int = typer.Argument(...)) -> None:
    """The first."""
    typer.echo(f"first {number}")


@several.command()
def second() -> None:
    """The second."""
    from odekit.errors import InputError
    raise InputError("no picture")


@single.command()
def only(twice: bool = False) -> None:
    """The only one."""
    typer.echo(f"only {twice}")


def plain(word: str, times: int = 1) -> None:
    """A function."""
    typer.echo(" ".join([word] * times))


def chosen() -> None:
    """Ends with a code of its own."""
    raise typer.Exit(7)


number = 3
'''


def plugin(folder, dist, commands, module=MODULE, parts=None):
    """A distribution as pip would install it: a module and its entry points."""
    name = dist.replace("-", "_")
    (folder / f"{name}.py").write_text(module)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n")
    points = "".join(f"{key} = {target.replace('MODULE', name)}\n" for key, target in commands.items())
    extra = f"[odekit]\n{parts} = {name}\n" if parts else ""
    (info / "entry_points.txt").write_text(f"[odekit.commands]\n{points}{extra}")
    return name


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An empty folder of distributions, on Python's path."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delenv("ODEKIT_PLUGINS", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


COMMANDS = {"many": "MODULE:several", "one": "MODULE:single", "plain": "MODULE:plain", "chosen": "MODULE:chosen"}


def test_commands_are_listed_with_their_distribution_and_without_being_imported(cli, site):
    name = plugin(site, "alpha-tools", COMMANDS)
    told = cli("--help")
    assert told.code == 0 and name not in sys.modules
    panel = told.out[told.out.index("Commands of plugins") :]
    for command in COMMANDS:
        assert any(command in line and "From alpha-tools." in line for line in panel.splitlines())
    assert "Commands of plugins" not in told.out[: told.out.index("new-plugin")]


def test_doctor_and_plugins_name_the_commands_without_importing_them(cli, site):
    name = plugin(site, "alpha-tools", {"one": "MODULE:single", "plain": "MODULE:plain"})
    rows = {row["name"]: row for row in json.loads(cli("doctor", "--json").out)["findings"]}
    assert rows["alpha-tools"] == {
        "topic": "plugin", "name": "alpha-tools", "state": "1.0", "advice": "odekit one, odekit plain",
    }  # fmt: skip
    assert json.loads(cli("plugins", "--kind", "solver", "--json").out)["commands"]["plain"] == "alpha-tools"
    assert "odekit one (alpha-tools), odekit plain (alpha-tools)" in cli("plugins", "--kind", "solver").out
    assert name not in sys.modules


def test_a_function_a_typer_app_of_one_command_and_one_of_several_run(cli, site):
    plugin(site, "alpha-tools", COMMANDS)
    assert cli("plain", "ab", "--times", 2).out == "ab ab\n"
    assert cli("one", "--twice").out == "only True\n"
    assert cli("many", "first", 4).out == "first 4\n"
    assert cli("chosen").code == 7


def test_help_and_usage_errors_are_those_of_the_command(cli, site):
    plugin(site, "alpha-tools", COMMANDS)
    told = cli("many", "first", "--help").out
    assert "odekit many first" in told and "The first." in told
    assert "Two commands." in cli("many", "--help").out
    assert "--install-completion" not in cli("one", "--help").out + cli("many", "--help").out
    wrong = cli("plain", "a", "--times", "b")
    assert wrong.code == 2 and "--times" in wrong.err


def test_errors_meant_for_people_are_one_line(cli, site):
    plugin(site, "alpha-tools", COMMANDS)
    failed = cli("many", "second")
    assert (failed.code, failed.err) == (2, "odekit: no picture\n")


def test_names_of_odekit_win_and_the_plugin_is_named(cli, site):
    plugin(site, "alpha-tools", {"plugins": "MODULE:plain", "fine": "MODULE:plain"})
    assert json.loads(cli("plugins", "--kind", "solver", "--json").out)["parts"]
    told = cli("--help")
    assert "alpha_tools" not in sys.modules
    assert told.err == (
        "odekit: note: the command 'plugins' of alpha-tools has the name of a command of odekit; "
        "call it as 'odekit alpha-tools:plugins'\n"
    )
    assert told.out.count("From alpha-tools.") == 2 and "alpha-tools:plugins" in told.out
    assert cli("alpha-tools:plugins", "ab").out == "ab\n"


@pytest.mark.parametrize(
    ("target", "module", "reason"),
    [
        ("MODULE:absent", MODULE, "AttributeError: module 'broken_tools' has no attribute 'absent'"),
        ("no_such_module:app", MODULE, "ModuleNotFoundError: No module named 'no_such_module'"),
        ("MODULE:number", MODULE, "TypeError: 3 is neither a Typer app nor a function"),
        ("MODULE:plain", "raise RuntimeError('half\\nbuilt')", "RuntimeError: half built"),
        ("MODULE:plain", "raise SystemExit('bye')", "SystemExit: bye"),
    ],
)
def test_a_broken_command_is_one_line_and_breaks_no_other(cli, site, target, module, reason):
    plugin(site, "broken-tools", {"wrong": target}, module)
    plugin(site, "alpha-tools", COMMANDS)
    failed = cli("wrong")
    assert failed.code == 2
    assert failed.err == f"odekit: the command 'wrong' of broken-tools cannot be loaded: {reason}\n"
    assert "From broken-tools." in cli("--help").out
    assert cli("plain", "x").out == "x\n"


def test_two_plugins_with_one_name_are_distinguished_by_their_distributions(cli, site):
    plugin(site, "alpha-tools", {"plain": "MODULE:plain"})
    plugin(site, "beta-tools", {"plain": "MODULE:number"})
    clash = cli("plain", "x")
    assert clash.code == 2
    assert clash.err == (
        "odekit: 2 plugins offer the command 'plain': alpha-tools, beta-tools; write 'alpha-tools:plain' to choose one\n"
    )
    assert cli("alpha-tools:plain", "x").out == "x\n"
    told = cli("--help").out
    assert "alpha-tools:plain" in told and "beta-tools:plain" in told


@pytest.mark.parametrize(
    ("value", "found"),
    [("none", False), ("", False), ("other", False), ("alpha-tools", True), ("alpha", True), ("plain", True)],
)
def test_the_environment_variable_limits_commands_as_it_limits_parts(cli, site, monkeypatch, value, found):
    plugin(site, "alpha-tools", {"plain": "MODULE:plain"}, parts="alpha")
    monkeypatch.setenv("ODEKIT_PLUGINS", value)
    assert ("From alpha-tools." in cli("--help").out) is found
    assert (cli("plain", "x").out == "x\n") is found


def test_an_unknown_command_names_the_nearest_of_all(cli, site):
    plugin(site, "alpha-tools", {"enlarge": "MODULE:plain"})
    wrong = cli("enlarg")
    assert wrong.code == 2 and "enlarge" in wrong.err
