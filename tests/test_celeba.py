"""CelebA as it is distributed: split, crop, persons, mapped files, and the configuration of the paper's prior."""

import json
import shutil
import tracemalloc
import zipfile
from pathlib import Path

import celeba as generated
import numpy as np
import PIL.Image
import pytest
import torch
from training import column, one_thread  # noqa: F401

from odekit.errors import ConfigError, InputError
from odekit.evaluation.experiments import faces as experiment
from odekit.images import celeba, face_sets
from odekit.parts.faces.geometry import TEMPLATES
from odekit.training.config import load_options
from odekit.training.data import faces
from odekit.training.options.base import PriorOptions
from odekit.training.run_folder import prepare_run_folder
from odekit.training.tasks.prior import spread
from odekit.training.tasks.prior_network import build

PAPER = "celeba64-paper"


@pytest.fixture
def folder(tmp_path):
    return generated.make(tmp_path / "CelebA", suffix="png")


def test_the_split_and_the_persons_are_those_of_the_lists(folder):
    data = face_sets.read(folder, 20)
    assert data.images.shape == (27, 20, 20, 3)
    assert [int((data.split == s).sum()) for s in ("train", "val", "test")] == [20, 3, 4]
    assert data.names[:2] == ("000001.png", "000002.png") and data.identity[3] == "1003"
    only = face_sets.read(folder, 20, "test")
    assert only.names == data.names[23:] and np.array_equal(only.images, data.images[23:])


def test_the_usual_crop_is_the_middle_140_pixels_reduced_by_area_means(folder):
    """Of four quarters and a white rim: the quarters exactly, and no rim."""
    expected = generated.picture(5)[39:179, 19:159].reshape(20, 7, 20, 7, 3).mean((1, 3))
    assert np.array_equal(face_sets.read(folder, 20).images[5], expected)
    wide = face_sets.read(folder, 20, crop=178).images[5]
    assert wide[0, 0].tolist() == [255] * 3


def test_the_template_crop_puts_the_mean_points_where_the_template_has_them(folder):
    left, top, side = celeba.crop_window(celeba.find(folder), "template")
    at = left + side * TEMPLATES["ffhq-5"][:, 0], top + side * TEMPLATES["ffhq-5"][:, 1]
    assert np.abs(np.stack(at, 1) - generated.POINTS).max() < 3
    assert 0 <= left <= 178 - side and 0 <= top <= 218 - side
    assert celeba.FFHQ_5 is TEMPLATES["ffhq-5"]
    assert face_sets.read(folder, 20, crop="template").images.shape == (27, 20, 20, 3)


@pytest.mark.parametrize("layout", ["Img", "zip"])
def test_the_folders_of_the_distribution_and_its_zip_are_found(tmp_path, layout):
    folder = generated.make(tmp_path / "CelebA", {0: 3, 1: 1}, "Img", "png")
    expected = np.array(face_sets.read(folder, 20).images)
    if layout == "zip":
        with zipfile.ZipFile(folder / "Img" / "img_align_celeba.zip", "w") as archive:
            for path in sorted((folder / "Img" / "img_align_celeba").iterdir()):
                archive.write(path, f"img_align_celeba/{path.name}")
        shutil.rmtree(folder / "Img" / "img_align_celeba")
    assert np.array_equal(face_sets.read(folder, 20).images, expected)


def test_pictures_are_decoded_once_and_mapped(folder, monkeypatch):
    first = face_sets.read(folder, 20)
    assert isinstance(first.images, np.memmap) and not first.images.flags.writeable
    monkeypatch.setattr(celeba, "decode", lambda *_: pytest.fail("decoded again"))
    again = face_sets.read(folder, 20)
    assert np.array_equal(again.images, first.images) and again.names == first.names
    monkeypatch.undo()
    assert face_sets.read(folder, 10).images.shape[1] == 10, "another side has a file of its own"
    assert not list(folder.glob("*.part"))


