"""The line that says what was done to a picture, from every kind of record, and the sums over a run."""

import json

import numpy as np
import PIL.Image
import pytest
from conftest import picture

from odekit.chains.record import is_changed
from odekit.core.image import Image, Metadata
from odekit.runs.findings import Findings, findings_of
from odekit.runs.tally import FindingsTally


def decided(strength, **stage):
    return {"place": "1.each.0", "stage": "restore", "size": [64, 64], "strength": [{"strength": strength}], **stage}


UPSAMPLED = {"place": "1.each.1", "stage": "upsample", "size": [256, 256]}


def restored(number, strength, **facts):
    return {"number": number, "stages": [decided(strength), UPSAMPLED], "change": 0.2, **facts}


def kept(number):
    return {"number": number, "stages": [decided("none"), UPSAMPLED], "kept": "undamaged"}


def photo(faces, changed=None, noise=(0.001, False), mend=None, **more):
    background = [{"stage": "denoise", "noise": noise[0], "denoised": noise[1]}]
    stages = [
        {"stage": "mend", "blocks": 1.2, "scratches": 0, "blur": 0, "mended": [], "size": [90, 60], **(mend or {})},
        {"stage": "faces", "faces": faces, "background": background, "size": [90, 60]},
        {"stage": "save", "size": [90, 60]},
    ]
    record = {"input": {"size": [90, 60]}, "stages": stages, **more}
    return record if changed is None else record | {"changed": changed}


def text(record):
    return findings_of(record).text


def test_the_line_counts_faces_strengths_noise_and_cracks():
    record = photo(
        [restored(1, "medium"), restored(2, "medium"), kept(3)], True, (0.0812, True),
        {"mended": ["scratches"], "scratches": 4},
    )  # fmt: skip
    assert text(record) == ("3 faces, 2 restored (medium), 1 left (good enough); 4 cracks filled; noise .08 taken off")


def test_faces_that_may_be_another_person_are_told():
    faces = [
        restored(1, "heavy", face_distance=0.512), restored(2, "light", face_distance=0.2),
        restored(3, "light", face_distance=None), kept(4) | {"face_distance": 0.9},
    ]  # fmt: skip
    line = "4 faces, 3 restored (2 light, 1 heavy), 1 left (good enough); compare 1 face with the original (face distance .51)"
    assert text(photo(faces, True)) == line

    aligned = {"stages": [decided("heavy"), UPSAMPLED], "changed": True, "face_distance": 0.46}
    assert "; compare it with the original (face distance .46)" in text(aligned)
    assert "compare" not in text(aligned | {"face_distance": 0.45})
    assert "compare" not in text(aligned | {"changed": False})
    tally = FindingsTally()
    for record in (photo(faces, True), aligned):
        tally.add(findings_of(record))
    assert ("faces to compare", "2 (face distance over 0.45)") in tally.rows()
    assert tally.tree()["different"] == 2


def test_several_strengths_and_reasons_are_counted_apart():
    faces = [
        restored(1, "light"), restored(2, "medium"), restored(3, "medium"), kept(4),
        {"number": 5, "left_out": "18 px wide, under select.min_side 24"},
        {"number": 6, "left_out": "12 px wide, under select.min_side 24"},
    ]  # fmt: skip
    assert text(photo(faces, True)) == ("6 faces, 3 restored (2 medium, 1 light), 3 left (2 too small, 1 good enough)")


@pytest.mark.parametrize(
    ("reason", "short"),
    [
        ("18 px wide, under select.min_side 24", "too small"),
        ("score 0.31, under select.score 0.5", "score too low"),
        ("in select.skip", "in select.skip"),
        ("not in select.index", "not selected"),
        ("not the one of 'which: largest'", "not selected"),
        ("beyond select.max_faces 2", "beyond select.max_faces"),
        ("a reason that a plugin gives", "a reason that a plugin gives"),
    ],
)
def test_faces_left_out_by_selection_are_named_with_the_reason(reason, short):
    assert text(photo([{"number": 1, "left_out": reason}], False)) == f"1 face, 1 left ({short}); nothing was done"


def test_a_second_box_of_one_face_is_no_face():
    faces = [kept(1), {"number": 2, "left_out": "overlaps a better one"}]
    assert findings_of(photo(faces, False)).faces == 1


