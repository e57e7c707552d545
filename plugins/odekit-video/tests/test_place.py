"""Where a run writes: what is there already, what cannot be written, and other runs at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from odekit_video.job import VideoJob
from odekit_video.place import Place
from odekit_video.preview import check_sheet

from benchmarks import clips
from odekit.core.files import exclusive
from odekit.errors import OutputError


@pytest.fixture
def source(tmp_path):
    return clips.write(tmp_path / "film.mp4", clips.background(96, 64)[None].repeat(4, 0))


@pytest.fixture
def run(quick, source):
    def started(output, tell=lambda *progress: None, resume=False, overwrite=False, **more):
        job = VideoJob(source, output)
        job.check(resume, overwrite)
        return job.run(job.chain(quick, [], "auto"), 0, "cpu", "float32", tell, **more)

    return started


@pytest.mark.parametrize("more", [{}, {"overwrite": True}, {"resume": True}])
@pytest.mark.parametrize(("name", "kind"), [("out.mp4", "folder"), ("out.mp4.json", "folder"), ("out.mp4.parts", "file")])  # fmt: skip
def test_what_has_a_name_of_the_run_and_cannot_be_replaced_is_told_before_the_work(tmp_path, run, name, kind, more):
    (tmp_path / name).mkdir() if kind == "folder" else (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match="is a folder, and a run" if kind == "folder" else "is no folder, and a run"):
        run(tmp_path / "out.mp4", lambda *progress: pytest.fail("it worked"), **more)
    assert (tmp_path / name).is_dir() or (tmp_path / name).read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that nobody can write")
def test_a_folder_that_cannot_be_written_is_told_before_the_work(tmp_path, run):
    with pytest.raises(OutputError, match="the folder cannot be written"):
        run(Path("/proc/self/out.mp4"))
    with pytest.raises(OutputError, match=r"--preview /proc/self/s\.png: the folder cannot be written"):
        check_sheet(Path("/proc/self/s.png"), overwrite=True)
    (tmp_path / "s.png").mkdir()
    with pytest.raises(OutputError, match="is a folder; choose a file"):
        check_sheet(tmp_path / "s.png", overwrite=True)


def test_a_file_that_appears_at_the_output_meanwhile_stays(tmp_path, run):
    output = tmp_path / "out.mp4"

    def write(phase, done, total):
        if phase == "restoring":
            output.write_text("mine")

    with pytest.raises(OutputError, match="was written meanwhile, and stays; move it away and use --resume"):
        run(output, write)
    assert output.read_text() == "mine" and (tmp_path / "out.mp4.parts").exists()
    with pytest.raises(OutputError, match="is there already"):
        run(output, resume=True)
    output.unlink()
    phases = set()
    run(output, lambda phase, *numbers: phases.add(phase), resume=True)
    assert phases == {"restoring"} and len(clips.read(output)[0]) == 4
    assert not (tmp_path / "out.mp4.parts").exists()


def test_a_run_that_may_replace_the_output_may_after_an_interruption_too(tmp_path, run):
    output = tmp_path / "out.mp4"
    output.write_text("old")

    def stop(phase, done, total):
        if phase == "restoring":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(output, stop, overwrite=True)
    assert output.read_text() == "old"
    run(output, resume=True)
    assert len(clips.read(output)[0]) == 4


def test_a_record_that_cannot_be_written_is_one_line_and_resumed(tmp_path, run):
    def spoil(phase, done, total):
        if phase == "restoring":
            (tmp_path / "out.mp4.json").mkdir(exist_ok=True)

    with pytest.raises(OutputError, match=r"out.mp4.json: cannot be written"):
        run(tmp_path / "out.mp4", spoil)
    (tmp_path / "out.mp4.json").rmdir()
    assert run(tmp_path / "out.mp4", resume=True)["frames"] == 4


@pytest.mark.parametrize("more", [{}, {"overwrite": True}, {"resume": True}])
def test_while_a_run_works_another_one_says_so(tmp_path, run, more):
    folder = tmp_path / "out.mp4.parts"
    folder.mkdir()
    with exclusive(folder / "lock"), pytest.raises(OutputError, match="another run is writing it"):
        run(tmp_path / "out.mp4", **more)


def test_the_output_is_held_until_the_record_is_there(tmp_path, run, monkeypatch):
    from odekit_video import preview

    def second(*arguments):
        with pytest.raises(OutputError, match="another run is writing it"):
            run(tmp_path / "out.mp4", resume=True)

    monkeypatch.setattr(preview, "write_preview", second)
    run(tmp_path / "out.mp4", preview=tmp_path / "sheet.png")


def test_a_run_that_was_killed_holds_nothing(tmp_path, source):
    place = Place(tmp_path / "out.mp4")
    place.folder.mkdir()
    script = "import sys, time; from pathlib import Path; from odekit.core.files import exclusive\nwith exclusive(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"  # fmt: skip
    other = subprocess.Popen([sys.executable, "-c", script, str(place.folder / "lock")], stdout=subprocess.PIPE)
    assert other.stdout is not None and other.stdout.readline() == b"held\n"
    with pytest.raises(OutputError, match="another run is writing it"):
        place.check(source, True, False)
    other.kill()
    other.wait()
    place.check(source, True, False)