def test_a_folder_that_cannot_be_written_is_read_all_the_same(folder, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    expected = np.array(face_sets.read(folder, 10).images)
    for file in folder.glob("odekit-*"):
        file.unlink()
    monkeypatch.setattr(np.lib.format, "open_memmap", refuse)
    assert np.array_equal(face_sets.read(folder, 10).images, expected)
    assert not list(folder.glob("odekit-*"))


def test_what_cannot_be_used_is_named(folder):
    (folder / "img_align_celeba" / "000002.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    PIL.Image.new("RGB", (178, 178)).save(folder / "img_align_celeba" / "000003.png")
    (folder / "img_align_celeba" / "000004.png").unlink()
    data = face_sets.read(folder, 20)
    assert len(data.images) == 24 == len(data.names) == len(data.split) == len(data.identity)
    assert [line.partition(":")[0] for line in data.bad] == ["000002.png", "000003.png", "000004.png"]
    assert "178 x 178 px, not 178 x 218" in data.bad[1]
    assert data.names[1] == "000005.png" and np.array_equal(face_sets.read(folder, 20).images, data.images)
    with pytest.raises(InputError, match="3 pictures cannot be used"):
        faces.load(folder, 20)
    assert len(faces.load(folder, 20, skip_bad=True).train) == 17


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "list_eval_partition.txt").write_text("000001.png 7\n"), "the split '7' is none of 0, 1, 2"),
        (
            lambda f: (f / "list_eval_partition.txt").write_text("000001.png\n"),
            r"partition\.txt:1: must be a file name",
        ),
        (lambda f: (f / "list_landmarks_align_celeba.txt").unlink(), "the crop 'template' needs list_landmarks"),
        (lambda f: (f / "list_landmarks_align_celeba.txt").write_text("1\nx\n000001.png a b\n"), "cannot be read"),
    ],
)
def test_damaged_lists_are_one_line(folder, change, message):
    change(folder)
    with pytest.raises(InputError, match=message):
        face_sets.read(folder, 20, crop="template")


def test_crops_that_do_not_fit_are_errors(folder):
    for crop, side, message in (
        (179, 20, "must be between 8 and 178"),
        (64, 70, "smaller than side 70"),
        ("face", 20, "'template'"),
    ):
        with pytest.raises(InputError, match=message):
            face_sets.read(folder, side, crop=crop)


# --- experiments


def test_experiments_take_a_split_and_an_empty_one_names_what_there_is(tmp_path):
    folder = generated.make(tmp_path / "CelebA", {0: 5, 2: 3}, suffix="png")
    test = experiment.faces(folder, "test", 20)
    assert test.names == ("000006", "000007", "000008") and test.source == "test faces of CelebA"
    assert len(experiment.faces(folder, "all", 20, limit=4).names) == 4
    with pytest.raises(InputError, match=r"no val pictures \(there are 5 train, 3 test\)"):
        experiment.faces(folder, "val", 20)
    np.savez(tmp_path / "a.npz", images=np.zeros((3, 8, 8, 3), np.uint8), split=np.array(["train", "train", "val"]))
    with pytest.raises(InputError, match=r"no test faces \(there are 2 train, 1 val\); choose another --split"):
        experiment.faces(tmp_path / "a.npz", "test", 8)


def test_table1_takes_the_crop_of_the_prior_s_training(folder, cli, tmp_path):
    def table1(*more):
        options = ("--limit", 2, "--side", 16, "--methods", "resize", "--metrics", "psnr", "-o", tmp_path / "t")
        return cli("experiment", "table1", "--faces", folder, *options, *more)

    assert table1().code == 0
    usual = [path.read_bytes() for path in sorted((tmp_path / "t" / "clean").iterdir())]
    changed = table1("--crop", "template", "--resume")
    assert changed.code == 2 and "was written with another crop; --overwrite starts again" in changed.err
    assert table1("--crop", "template", "--overwrite").code == 0
    assert usual != [path.read_bytes() for path in sorted((tmp_path / "t" / "clean").iterdir())]
    assert "was written with another crop" in table1("--resume").err
    wrong = table1("--crop", "face", "--overwrite")
    assert wrong.code == 2 and "must be a number of pixels or 'template'" in wrong.err


# --- memory


def generate(content, window, side):
    """A distinct picture for every number, without a file."""
    number = int(content)
    return np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)


