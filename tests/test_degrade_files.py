"""`odekit degrade` on folders: keyed noise, manifest, resume, chains in YAML, and what is refused."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import typer
from degrade_faces import faces
from typer.testing import CliRunner

from odekit.cli.degrade import degrade
from odekit.core.image import Image
from odekit.core.noise import noise_generator
from odekit.core.options import Options
from odekit.errors import ConfigError
from odekit.evaluation.degrade.files import Settings, degrade_files
from odekit.evaluation.degrade.manifest import NAME, append, read
from odekit.evaluation.degrade.recipe import damage, select
from odekit.images import io
from odekit.parts import installed
from odekit.parts.corruptions.kinds import KINDS, PAPER_KINDS, corrupt
from odekit.plugins.discovery import build


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    folder = tmp_path / "clean"
    (folder / "sub").mkdir(parents=True)
    for i in range(6):
        PIL.Image.fromarray(faces()[i]).save(folder / ("sub" if i % 2 else ".") / f"face{i}.png")
    return folder


def entries(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / NAME).read_text().splitlines()]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(PIL.Image.open(path))


def command(*args: object) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(degrade)
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_a_pictures_damage_is_that_of_its_own_keyed_generator(clean, tmp_path):
    degrade_files([clean], tmp_path / "out", Settings("snow", 3, seed=7))
    image = io.read(clean / "face0.png")
    rng = noise_generator(7, image.origin, "degrade:snow:3")
    np.testing.assert_array_equal(pixels(tmp_path / "out" / "face0.png"), corrupt(faces()[0], "snow", 3, rng))


def test_neighbours_order_and_processes_change_nothing(clean, tmp_path):
    degrade_files([clean], tmp_path / "all", Settings("spatter"))
    degrade_files([clean / "sub" / "face3.png"], tmp_path / "one", Settings("spatter"))
    degrade_files([clean], tmp_path / "two", Settings("spatter"), processes=2)
    alone = (tmp_path / "one" / "face3.png").read_bytes()
    assert alone == (tmp_path / "all" / "sub" / "face3.png").read_bytes()
    assert entries(tmp_path / "all") == entries(tmp_path / "two")
    degrade_files([clean], tmp_path / "other", Settings("spatter", seed=1))
    assert (tmp_path / "other" / "sub" / "face3.png").read_bytes() != alone


def test_the_manifest_tells_files_kind_severity_seed_and_hashes(clean, tmp_path):
    summary = degrade_files([clean], tmp_path / "out", Settings("mask_lines", 2, seed=5, options="fraction: 0.5"))
    lines = entries(tmp_path / "out")
    assert summary.written == len(lines) == 6
    for line in lines:
        source, made = Path(line["input"]), tmp_path / "out" / line["output"]
        assert line["input_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
        assert line["output_sha256"] == hashlib.sha256(made.read_bytes()).hexdigest()
        assert (line["kind"], line["severity"], line["seed"]) == ("mask_lines", 2, 5)
        assert line["steps"] == [{"use": "mask_lines", "severity": 2, "table": "auto", "fraction": 0.5}]


def test_all_writes_a_folder_for_each_kind(clean, tmp_path):
    degrade_files([clean / "face0.png"], tmp_path / "out", Settings("all", 4))
    assert sorted(p.name for p in (tmp_path / "out").iterdir() if p.is_dir()) == sorted(KINDS)
    single = damage(io.read(clean / "face0.png"), "frost", seed=0, severity=4)
    np.testing.assert_array_equal(pixels(tmp_path / "out" / "frost" / "face0.png"), single.to_uint8())


def test_random_draws_a_kind_for_each_picture_and_paper_one_of_its_twenty():
    for word, kinds in (("random", KINDS), ("paper", PAPER_KINDS)):
        chosen = {select(word, 4).of(Image.from_uint8(face), 0)[0].name for face in faces()}
        assert len(chosen) > 15
        assert chosen <= set(kinds)
    image = Image.from_uint8(faces()[0])
    assert select("random", 4).of(image, 3) == select("random", 4).of(image, 3)
    assert len({select("random", 4).of(image, seed)[0].name for seed in range(40)}) > 10


def test_a_chain_in_yaml_is_its_steps_in_order_each_with_its_own_noise(clean, tmp_path):
    recipe = tmp_path / "old.yaml"
    recipe.write_text(
        "- scratches\n- {use: mask_pixels, severity: 1, colour: [255, 0, 0]}\n- {use: jpeg, severity: 2}\n"
    )
    degrade_files([clean / "face0.png"], tmp_path / "out", Settings(str(recipe), 3))
    origin = io.read(clean / "face0.png").origin
    wanted = corrupt(faces()[0], "scratches", 3, noise_generator(0, origin, "degrade:scratches:3", sample=0))
    noise = noise_generator(0, origin, "degrade:mask_pixels:1", sample=1)
    wanted = corrupt(wanted, "mask_pixels", 1, noise, colour=(255, 0, 0))
    wanted = corrupt(wanted, "jpeg", 2, noise_generator(0, origin, "x"))
    np.testing.assert_array_equal(pixels(tmp_path / "out" / "face0.png"), wanted)
    assert entries(tmp_path / "out")[0]["kind"] == "scratches+mask_pixels+jpeg"


def test_python_chains_equal_yaml(tmp_path):
    image = Image.from_uint8(faces()[4])
    recipe = tmp_path / "two.yml"
    recipe.write_text("- {use: fog, severity: 2}\n- {use: glass_blur, severity: 5}\n")
    from_yaml = select(str(recipe), 4).recipes[0].apply(image, 9)
    np.testing.assert_array_equal(damage(image, [("fog", 2), ("glass_blur", 5)], seed=9).pixels, from_yaml.pixels)


@pytest.mark.parametrize(("text", "message"), [
    ("- fogg\n", r"bad\.yaml:1:3: \[0\].*unknown corruption 'fogg'; did you mean 'fog'"),
    ("- fog\n- {use: jpeg, severity: 6}\n", r"bad\.yaml:2:\d+: \[1\]\.severity: .*1 \(mild\) to 5 \(severe\)"),
    ("- {use: jpeg, qualty: 3}\n", r"bad\.yaml:1:\d+: .*unknown option.*did you mean 'quality'"),
    ("- {use: jpeg, quality: 300}\n", r"bad\.yaml:1:3: .*quality=300 of 'jpeg' is not a whole number from 1 to 100"),
    ("kind: fog\n", "a chain of damage is a list of kinds"),
    ("[]\n", "a chain of damage is a list of kinds"),
])  # fmt: skip
def test_an_invalid_chain_is_reported_with_its_position(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        select(str(path), 4)


@pytest.mark.parametrize(("kind", "severity", "table", "options", "message"), [
    ("motion_blurr", 4, "auto", "", "unknown corruption 'motion_blurr'; did you mean 'motion_blur'"),
    ("fog", 0, "auto", "", "severity 0 is not a whole number from 1"),
    ("all", 6, "auto", "", "severity 6 is not a whole number from 1"),
    ("fog", 4, "65", "", "unknown table '65'; did you mean '64'"),
    ("all", 4, "auto", "fraction: 0.5", "--set changes the options of one kind"),
    ("mask_pixels", 4, "auto", "colour: red", "colour 'red' is not 'one', 'each'"),
    ("frost", 4, "auto", "folder: nowhere", "nowhere: holds no frost picture"),
    ("missing.yaml", 4, "auto", "", r"missing\.yaml: cannot be read"),
])  # fmt: skip
def test_a_wrong_request_is_refused_before_anything_is_written(
    clean, tmp_path, kind, severity, table, options, message
):
    with pytest.raises(ConfigError, match=message):
        degrade_files([clean], tmp_path / "out", Settings(kind, severity, table=table, options=options))
    assert not (tmp_path / "out").exists()


class Mirrored:
    """A stranger's corruption."""

    def __init__(self, options: MirroredOptions) -> None:
        self.options = options

    def corrupt(self, image: Image, rng: np.random.Generator) -> Image:
        return image.with_pixels(image.pixels[..., ::-1] if self.options.sideways else image.pixels[:, ::-1])


