"""Files that a chain names: `check` looks for them, and for pictures at their beginning."""

import os

import numpy as np
import PIL.Image
import pytest

BASES = {
    "restore.mask": "odedit",
    "mend.mask": "photo",
    "restore.enhancer.meter": "odedit-auto",
    "faces.select.boxes": "photo",
}
PICTURES = ("restore.mask", "mend.mask")


@pytest.fixture
def files(tmp_path):
    PIL.Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "mask.png")
    (tmp_path / "mask.png").rename(tmp_path / "mask.of-mine")
    (tmp_path / "exact.yaml").write_text("odekit: 1\nchain: [restore]\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe.png")
    return tmp_path


def check(cli, option, file):
    return cli("check", BASES[option], "--set", f"{option}={file}")


@pytest.mark.parametrize("option", BASES)
@pytest.mark.parametrize(("name", "said"), [("none.png", "No such file"), ("pipe.png", "not a regular file")])
def test_a_file_that_is_missing_or_none_is_named_with_its_option(cli, files, option, name, said):
    done = check(cli, option, files / name)
    assert done.code == 2 and f"{option.rpartition('.')[2]}: {files / name}: " in done.err and said in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("option", PICTURES)
@pytest.mark.parametrize(("name", "said"), [("exact.yaml", "is not a picture"), ("empty.png", "is empty")])
def test_a_mask_that_is_no_picture_is_refused(cli, files, option, name, said):
    done = check(cli, option, files / name)
    assert done.code == 2 and f"mask: {files / name}: {said}" in done.err


def test_a_folder_may_hold_masks_and_nothing_else(cli, files):
    for option in PICTURES:
        assert check(cli, option, files / "folder").code == 0
    done = check(cli, "restore.enhancer.meter", files / "folder")
    assert done.code == 2 and "Is a directory" in done.err


@pytest.mark.parametrize("option", PICTURES)
def test_a_picture_is_known_by_its_content(cli, files, option):
    assert check(cli, option, files / "mask.of-mine").code == 0


@pytest.mark.parametrize("option", BASES)
def test_a_path_with_nul_is_refused(cli, tmp_path, option):
    done = check(cli, option, '"a\\0b"')
    assert done.code == 2 and "holds a NUL character" in done.err