def test_no_face_and_nothing_done_are_said_in_plain_words():
    assert text(photo([], False)) == "no face found; nothing was done"
    assert text(photo([], True, mend={"mended": ["blocks"]})) == "no face found; JPEG blocks smoothed"


def test_good_enough_is_not_undamaged():
    for record in (photo([kept(1)], False), photo([kept(1)])):
        assert text(record) == "1 face, 1 left (good enough); nothing was done"
        assert "undamaged" not in json.dumps(findings_of(record).tree())


def test_a_face_that_failed_is_left_and_its_error_is_told():
    faces = [restored(1, "medium"), {"number": 2, "stages": [], "failed": "too dark"}]
    assert text(photo(faces, True)) == "2 faces, 1 restored (medium), 1 left (failed); face 2: too dark"


def test_a_face_whose_pixels_stay_is_not_restored_whatever_was_decided():
    record = photo([restored(1, "medium", change=0.0)], True, (0.1, True))
    assert text(record) == "1 face, 1 left (no visible change); noise .10 taken off"
    assert text(photo([restored(1, "none", change=0.0)], False)).startswith("1 face, 1 left (good enough)")


def test_a_picture_that_equals_its_input_was_not_restored_whatever_its_stages_say():
    record = photo([restored(1, "medium")], False, mend={"mended": ["blur"]})
    assert text(record) == "1 face, 1 left (no visible change); nothing was done"


def test_a_strength_that_the_user_set_is_no_judgement():
    faces = [{"number": 1, "stages": [{"stage": "restore", "strength": [{"strength": "none", "given": True}]}],
              "kept": "good enough"}]  # fmt: skip
    assert text(photo(faces, False)) == "1 face, 1 left (strength none was set); nothing was done"


def guided(act, kept=False, size=(512, 512)):
    detail = {"act": act, "kept_original": kept}
    return {"stage": "upsample", "guided": True, "detail": detail, "size": list(size)}


def test_a_guided_upsampler_decides_too():
    worth = {"number": 1, "stages": [decided("none"), guided(True)], "change": 0.1}
    good = {"number": 2, "stages": [decided("faint"), guided(False, kept=True)], "kept": "good enough"}
    assert text(photo([worth, good], True)) == "2 faces, 1 restored (detail alone), 1 left (good enough)"
    always = {"number": 1, "stages": [decided("none"), {"stage": "upsample", "guided": True}], "change": 0.1}
    assert text(photo([always], True)) == "1 face, 1 restored (detail alone)"
    assert text(aligned("none", guided(True), changed=True)) == "restored (detail alone); upsampled to 512x512"
    assert text(aligned("none", guided(False), changed=True)) == "no update (good enough); upsampled to 512x512"
    assert text(aligned("faint", guided(False, True), changed=False)) == (
        "left as it was (good enough); nothing was done"
    )


def test_turned_faces_and_damage_that_was_left_are_told():
    record = photo(
        [kept(1) | {"turn": 90}, kept(2) | {"turn": 0}], False, mend={"scratches": 2, "scratches_left": "faint"}
    )
    assert text(record) == (
        "2 faces, 2 left (good enough); 1 face turned by 90 degrees; 2 cracks left (faint); nothing was done"
    )
    record["stages"][1]["background"] = [
        {"stage": "denoise", "noise": None, "noise_unknown": "black", "denoised": False}
    ]
    assert "noise unknown (black)" in text(record)


def test_marks_of_the_other_kind_that_were_left_and_empty_masks_are_told():
    mend = {"mended": ["scratches"], "scratches": 10, "scratches_other": [6, "dark"]}
    assert text(photo([], True, mend=mend)) == "no face found; 10 cracks filled, 6 dark marks left"
    assert text(photo([], True, mend=mend | {"scratches_other": [1, "light"]})).endswith(", 1 light mark left")
    empty = {"mended": [], "scratch_mask": "given", "scratched_share": 0.0}
    assert "nothing in the mask is white" in text(photo([], False, mend=empty))


@pytest.mark.parametrize(("share", "said"), [(0.005, "0.5%"), (0.012, "1%"), (0.331, "33%")])
def test_a_small_share_of_replaced_values_is_not_said_to_be_none(share, said):
    stage = {"stage": "restore", "place": "0", "blind": {"outliers": share}}
    assert f"{said} of the values replaced" in text({"stages": [stage], "changed": True})