class MirroredOptions(Options):
    sideways: bool = True


def test_a_plugins_corruption_is_used_by_name_and_in_chains(monkeypatch, tmp_path):
    class Plugin:
        @staticmethod
        def odekit_parts(catalog):
            catalog.corruption("mirrored", Mirrored, MirroredOptions)

    catalog, _ = build([("stranger", Plugin)])
    monkeypatch.setattr(installed, "catalog", lambda: catalog)
    image = Image.from_uint8(faces()[0])
    np.testing.assert_array_equal(damage(image, "mirrored").to_uint8(), faces()[0][:, ::-1])
    (tmp_path / "c.yaml").write_text("- {use: mirrored, sideways: false}\n- {use: jpeg, severity: 5}\n")
    wanted = corrupt(faces()[0][::-1].copy(), "jpeg", 5, np.random.default_rng(0))
    np.testing.assert_array_equal(select(str(tmp_path / "c.yaml"), 4).recipes[0].apply(image, 0).to_uint8(), wanted)
    with pytest.raises(ConfigError, match="did you mean 'mirrored'"):
        select("mirored", 4)


def test_a_recipe_travels_to_other_processes():
    selection = select("mask_lines", 2, "224", "colour: one")
    assert pickle.loads(pickle.dumps(selection)) == selection


def test_an_unreadable_file_is_listed_and_stops_nothing(clean, tmp_path):
    (clean / "broken.png").write_bytes(b"no picture")
    code, output = command(clean, "-o", tmp_path / "out", "--kind", "jpeg", "--json")
    assert code == 3
    summary = json.loads(output[: output.rindex("}") + 1])
    assert summary["written"] == 6
    failures = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert [Path(failure["input"]).name for failure in failures] == ["broken.png"]
    assert "broken.png: is not a picture" in failures[0]["error"]