def peak_of_loading(folder, count, monkeypatch):
    """Largest memory of Python and numpy, in bytes, while faces are loaded and a batch is taken."""
    (folder / "img_align_celeba").mkdir(parents=True)
    codes = "".join(f"{i:06d}.jpg {0 if i < 0.8 * count else 1 + i % 2}\n" for i in range(count))
    (folder / "list_eval_partition.txt").write_text(codes)
    monkeypatch.setattr(celeba, "decode", generate)
    monkeypatch.setattr(Path, "read_bytes", lambda self: self.stem.encode())
    tracemalloc.start()
    data = faces.load(folder, 64)
    batch = data.train[np.arange(0, len(data.train), max(1, len(data.train) // 8))]
    assert data.fingerprint
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(data.train) + len(data.val) < count and batch.shape[1:] == (64, 64, 3)
    return peak


def check_flat(tmp_path, count, monkeypatch):
    peak = peak_of_loading(tmp_path / "CelebA", count, monkeypatch)
    assert peak < 20e6 + 1000 * count, f"{peak / 1e6:.0f} MB for {count} pictures of {64 * 64 * 3 / 1e3:.0f} kB"


def test_thousands_of_pictures_take_no_memory_of_their_own(tmp_path, monkeypatch):
    """3,000 pictures are 37 MB."""
    check_flat(tmp_path, 3000, monkeypatch)


@pytest.mark.long
def test_two_hundred_thousand_pictures_take_no_memory_of_their_own(tmp_path, monkeypatch):
    """They are 2.5 GB."""
    check_flat(tmp_path, 200_000, monkeypatch)


def test_pictures_left_out_of_a_mapped_file_are_not_read(folder):
    """A training picture that is held out, too, is left out, without a copy of the others."""
    shutil.copy(folder / "img_align_celeba" / "000021.png", folder / "img_align_celeba" / "000005.png")
    data = faces.load(folder, 20)
    assert len(data.train) == 19 and isinstance(data.train, face_sets.PictureRows)
    whole = face_sets.read(folder, 20).images
    assert np.array_equal(data.train[np.array([3, 4])], whole[[3, 5]]) and data.train.shape == (19, 20, 20, 3)
    assert np.array_equal(np.stack(list(data.train)), np.delete(whole[:20], 4, axis=0))


# --- the paper's prior


def test_the_paper_s_configuration_resolves_by_name_and_has_the_paper_s_parameters():
    for name in (PAPER, f"{PAPER}.yaml"):
        options = load_options(PriorOptions, Path(name), {})
    assert (options.side, options.crop, options.network.channels, options.network.layers) == (
        64,
        140,
        (128, 256, 384, 512),
        3,
    )
    assert options.network.attention == (False, False, True, True), "64, 32, 16 and 8 px"
    with torch.device("meta"):
        network = build(options)
    assert abs(sum(p.numel() for p in network.parameters()) - 121_060_483) <= 2000
    heads = {m.heads for m in network.modules() if type(m).__name__ == "Attention"}
    assert heads == {4}
    with pytest.raises(ConfigError, match="celeba-paper: the configuration cannot be read"):
        load_options(PriorOptions, Path("celeba-paper"), {})


def test_validation_pictures_are_spread_evenly():
    assert spread(10, 4).tolist() == [0, 2, 5, 7]
    assert spread(3, 10).tolist() == spread(3, None).tolist() == [0, 1, 2]


def test_a_run_of_a_version_without_these_options_is_resumed(tmp_path):
    options = PriorOptions(crop=140)
    prepare_run_folder(tmp_path / "run", options, "pictures", resume=False)
    (tmp_path / "run" / "checkpoint.pt").touch()
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    for name in ("crop", "validation"):
        del record["options"][name]
    del record["options"]["network"]["heads"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    prepare_run_folder(tmp_path / "run", options, "pictures", resume=True)
    with pytest.raises(ConfigError, match="the run has crop = 140, the configuration has 100"):
        prepare_run_folder(tmp_path / "run", PriorOptions(crop=100), "pictures", resume=True)


def test_two_steps_train_a_prior_on_celeba_that_the_paper_s_chain_takes(folder, cli, tmp_path):
    """The shipped configuration with a narrow network."""
    text = (Path(__file__).parents[1] / "configs" / "train" / f"{PAPER}.yaml").read_text()
    for old, new in (
        ("channels: [128, 256, 384, 512]", "channels: [8, 8, 8, 8]"), ("groups: 32", "groups: 4"), ("layers: 3", "layers: 1"),
        ("batch: 128", "batch: 4"), ("compile: true", "compile: false"), ("sample_steps: 50", "sample_steps: 2"),
        ("samples: 16", "samples: 1"), ("validate_every: 5000", "validate_every: 2"), ("validation: 1024", "validation: 2"),
        ("save_every: 1000", "save_every: 1"),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "narrow.yaml").write_text(text)
    run = tmp_path / "run"
    done = cli("train", "prior", folder, "-o", run, "-c", tmp_path / "narrow.yaml", "--steps", 2, "--device", "cpu")
    assert done.code == 0, done.err
    assert len({path.stat().st_mode for path in (run / "best").iterdir()}) == 1, "others may read the weights, too"
    assert len(column(run)) == 2 and json.loads((run / "best" / "odekit.json").read_text())["heads"] == 4
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / "face.png")
    few = [
        "restore.inverter.steps=2",
        "restore.enhancer.levels=[0]",
        "restore.enhancer.iterations=1",
        "restore.aligned=trust",
    ]
    sets = [word for setting in (f"priors.face={run / 'best'}", *few) for word in ("--set", setting)]
    restored = cli(
        "run", "odedit-paper", tmp_path / "face.png", "-o", tmp_path / "out", "--precision", "float32", *sets
    )
    assert restored.code == 0, restored.err
    assert PIL.Image.open(tmp_path / "out" / "face.png").size == (64, 64)