def test_other_kinds_of_noise_and_given_masks():
    record = photo([], True, mend={"mended": ["scratches"], "scratch_mask": "given"})
    record["stages"][1]["background"] = [
        {"stage": "denoise", "noise": 0.05, "grain": 2.0, "denoised": True, "impulses": 0.2, "impulses_removed": True}
    ]
    assert text(record) == (
        "no face found; mask filled; impulse noise in 20% of the pixels taken off; grain .05 taken off"
    )


def test_a_face_without_an_update_that_is_pasted_came_from_the_upsampler_alone():
    assert text(photo([restored(1, "none")], True)) == "1 face, 1 restored (upsampler alone)"


def test_a_chain_with_one_strength_for_all_names_none():
    faces = [{"number": n, "stages": [{"stage": "restore", "calls": 20}], "change": 0.1} for n in (1, 2)]
    assert text(photo(faces, True)) == "2 faces, 2 restored"


def test_corrections_of_faces_are_counted():
    faces = [
        {"number": n, "stages": [decided("light", blur={"sigma": 1.4}, colour={"damaged": n == 1})]} for n in (1, 2)
    ]
    assert text(photo(faces, True)) == (
        "2 faces, 2 restored (light); blur undone in 2 faces; colours corrected in 1 face"
    )


def aligned(strength, *stages, size=(64, 64), changed=None, **notes):
    record = {"input": {"size": [64, 64]}, "stages": [decided(strength, size=list(size), **notes), *stages]}
    return record if changed is None else record | {"changed": changed}


def test_aligned_faces():
    assert text(aligned("medium", changed=True)) == "restored (medium)"
    assert text(aligned("none", changed=False)) == "left as it was (good enough); nothing was done"
    assert text(aligned("none")) == "left as it was (good enough); nothing was done"
    assert text(aligned("none", UPSAMPLED, changed=True)) == "no update (good enough); upsampled to 256x256"
    record = aligned("light", blur={"sigma": 1.2, "lens": 0.0}, colour={"damaged": True}, changed=True)
    assert text(record) == "restored (light); blur undone; colours corrected"
    record = aligned("none", colour={"damaged": False, "certainty": 0.0})
    assert findings_of(record).nothing_done
    not_undone = aligned("none", blur={"sigma": 1.2, "undone": False}, changed=False)
    assert text(not_undone) == "left as it was (good enough); nothing was done"
    assert text(aligned("medium", size=(32, 32), changed=True)) == "restored (medium); resized to 32x32"


def test_repeats_with_different_strengths():
    stage = {"stage": "restore", "strength": [{"strength": "medium"}, {"strength": "light"}, {"strength": "none"}]}
    assert findings_of({"stages": [stage]}).restored == {"medium+light": 1}


def test_a_plugins_stage_says_what_it_did_or_is_named():
    for done, said in (("two stains removed", "two stains removed"), (["a", "b"], "a; b")):
        assert text({"changed": True, "stages": [{"stage": "clean", "done": done}]}) == said
    assert text({"changed": True, "stages": [{"stage": "clean"}]}) == "stage 'clean' applied"
    assert text({"stages": [{"stage": "clean"}]}) == "stage 'clean' applied"
    assert text({"changed": False, "stages": [{"stage": "clean"}]}) == "nothing was done"
    assert text({"changed": False, "stages": [{"stage": "clean", "message": "no stain"}]}) == (
        "no stain; nothing was done"
    )


@pytest.mark.parametrize(
    "record",
    [
        {}, {"stages": None}, {"stages": 3}, {"stages": [None, 3, "x"]}, {"stages": [{}]}, {"input": 3, "stages": []},
        {"stages": [{"stage": "faces", "faces": [None, {}, {"stages": 3}, {"stages": [{"strength": 3}]}]}]},
        {"stages": [{"stage": "mend", "mended": None, "scratches": "many"}, {"stage": "denoise", "denoised": True}]},
        {"stages": [{"stage": "restore", "strength": [{}], "blur": 3, "colour": None, "size": "x"}]},
        {"changed": "?", "stages": [{"stage": 3, "faces": [], "background": {}}]},
    ],
)  # fmt: skip
def test_missing_and_unknown_entries_are_no_error(record):
    findings = findings_of(record)
    assert isinstance(findings.text, str)
    json.dumps(findings.tree())