def test_a_used_folder_is_left_alone_resumed_or_begun_afresh(clean, tmp_path):
    out = tmp_path / "out"
    settings = Settings("gaussian_noise", 2)
    whole = tmp_path / "whole"
    degrade_files([clean], whole, settings)
    degrade_files([clean], out, settings, limit=3)
    with pytest.raises(ConfigError, match="--resume continues, --overwrite starts again"):
        degrade_files([clean], out, settings)
    with (out / NAME).open("a") as file:
        file.write('{"input": "cut sho')  # as a crash leaves it
    (out / entries(whole)[1]["output"]).unlink()
    summary = degrade_files([clean], out, settings, resume=True)
    assert (summary.skipped, summary.written) == (2, 4)
    assert sorted(map(str, entries(out))) == sorted(map(str, entries(whole)))
    with pytest.raises(ConfigError, match="written with other settings"):
        degrade_files([clean], out, Settings("gaussian_noise", 3), resume=True)
    assert degrade_files([clean], out, Settings("gaussian_noise", 3), overwrite=True).written == 6


def test_all_kinds_of_a_picture_are_made_again_when_one_is_missing(clean, tmp_path):
    degrade_files([clean], tmp_path / "out", Settings("all"), limit=2)
    (tmp_path / "out" / "fog" / "face0.png").unlink()
    summary = degrade_files([clean], tmp_path / "out", Settings("all"), limit=2, resume=True)
    assert (summary.skipped, summary.written) == (1, len(KINDS))
    assert len(entries(tmp_path / "out")) == 2 * len(KINDS)


def test_outputs_never_replace_inputs_or_each_other(tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    PIL.Image.fromarray(faces()[0]).save(folder / "a.png")
    PIL.Image.fromarray(faces()[1]).save(folder / "a.jpg")
    degrade_files([folder], tmp_path / "out", Settings("fog"))
    assert len({line["output"] for line in entries(tmp_path / "out")}) == 2
    with pytest.raises(ConfigError, match="would replace an input"):
        degrade_files([folder / "a.png"], folder, Settings("fog"))


def test_the_output_is_png_unless_the_inputs_format_is_asked_for(tmp_path):
    PIL.Image.fromarray(faces()[0]).save(tmp_path / "a.jpg")
    degrade_files([tmp_path / "a.jpg"], tmp_path / "png", Settings("fog"))
    degrade_files([tmp_path / "a.jpg"], tmp_path / "same", Settings("fog", format="same"))
    assert PIL.Image.open(tmp_path / "png" / "a.png").format == "PNG"
    assert PIL.Image.open(tmp_path / "same" / "a.jpg").format == "JPEG"
    with pytest.raises(ConfigError, match="format 'gif'"):
        degrade_files([tmp_path / "a.jpg"], tmp_path / "gif", Settings("fog", format="gif"))


def test_a_large_and_a_grey_and_a_transparent_picture_go_through(tmp_path):
    large = np.asarray(PIL.Image.fromarray(faces()[0]).resize((200, 120)))
    PIL.Image.fromarray(large).save(tmp_path / "large.png")
    PIL.Image.fromarray(faces()[0][..., 0]).save(tmp_path / "grey.png")
    rgba = np.dstack([faces()[0], np.arange(64 * 64, dtype=np.int64).reshape(64, 64) % 256]).astype(np.uint8)
    PIL.Image.fromarray(rgba).save(tmp_path / "clear.png")
    degrade_files([tmp_path / f"{name}.png" for name in ("large", "grey", "clear")], tmp_path / "out", Settings("snow"))
    assert pixels(tmp_path / "out" / "large.png").shape == (120, 200, 3)
    assert pixels(tmp_path / "out" / "grey.png").shape == (64, 64)  # snow on grey is grey
    np.testing.assert_array_equal(pixels(tmp_path / "out" / "clear.png")[..., 3], rgba[..., 3])


def test_the_manifest_reads_back_what_was_appended(clean, tmp_path):
    degrade_files([clean], tmp_path / "out", Settings("fog"))
    lines = list(read(tmp_path / "out" / NAME))
    append(tmp_path / "copy.jsonl", lines[:2])
    append(tmp_path / "copy.jsonl", lines[2:])
    assert (tmp_path / "copy.jsonl").read_bytes() == (tmp_path / "out" / NAME).read_bytes()


def test_the_command_takes_options_and_contradictions_are_refused(clean, tmp_path):
    code, output = command(
        clean / "face0.png", "-o", tmp_path / "out", "--kind", "mask_pixels", "--severity", 1,
        "--set", "fraction=1.0", "--set", "colour=[9, 8, 7]", "--seed", 2, "--table", "64",
    )  # fmt: skip
    assert (code, output.startswith("1 written, 0 failed")) == (0, True)
    assert (pixels(tmp_path / "out" / "face0.png") == [9, 8, 7]).all()
    with pytest.raises(ConfigError, match="--resume and --overwrite"):
        command(clean, "-o", tmp_path / "o", "--kind", "fog", "--resume", "--overwrite")
    with pytest.raises(ConfigError, match="write name=value"):
        command(clean, "-o", tmp_path / "o", "--kind", "fog", "--set", "strength")
