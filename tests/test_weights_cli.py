"""`odekit weights`, and the output of `run`, `check`, `explain` and `plugins` about weights and licences."""

import json
import sys

import pytest
from conftest import picture
from loopback import serve, sha256
from test_weights_pull import FILE, safetensors

import odekit
from odekit.core.image import Image
from odekit.core.interfaces import UpsamplerSpec
from odekit.core.options import Options
from odekit.parts import builtin, installed
from odekit.plugins.discovery import build
from odekit.plugins.weights import download

CHAIN = """\
odekit: 1
priors: {face: {use: mixture, side: 8}}
chain:
  - restore: {inverter: {use: ode, steps: 2}, enhancer: none}
  - upsample: {use: twice, weights: %s}
"""


class TwiceOptions(Options):
    part = "twice"
    weights: str = "secret"

    def calls(self):
        return 3


class Twice:
    """An upsampler that needs a file."""

    spec = UpsamplerSpec(scale=2.0)

    def __init__(self, options, tools):
        self.file = tools.weights(options.weights)

    def upsample(self, images, rng):
        return [image.with_pixels(image.pixels.repeat(2, 1).repeat(2, 2)) for image in images]


class Plugin:
    """Registers an upsampler and three weights: non-commercial, free, and without a URL."""

    def __init__(self, address):
        self.address = address

    def odekit_parts(self, catalog):
        known = {"sha256": sha256(FILE), "size": len(FILE), "filename": "net.safetensors"}
        urls = [f"{self.address}/{name}" for name in ("first", "second")]
        catalog.upsampler("twice", Twice, TwiceOptions, "twice as large", licence="MIT")
        catalog.weights(
            "secret", licence="S-Lab 1.0", commercial_use=False, urls=urls, notice="Ask the authors.", **known
        )
        catalog.weights("open", licence="BSD-3-Clause", commercial_use=True, urls=urls, **known)
        catalog.weights("lost", licence="MIT", commercial_use=True, filename="lost.safetensors")


@pytest.fixture(scope="module")
def running():
    with serve() as server:
        yield server


@pytest.fixture
def server(running, tmp_path, monkeypatch):
    found = build([("odekit", builtin), ("somebody", Plugin(running.address))])
    monkeypatch.setattr(installed, "installed_parts", lambda: found)
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ODEKIT_OFFLINE", raising=False)
    monkeypatch.setattr(download, "RETRY_DELAY", 0.0)
    running.pages.clear()
    running.asked.clear()
    running.put("second", FILE)
    return running


@pytest.fixture
def chain(tmp_path):
    def write(name="secret"):
        (tmp_path / "chain.yaml").write_text(CHAIN % name)
        return tmp_path / "chain.yaml"

    return write


@pytest.fixture
def face(tmp_path):
    odekit.write(Image.from_uint8(picture(1)), tmp_path / "face.png", format="png")
    return tmp_path / "face.png"


class Terminal:
    """An interactive standard input."""

    def __init__(self, answer):
        self.answer = answer

    def isatty(self):
        return True

    def readline(self, *args):
        return self.answer


def test_the_licence_is_shown_and_asked_for_before_a_non_commercial_download(cli, server, monkeypatch):
    done = cli("weights", "pull", "secret")
    assert done.code == 2 and server.asked == []
    for text in ("licence: S-Lab 1.0; commercial use: no", "Ask the authors.", "--accept-licence"):
        assert text in done.err
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    done = cli("weights", "pull", "secret")
    assert done.code == 2 and server.asked == [] and "not accepted" in done.err
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert cli("weights", "pull", "secret").code == 0
    assert [name for name, _ in server.asked] == ["first", "second"], "404, then the mirror"


def test_pull_prints_where_the_file_is(cli, server, tmp_path):
    done = cli("weights", "pull", "open", "--accept-licence")
    path = tmp_path / "home" / "weights" / "open" / "net.safetensors"
    assert done.code == 0 and done.out.strip() == str(path) and path.read_bytes() == FILE
    assert "404" in done.err and "licence: BSD-3-Clause; commercial use: yes" in done.err
    assert cli("weights", "path", "open").out.strip() == str(path)
    assert cli("weights", "pull", "open", "--offline").code == 0


def test_american_spelling_is_understood_too(cli, server):
    assert cli("weights", "pull", "secret", "--accept-license").code == 0


def test_own_places_and_fetching_again(cli, server):
    assert cli("weights", "pull", "open", "--from", server.put("mine", FILE)).code == 0
    assert [name for name, _ in server.asked] == ["mine"]
    assert cli("weights", "pull", "open").code == 0 and len(server.asked) == 1
    assert cli("weights", "pull", "open", "--again").code == 0 and len(server.asked) == 3
    assert "one name" in cli("weights", "pull", "open", "secret", "--from", "http://x").err