def test_the_sums_over_pictures():
    tally = FindingsTally()
    for record in (photo([restored(1, "medium"), kept(2)], True), photo([kept(1)], False), photo([], False)):
        tally.add(findings_of(record))
    assert tally.tree() == {
        "found": 3, "restored": {"medium": 1}, "left": {"good enough": 2}, "pictures_without": 1, "different": 0,
    }  # fmt: skip
    assert (tally.pictures, tally.nothing_done) == (3, 2)
    assert tally.rows() == [
        ("faces", "3"), ("faces restored", "1 (medium)"), ("faces left", "2 (good enough)"), ("without a face", "1")
    ]  # fmt: skip
    assert FindingsTally().rows() == []


def test_changes_below_the_bit_depth_are_none():
    before = Image(np.full((3, 4, 4), 0.5, np.float32))
    assert not is_changed(before, before)
    assert not is_changed(before, before.with_pixels(before.pixels + np.float32(1e-5)))
    assert is_changed(before, before.with_pixels(before.pixels + np.float32(0.004)))
    assert is_changed(before, before.with_pixels(before.pixels[:, ::2]))
    deep = Image(before.pixels, meta=Metadata(bits=16))
    assert is_changed(deep, deep.with_pixels(deep.pixels + np.float32(2e-5)))


SAME = "odekit: 1\nchain:\n  - upsample: {use: resize, scale: 1}\n"
"""A chain that returns its input."""


@pytest.fixture
def mixed(tmp_path):
    """A chain that enlarges nothing, over three pictures, and one that is damaged."""
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.png"):
        PIL.Image.fromarray(picture(1)).save(tmp_path / "in" / name)
    (tmp_path / "same.yaml").write_text(SAME)
    return tmp_path


def test_a_line_for_each_picture_goes_to_stdout(cli, exact, mixed):
    done = cli("run", mixed / "same.yaml", mixed / "in", "-o", mixed / "out")
    assert done.code == 0
    assert done.out.splitlines()[:2] == ["a.png: nothing was done", "sub/b.png: nothing was done"]
    table = {row.split("│")[0].strip(): row.split("│")[1].strip() for row in done.out.splitlines()[2:]}
    assert (table["restored"], table["nothing was done"]) == ("0", "2")
    done = cli("run", exact, mixed / "in", "-o", mixed / "other")
    assert done.out.splitlines()[:2] == ["a.png: restored", "sub/b.png: restored"]
    assert "nothing was done" not in done.out


def test_the_json_summary_counts_and_has_no_lines(cli, mixed):
    said = json.loads(cli("run", mixed / "same.yaml", mixed / "in", "-o", mixed / "out", "--json").out)
    assert [path.rpartition("/out/")[2] for path in said["unchanged"]] == ["a.png", "sub/b.png"]
    assert said["unchanged"] == said["restored"]
    assert said["faces"] == {"found": 0, "restored": {}, "left": {}, "pictures_without": 0, "different": 0}
    assert (said["calls_per_image"], said["calls_range"]) == (0, [0, 0])


def test_lines_stop_after_a_number_of_pictures_unless_verbose(cli, exact, faces, tmp_path, monkeypatch):
    monkeypatch.setattr("odekit.cli.run.MAX_LINES", 2)
    lines = cli("run", exact, faces, "-o", tmp_path / "out").out.splitlines()
    assert lines[:3] == [
        "face0.png: restored",
        "face1.png: restored",
        "no lines for further pictures; --verbose prints all",
    ]
    assert not any(line.startswith("face2") for line in lines)
    lines = cli("run", exact, faces, "-o", tmp_path / "out", "--overwrite", "--verbose").out.splitlines()
    assert lines[:7] == [f"face{i}.png: restored" for i in range(7)]


