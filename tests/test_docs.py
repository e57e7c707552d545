"""The docs are true: their YAML validates, their commands run, their links lead somewhere."""

import re
import shlex

import PIL.Image
import pytest
from conftest import ROOT, picture

from odekit import Chain
from odekit.chains import document

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "plugins").glob("*/README.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language):
    return [(page, text) for page in PAGES for found, text in FENCE.findall(page.read_text()) if found == language]


CHAINS = [(page, text) for page, text in blocks("yaml") if text.lstrip().startswith("odekit:")]
COMMANDS = sorted(
    {
        line.partition("  #")[0].strip()
        for _, text in blocks("console")
        for line in text.splitlines()
        if line.startswith(("odekit ", "python -m benchmarks "))
    }
)


def test_there_is_something_to_check():
    assert len(CHAINS) >= 2
    assert len(COMMANDS) >= 15


@pytest.mark.parametrize("text", [text for _, text in CHAINS], ids=range(len(CHAINS)))
def test_yaml_in_the_docs_validates(text):
    assert Chain.from_document(document.parse_yaml(text, "docs")).plan().stages


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the files that the docs speak of."""
    folder = tmp_path_factory.mktemp("docs")
    for name in ("face.png", "faces/a.png", "faces/b.png", "scans/a.png", "damaged/a.png", "damaged/b.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        PIL.Image.fromarray(picture(1, 64, 64)).save(folder / name)
    photo = PIL.Image.open(ROOT / "examples" / "photos" / "astronaut.jpg").resize((256, 256))
    for name in ("family.jpg", "noisy.png", "toned.png", "portrait.png", "blocky.png", "scratched.png", "wires.png"):
        photo.save(folder / name)
    (folder / "photos").mkdir()
    photo.save(folder / "photos" / "a.png")
    (folder / "photos" / "faces.json").write_text('{"photos": {"a.png": {"complete": true, "faces": []}}}')
    (folder / "out").mkdir()
    PIL.Image.new("L", photo.size).save(folder / "out" / "scratched.scratches.png")
    PIL.Image.new("L", (64, 64), 255).save(folder / "mask.png")
    (folder / "out" / "run.jsonl").write_text('{"time": 1, "event": "begin", "inputs": 2, "done": 0}\n')
    return folder


def quick(words):
    """The same command with few network calls, into a folder of its own."""
    if words[1] != "run" or "--help" in words:
        return words
    if "--strength" in words:
        return [*words, "--overwrite"]
    few = ["--set", "restore.repeats=1"]
    if words[2] == "sdedit":
        few += ["--set", "restore.inverter.t0=2"]
    elif words[2] == "blind":
        few += ["--set", "restore.inverter.steps=3"]
    else:
        few += [
            "--set",
            "restore.inverter.steps=2",
            "--set",
            "restore.enhancer.levels=[0]",
            "--set",
            "restore.enhancer.iterations=1",
        ]
    return [*words, *few, *([] if "--resume" in words or "--dry-run" in words else ["--overwrite"])]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_in_the_docs_run(command, cli, bench, place, monkeypatch):
    words = shlex.split(command)
    monkeypatch.chdir(place)
    if words[0] == "python":
        done = bench(*words[3:])
        assert done.code == 0, done.err
        return
    resuming = "--resume" in words
    out = f"out{COMMANDS.index(command)}/"
    words = [
        out if word in ("out/", "damaged/", "damaged-all/") and words[i - 1] == "-o" else word
        for i, word in enumerate(words)
    ]
    if resuming:
        first = cli(*quick([word for word in words if word not in ("--resume", "--verify", "--changed", "redo")])[1:])
        assert first.code == 0, first.err
    done = cli(*quick(words)[1:])
    if "no 16-bit arithmetic" in done.err:  # there is nothing to measure on such a processor, and the page says so
        assert words[1:3] == ["calibrate", "precision"] and done.code == 2
        return
    assert done.code == 0, done.err


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_of_the_repository(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_shipped_chains_are_all_described():
    text = (ROOT / "docs" / "chains.md").read_text()
    for path in (ROOT / "configs").glob("*.yaml"):
        assert f"`{path.stem}`" in text


def test_every_command_has_help_with_an_example(cli):
    for command in (["run"], ["check"], ["explain"], ["doctor"], ["plugins"], ["degrade"], ["eval"], ["experiment", "table1"], ["experiment", "synergy"], ["experiment", "sweep"], ["experiment", "tradeoff"], ["calibrate", "meter"], ["calibrate", "colour"], ["calibrate", "spectrum"], ["status"], ["records"], ["new-plugin"], ["weights", "list"], ["weights", "pull"], ["weights", "add"], ["weights", "verify"], ["weights", "path"], ["weights", "convert"], ["train", "prior"], ["train", "aligner"], ["train", "mender"], ["faces"]):  # fmt: skip
        text = cli(*command, "--help").out
        assert f"odekit {command[0]}" in text
        assert "xample" in text, command


def test_every_benchmark_has_help_with_an_example(bench):
    listed = bench("--help").out
    for name in ("rates", "scale", "jobs", "prior", "strength", "colour", "blur", "knobs", "enhancers", "upsampler", "start", "memory", "overhead", "roundtrip", "edit", "order", "nfe", "sides", "page", "speed", "latency", "first-call", "profile", "photo", "mend", "cracks", "aligner", "digests", "licences", "before-after", "strength-gallery"):  # fmt: skip
        assert f" {name} " in listed
        text = bench(name, "--help").out
        assert "python -m benchmarks" in text
        assert "xample" in text, name