@pytest.mark.parametrize("command", [["pull"], ["path"], ["verify"]])
def test_unknown_names_are_answered_with_the_nearest(cli, server, command):
    done = cli("weights", *command, "opne")
    assert done.code in (2, 3) and "did you mean 'open'" in done.err + done.out


def test_a_run_fails_before_any_work_with_the_command_that_mends_it(cli, server, chain, face, tmp_path):
    done = cli("run", chain(), face, "-o", tmp_path / "out")
    assert done.code == 2
    assert "odekit weights pull secret" in done.err and "odekit weights add secret FILE" in done.err
    assert not list((tmp_path / "out").glob("*.png")) and not list((tmp_path / "out").glob("*.json"))
    (tmp_path / "mine.safetensors").write_bytes(safetensors(1))
    done = cli("weights", "add", "secret", tmp_path / "mine.safetensors")
    assert done.code == 2 and "--allow-other" in done.err
    done = cli("weights", "add", "secret", tmp_path / "mine.safetensors", "--allow-other")
    assert done.code == 0 and "not the published file" in done.err and "S-Lab 1.0" in done.err
    assert cli("run", chain(), face, "-o", tmp_path / "out").code == 0
    record = json.loads((tmp_path / "out" / "face.png.json").read_text())
    assert record["weights"]["secret"] == sha256(safetensors(1)), "the record names the file that was used"


def test_weights_by_path_are_looked_for_before_any_work(cli, server, chain, face, tmp_path):
    done = cli("run", chain("./absent.pth"), face, "-o", tmp_path / "out")
    assert done.code == 2 and "./absent.pth: there is no such weights file" in done.err


def test_commercial_only_names_the_weights_that_forbid_it(cli, server, chain, face, tmp_path):
    done = cli("run", chain(), face, "-o", tmp_path / "out", "--commercial-only")
    assert done.code == 2 and "upsampler 'twice' (weights 'secret': S-Lab 1.0)" in done.err
    cli("weights", "pull", "open")
    assert cli("run", chain("open"), face, "-o", tmp_path / "out", "--commercial-only").code == 0


def test_check_and_explain_say_which_weights_are_needed_and_whether_they_are_here(cli, server, chain):
    done = cli("check", chain())
    assert done.code == 0 and "odekit weights pull secret" in done.out
    told = json.loads(cli("explain", chain(), "--json").out)["weights"]
    assert [(w["name"], w["licence"], w["commercial_use"], w["here"]) for w in told] == [
        ("secret", "S-Lab 1.0", False, False)
    ]
    text = cli("explain", chain()).out
    assert "S-Lab 1.0" in text and "odekit weights pull secret" in text and "3 calls of its own network" in text
    cli("weights", "pull", "secret", "--accept-licence")
    assert "weights" not in cli("check", chain()).out
    assert json.loads(cli("check", chain(), "--json").out)["weights"][0]["here"] is True
    assert "did you mean 'secret'" in cli("check", chain("secrte")).err


def test_list_says_what_is_here(cli, server):
    cli("weights", "pull", "open")
    rows = {row["name"]: row for row in json.loads(cli("weights", "list", "--json").out)}
    assert (rows["open"]["here"], rows["secret"]["here"], rows["face64"]["here"]) == (True, False, True)
    assert rows["secret"]["commercial_use"] is False and rows["secret"]["size"] == len(FILE)
    assert "S-Lab 1.0" in cli("weights", "list").out


def test_verify_reads_everything_that_is_here(cli, server, tmp_path):
    cli("weights", "pull", "open")
    rows = {row["name"]: row for row in json.loads(cli("weights", "verify", "--json").out)}
    assert rows["open"]["ok"] and rows["open"]["sha256"] == sha256(FILE) and rows["face64"]["ok"]
    shipped = {name for name, store in installed.catalog().weights.items() if store.path is not None}
    assert set(rows) == {"open"} | shipped
    (tmp_path / "home" / "weights" / "open" / "net.safetensors").write_bytes(FILE[:-1])
    done = cli("weights", "verify", "open")
    assert done.code == 3 and "WRONG" in done.out and "odekit weights pull open" in done.out
    assert cli("weights", "verify", "secret").code == 3


def test_weights_that_nobody_offers_are_added_by_hand(cli, server, tmp_path):
    done = cli("weights", "pull", "lost")
    assert done.code == 2 and "odekit weights add lost FILE" in done.err
    (tmp_path / "lost.safetensors").write_bytes(FILE)
    done = cli("weights", "add", "lost", tmp_path / "lost.safetensors", "--link")
    assert done.code == 0 and f"stored {sha256(FILE)}" in done.err


def test_plugins_shows_licences_of_parts_and_their_weights(cli, server):
    (row,) = [row for row in json.loads(cli("plugins", "--json").out)["parts"] if row["name"] == "twice"]
    assert (row["commercial_use"], row["weights"]) == (False, ["secret"])
    text = cli("plugins", "--kind", "upsampler").out
    assert "commercial use" in text and "secret" in text