def test_require_change_lists_untouched_pictures_and_writes_them(cli, mixed):
    out = mixed / "out"
    command = ("run", mixed / "same.yaml", mixed / "in", "-o", out, "--require-change", "--json")
    for resume in ([], ["--resume"]):
        done = cli(*command, *resume)
        assert done.code == 3
        said = json.loads(done.out)
        assert (said["restored"], said["skipped"], len(said["unchanged"]), len(said["failed"])) == ([], [], 2, 2)
        failures = json.loads((out / "failures.json").read_text())
        assert failures[0] == {
            "input": str(mixed / "in" / "a.png"),
            "error": f"{mixed / 'in' / 'a.png'}: nothing was done; the result is written",
        }
        assert (out / "a.png").exists() and (out / "sub" / "b.png.json").exists()
    assert cli(*command[:-2], "--resume").code == 0, "without the option nothing is wrong"
    assert not (out / "failures.json").exists()


def test_require_change_lists_no_picture_that_was_changed(cli, exact, faces, tmp_path):
    assert cli("run", exact, faces, "-o", tmp_path / "out", "--require-change").code == 0
    assert not (tmp_path / "out" / "failures.json").exists()


def test_a_resume_counts_the_faces_of_earlier_runs(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path / "out", "--limit", 3)
    said = json.loads(cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--json").out)
    assert (len(said["restored"]), said["faces"]["found"]) == (4, 7)


def test_network_calls_are_a_mean_with_a_range():
    from odekit.runs.summary import CallRange

    calls = CallRange()
    assert str(calls) == "0"
    for number in (0, 88, 22, 22):
        calls.add(number)
    assert (calls.mean, calls.least, calls.most, str(calls)) == (33.0, 0, 88, "33.0 (0 to 88)")
    equal = CallRange()
    equal.add(28)
    assert (equal.mean, str(equal)) == (28, "28")


def test_findings_without_anything_are_empty():
    assert Findings().text == ""


@pytest.mark.parametrize(
    ("original", "result", "text"),
    [
        ([512, 512], [256, 256], "upsampled to 256x256, less than the original's 512x512"),
        ([128, 128], [256, 256], "upsampled to 256x256"),
        ([256, 256], [256, 256], "upsampled to 256x256"),
        (["?", None], [256, 256], "upsampled to 256x256"),
    ],
)
def test_an_upsampler_that_gives_less_than_the_original_says_so(original, result, text):
    stages = [{"stage": "restore", "size": [64, 64]}, {"stage": "upsample", "size": result}]
    assert text == findings_of({"input": {"size": original}, "stages": stages}).repairs[-1]


@pytest.mark.parametrize(
    ("pasted", "words"),
    [([360, 240], "upsampled to 360x240"), ([180, 120], "upsampled to 360x240; resized to 180x120")],
)
def test_a_photograph_that_its_background_enlarged_is_told_once(pasted, words):
    """`paste.upscale` may give it another size."""
    record = photo([kept(1)], True)
    stages = record["stages"]
    stages[1] |= {"size": pasted, "background": [{"stage": "upsample", "size": [360, 240]}]}
    stages[2] |= {"size": pasted}
    assert text(record) == f"1 face, 1 left (good enough); {words}"


def estimated(**found):
    return {"place": "1.each.0", "stage": "restore", "size": [64, 64], "blind": found}


def test_what_blind_did_to_faces_is_told_like_a_strength():
    noisy = estimated(untouched=False, noise=0.0812, outliers=0.0)
    faces = [
        {"number": 1, "stages": [noisy, UPSAMPLED], "change": 0.2},
        {"number": 2, "stages": [noisy, UPSAMPLED], "kept": "good enough"},
        {"number": 3, "stages": [estimated(untouched=True), UPSAMPLED], "kept": "good enough"},
        {"number": 4, "stages": [estimated(untouched=True) | {"occlusions": 0.124}, UPSAMPLED], "change": 0.5},
    ]
    line = text(photo(faces, True))
    assert line.startswith("4 faces, 2 restored (1 blind, 1 filled), 2 left (good enough); ")
    assert "noise .08 taken off in 1 face" in line and "hidden 12% drawn anew in 1 face" in line


def test_an_area_in_front_of_a_face_that_was_left_is_not_good_enough():
    face = {"number": 1, "stages": [estimated(untouched=True) | {"areas_left": 1}, UPSAMPLED], "kept": "good enough"}
    assert text(photo([face], False)).startswith("1 face, 1 left (one-colour area left)")
