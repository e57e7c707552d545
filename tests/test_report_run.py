"""The report of a run: pictures, faces and decisions as the records say, escaped, from the run's own files alone."""

import base64
import hashlib
import json
import re

import numpy as np
import PIL.Image
import pytest
import worker_calls
from conftest import picture
from drawn_run import FACES, DrawnRun, decoded, digest, drawn, faces_stage, parse, sections

from odekit.errors import InputError
from odekit.runs.findings import findings_of
from odekit.runs.report import run_page, store
from odekit.runs.report.faces import decide
from odekit.runs.report.run_report import write_run_report


@pytest.fixture
def run(tmp_path):
    return DrawnRun(tmp_path / "run")


def page_of(run, *inputs):
    """The report of a drawn run, parsed."""
    return parse(text_of(run, *inputs))


def text_of(run, *inputs):
    return write_run_report(run.out, inputs or [run.inputs]).read_text()


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def faces_of(run):
    (section,) = sections(page_of(run)).values()
    return section.all("article", "face")


# ---- the page as a whole


@pytest.fixture
def ran(cli, exact, faces, tmp_path):
    """A run of seven aligned faces, one of them broken, with its report."""
    (faces / "face3.png").write_bytes(b"no picture")
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--report")
    assert done.code == 3
    assert f"report: {tmp_path / 'out' / 'report.html'}" in done.err
    return tmp_path / "out"


def test_a_run_writes_one_page_with_every_picture_its_record_and_the_failures(ran):
    page = parse((ran / "report.html").read_text())
    assert set(sections(page)) == {f"face{i}.png" for i in range(7)}
    assert not (ran / store.FOLDER).exists()
    record = json.loads((ran / "face0.png.json").read_text())
    section = sections(page)["face0.png"]
    assert record["output"]["sha256"] in section.all("details", "technical")[0].text
    assert section.all("p", "line")[0].text == findings_of(record).text
    failed = sections(page)["face3.png"]
    assert failed.attributes["data-status"] == "failed"
    assert failed.all("p", "line")[0].text.startswith("is not a picture")


def test_small_aligned_faces_are_enlarged_without_smoothing_and_keep_their_pixels(ran):
    section = sections(parse((ran / "report.html").read_text()))["face0.png"]
    assert "data-small" in section.attributes
    np.testing.assert_array_equal(decoded(section.layers()["Before"]["src"]), picture(0))
    np.testing.assert_array_equal(
        decoded(section.layers()["After"]["src"]), np.asarray(PIL.Image.open(ran / "face0.png"))
    )


def test_a_run_in_which_everything_failed_has_a_report_of_the_failures(cli, exact, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert cli("run", exact, tmp_path / "a.png", "-o", tmp_path / "out", "--report").code == 3
    assert set(sections(parse((tmp_path / "out" / "report.html").read_text()))) == {"a.png"}


def test_the_page_asks_the_network_for_nothing(run):
    run.add_photo()
    text = text_of(run)
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']([^"']+)""", text) + re.findall(r"url\(([^)]+)\)", text)
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "http" not in re.sub(r'(?:src|href)="data:[^"]*"|"src": "data:[^"]*"', "", text).replace("http-equiv", "")


def test_only_the_own_script_and_style_may_run(run):
    run.add_photo()
    page = page_of(run)
    policy = next(m.attributes["content"] for m in page.all("meta") if "http-equiv" in m.attributes)
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    scripts = [script.text for script in page.all("script") if "type" not in script.attributes]
    for (text,), kind in ((scripts, "script"), ([style.text for style in page.all("style")], "style")):
        expected = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{expected}'" in policy
    handlers = [
        name for element in page.all() for name in element.attributes if name.startswith("on") or name == "style"
    ]
    assert not handlers


def test_pictures_are_marked_by_what_was_done_and_counted(run):
    run.add_photo("changed.png")
    run.add("same.png", drawn(2), drawn(2))
    run.fail("lost.png", "no such file")
    page = page_of(run)
    assert {name: s.attributes["data-status"] for name, s in sections(page).items()} == {
        "changed.png": "changed", "same.png": "nothing", "lost.png": "failed",
    }  # fmt: skip
    buttons = {
        b.attributes["data-filter"]: b.all("span", "count")[0].text
        for b in page.all("button")
        if "data-filter" in b.attributes
    }
    assert buttons == {"all": "3", "changed": "1", "nothing": "1", "failed": "1"}
    entries = [item.text for item in page.all("ol")[0].all("li")]
    assert [" ".join(text.split()) for text in entries] == [
        "changed.png 3 faces, 1 restored (medium), 2 left (1 good enough, 1 too small)",
        "lost.png no such file",
        "same.png nothing was done",
    ]


def test_technical_data_is_folded_away(run):
    run.add_photo()
    page = page_of(run)
    folded = " ".join(details.text for details in page.all("details", "technical"))
    for said in ("22 network calls, 1.5 s", '"kept": "undamaged"', "seed", "9.9", '"name": "photo"'):
        assert said in folded
    assert not any("open" in details.attributes for details in page.all("details"))


def test_a_report_of_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="no run has written here"):
        write_run_report(tmp_path, [])


def test_a_picture_listed_because_a_change_was_required_appears_once(run):
    run.add("same.png", drawn(2), drawn(2))
    run.fail("same.png", "nothing was done; the result is written")
    (section,) = sections(page_of(run)).values()
    assert section.attributes["data-status"] == "nothing"


def test_pictures_beyond_the_limit_are_counted(run, monkeypatch):
    monkeypatch.setattr(run_page, "MAX_PICTURES", 2)
    for i in range(5):
        run.add(f"{i}.png", drawn(i), drawn(i))
    page = page_of(run)
    assert set(sections(page)) == {"0.png", "1.png"}
    assert "3 further pictures" in page.text


# ---- faces


def test_every_face_has_its_decision_in_words_and_its_numbers(run):
    run.add_photo()
    restored, good, small = faces_of(run)
    assert restored.all("h4")[0].text == "1 restored (medium)"
    assert good.all("h4")[0].text == "2 left: good enough"
    assert small.all("h4")[0].text == "3 left: too small (18 px < 24)"
    assert [face.attributes["data-outcome"] for face in (restored, good, small)] == ["restored", "left", "out"]
    assert restored.attributes["data-score"] == "0.99"
    for said in ("size 30 x 36 px", "expected gain +1.25 dB", "detail kept 25 %"):
        assert said in restored.text
    assert "expected gain at best -0.70 dB (light)" in good.text


def test_the_expected_worth_of_a_guided_upsampler_is_shown(run):
    stages = [{"stage": "restore", "strength": [{"strength": "none"}]}]
    stages.append({"stage": "upsample", "detail": {"act": True, "expected_gain": 0.0834, "kept_original": False}})
    run.add_photo("a.png", [{"number": 1, "box": [60, 40, 80, 60], "stages": stages}])
    assert "expected fall of LPIPS plus face distance 0.08" in faces_of(run)[0].text


def test_the_expected_numbers_of_an_aligned_face_are_shown(run):
    strength = [
        {"strength": "light", "expected_gain": {"light": 0.31}, "expected_distance": {"light": 0.2, "heavy": 0.5}}
    ]
    run.add(
        "a.png",
        drawn(1, 64, 64),
        drawn(2, 64, 64),
        stages=[{"stage": "restore", "size": [64, 64], "strength": strength}],
    )
    (section,) = sections(page_of(run)).values()
    assert section.all("p", "line")[0].text == "restored (light)"
    assert section.all("p", "facts")[0].text == "expected gain +0.31 dBexpected distance +0.20"


@pytest.mark.parametrize(
    ("face", "expected"),
    [
        ({"stages": []}, ("restored", "restored")),
        ({"left_out": "score 0.41, under select.score 0.5"}, ("out", "left: score too low (0.41 < 0.5)")),
        ({"left_out": "overlaps a better one"}, ("out", "left: overlaps a better one")),
        ({"failed": "no memory"}, ("failed", "failed: no memory")),
    ],
)
def test_decisions(face, expected):
    assert decide(face) == expected


def test_a_face_is_cut_from_input_and_result_at_its_box_with_a_margin(run):
    before = picture(5, 130, 160)  # noise: equal only at the right place
    after = picture(6, 260, 320)  # enlarged twice
    box = [60, 40, 80, 60]
    run.add("a.png", before, after, stages=[faces_stage([{"number": 1, "box": box}], (320, 260))])
    (face,) = faces_of(run)
    crops = [decoded(img.attributes["data-src"]) for img in face.all("img")]
    np.testing.assert_array_equal(crops[0], before[33:67, 53:87])  # 20 px and 7 px on each side
    np.testing.assert_array_equal(crops[1], after[66:134, 106:174])


def test_a_crop_at_the_border_stays_inside(run):
    before = picture(5, 130, 160)
    run.add("a.png", before, before, stages=[faces_stage([{"number": 1, "box": [-4, 100, 20, 130]}])])
    np.testing.assert_array_equal(decoded(faces_of(run)[0].all("img")[0].attributes["data-src"]), before[79:130, 0:51])


def test_a_turned_face_is_shown_upright_and_its_turn_is_named(run):
    before = picture(5, 130, 160)
    eyes = [[70.0, 45.0], [70.0, 55.0]]  # one below the other: the head lies on its right side
    face = {"number": 1, "box": [60, 40, 80, 60], "points": eyes, "turn": 270}
    run.add("a.png", before, before, stages=[faces_stage([face])])
    (article,) = faces_of(run)
    np.testing.assert_array_equal(decoded(article.all("img")[0].attributes["data-src"]), np.rot90(before[33:67, 53:87]))
    assert "turn 270°" in article.text
    assert article.attributes["data-turn"] == "270°"


def test_the_scores_behind_a_score_are_named(run):
    face = {"number": 1, "box": [60, 40, 80, 60], "score": 0.99, "scores": {"aligner": 0.99, "yunet": 0.913}, "turn": 0}
    run.add("a.png", drawn(1), drawn(1), stages=[faces_stage([face])])
    (article,) = faces_of(run)
    assert article.attributes["data-score"] == "0.99 (aligner 0.99, yunet 0.91)"
    assert "turn" not in article.text


def test_proposals_that_the_detector_rejected_are_shown_apart(run):
    rejected = [{"box": [60, 40, 80, 60], "score": 0.41, "turn": 0, "rejected": "score 0.41, under detect.score 0.6"}]
    run.add("a.png", drawn(1), drawn(1), stages=[faces_stage([]) | {"rejected": rejected}])
    page = page_of(run)
    (folded,) = [details for details in page.all("details") if "1 proposal of the detector" in details.text]
    (article,) = folded.all("article", "face")
    assert article.attributes["data-outcome"] == "rejected"
    assert article.all("h4")[0].text == "- no face: score too low (0.41 < 0.6)"
    assert len(article.all("img")) == 1
    assert sections(page)["a.png"].all("p", "line")[0].text == "no face found; nothing was done"


def test_boxes_are_fractions_of_the_picture_in_which_the_face_was_found(run):
    enlarged = {"place": "0", "stage": "upsample", "size": [320, 260]}
    faces = faces_stage([{"number": 1, "box": [32, 26, 160, 130]}], (320, 260))
    run.add("a.png", drawn(1), drawn(1, 320, 260), stages=[enlarged, faces])
    assert faces_of(run)[0].attributes["data-box"] == "0.10000 0.10000 0.50000 0.50000"


# ---- layers


def test_samples_masks_and_kept_stages_are_layers(run):
    extras = {"a.spread.png": drawn(3), "a.mask.png": drawn(4)}
    for name, pixels in extras.items():
        PIL.Image.fromarray(pixels).save(run.out / name)
    stages = run.out / "stages" / "a.png"
    stages.mkdir(parents=True)
    for name in ("0-input", "1-mend", "2-face1-latent", "10-faces", "sheet"):
        PIL.Image.fromarray(drawn(5)).save(stages / f"{name}.png")
    run.add_photo("a.png", extras=list(extras), pictures="stages/a.png/sheet.png")
    (section,) = sections(page_of(run)).values()
    assert list(section.layers()) == ["Before", "After", "spread", "mask", "stage mend", "stage faces"]
    first = section.all("article", "face")[0]
    assert [caption.text for caption in first.all("figcaption")] == ["before", "after", "latent"]


def test_a_large_picture_is_reduced_but_keeps_its_size_on_record(run, monkeypatch):
    run.add("a.png", drawn(1, 3000, 20), drawn(1, 3000, 20))
    layer = sections(page_of(run))["a.png"].layers()["After"]
    assert (layer["width"], layer["height"]) == (3000, 20)
    assert decoded(layer["src"]).shape[1] == store.MAX_SIDE


# ---- many pictures


@pytest.fixture
def beside(run, monkeypatch):
    """A run whose pictures are too many for one file."""
    monkeypatch.setattr(store, "MAX_EMBEDDED", 20_000)
    for i in range(12):
        run.add(f"{i}.png", picture(i, 40, 40), picture(i + 100, 40, 40))
    return run


def test_many_pictures_lie_beside_the_page_and_are_loaded_from_there(beside):
    text = text_of(beside)
    layers = sections(parse(text))["3.png"].layers()
    assert layers["Before"]["src"] == "report_files/00010-before.png"
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(beside.out / layers["Before"]["src"])), picture(3, 40, 40))
    assert "img-src data: 'self' file:;" in text
    assert len(names_in(beside.out / "report_files")) == 24


def test_pictures_of_an_earlier_page_are_removed_and_nothing_else(beside):
    text_of(beside)
    (beside.out / "report_files" / "mine.txt").write_text("keep")
    for i in range(2, 12):
        (beside.out / f"{i}.png.json").unlink()
    text = text_of(beside)
    assert names_in(beside.out / "report_files") == ["mine.txt"]
    assert sections(parse(text))["1.png"].layers()["After"]["src"].startswith("data:")


def test_the_folder_of_the_pictures_is_none_of_the_results(beside):
    (beside.out / "report_files").mkdir()
    (beside.inputs / "report_files").mkdir()
    beside.add("report_files/00000-before.png", drawn(1), drawn(1))
    before = digest(beside.out / "report_files" / "00000-before.png")
    assert "report_files-2/" in text_of(beside)
    assert digest(beside.out / "report_files" / "00000-before.png") == before


def test_a_link_is_not_followed_when_pictures_are_written(beside, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (beside.out / "report_files").symlink_to(tmp_path / "elsewhere")
    text_of(beside)
    assert not names_in(tmp_path / "elsewhere")


# ---- hostile names and records

BAD = "<script>alert(1)</script>\"'&\u202egnp.\x1b[31m\u2028</title>"


def test_names_and_records_are_shown_and_never_run(run):
    faces = [{"number": BAD, "box": [20, 30, 50, 66], "left_out": BAD, "score": BAD, "turn": BAD}]
    path = run.add_photo("a.png", faces)
    record = json.loads(path.read_text())
    name = "a<b>'\"\u202e&.png"
    record["output"]["path"] = name
    record["stages"].append({"stage": BAD, BAD: BAD, "strength": [{"strength": BAD, "expected " + BAD: 1.0}]})
    (run.out / "a.png").rename(run.out / name)
    path.write_text(json.dumps(record))
    run.fail(BAD, BAD)
    text = text_of(run)
    assert "<script>alert" not in text
    assert "<b>" not in text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u2028\x1b]", text)
    page = parse(text)
    assert "a<b>'\"\\u202e&.png" in sections(page)
    assert len(page.all("script")) == 3  # two of pictures, one of the page
    assert BAD.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b").replace("\u2028", "\\u2028") in page.text


def test_names_of_bytes_that_are_not_text_are_escaped(run):
    run.fail("caf\udce9.png", "is not a picture")
    assert "caf\\udce9.png" in sections(page_of(run))


@pytest.fixture
def secret(tmp_path):
    """A picture outside of the run's inputs and outputs."""
    path = tmp_path / "secret.png"
    PIL.Image.fromarray(picture(99, 40, 40)).save(path)
    return path


def shown(text):
    """All pictures in a page."""
    uris = re.findall(r"data:image/(?:png|webp);base64,[A-Za-z0-9+/=]+", text)
    return [pixels for pixels in map(decoded, uris) if pixels.shape == (40, 40, 3)]


def plant_input(run, secret):
    run.add_photo(input={"path": str(secret), "sha256": digest(secret)})


def plant_input_through_parent(run, secret):
    run.add_photo(input={"path": f"{run.inputs}/../../secret.png", "sha256": digest(secret)})


def plant_result_link(run, secret):
    run.add_photo()
    (run.out / "family.png").unlink()
    (run.out / "family.png").symlink_to(secret)


def plant_extra(run, secret):
    run.add_photo(extras=["../../secret.png", str(secret), "link.png", 7, None])
    (run.out / "link.png").symlink_to(secret)


def plant_stages(run, secret):
    folder = run.base / "elsewhere"
    folder.mkdir()
    for name in ("1-mend.png", "sheet.png"):
        (folder / name).write_bytes(secret.read_bytes())
    (run.out / "stages").symlink_to(folder)
    run.add_photo(pictures="stages/sheet.png")


def plant_stage_link(run, secret):
    run.add_photo(pictures="sheet.png")
    (run.out / "sheet.png").write_bytes(b"")
    (run.out / "1-mend.png").symlink_to(secret)


def plant_failure(run, secret):
    run.add_photo()
    (run.out / "failures.json").write_text(json.dumps([{"input": str(secret), "error": "no"}]))


def plant_private_as_result(run, secret):
    """A picture that lies in the output folder, but is no result; whoever plants the record does not know its bytes."""
    run.add_photo()
    (run.out / "private.png").write_bytes(secret.read_bytes())
    for name, output in (("a", {}), ("b", {"sha256": "0" * 64}), ("c", {"sha256": None})):
        record = {"output": {"path": "private.png"} | output, "stages": []}
        (run.out / f"{name}.json").write_text(json.dumps(record))


def plant_private_as_extra(run, secret):
    (run.out / "private.png").write_bytes(secret.read_bytes())
    run.add_photo(extras=["private.png", "./private.png", "family./../private.png"])


def plant_private_as_stage(run, secret):
    (run.out / "1-private.png").write_bytes(secret.read_bytes())
    (run.out / "stages").mkdir()
    (run.out / "sheet.png").write_bytes(b"")
    run.add_photo("a.png", pictures="sheet.png")
    run.add_photo("b.png", pictures="stages/../sheet.png")


def plant_input_without_digest(run, secret):
    run.add_photo("other.png")
    (run.inputs / "private.png").write_bytes(secret.read_bytes())
    run.add_photo(input={"path": str(run.inputs / "private.png")})


@pytest.mark.parametrize(
    "plant",
    [
        plant_input, plant_input_through_parent, plant_result_link, plant_extra, plant_stages, plant_stage_link,
        plant_failure, plant_private_as_result, plant_private_as_extra, plant_private_as_stage,
        plant_input_without_digest,
    ],
)  # fmt: skip
def test_a_planted_record_cannot_show_a_file_outside_the_run(run, secret, plant):
    plant(run, secret)
    text = text_of(run)
    assert not any(np.array_equal(pixels, picture(99, 40, 40)) for pixels in shown(text))
    assert "report_files" not in text


def test_the_same_picture_is_shown_where_it_is_an_input(run, secret):
    plant_input(run, secret)
    assert any(np.array_equal(pixels, picture(99, 40, 40)) for pixels in shown(text_of(run, run.inputs, secret)))


def test_a_planted_link_to_a_record_elsewhere_is_not_read(run, tmp_path):
    run.add_photo()
    private = tmp_path / "private.json"
    private.write_text(json.dumps({"output": {"path": "family.png"}, "private": "a secret word"}))
    (run.out / "family.png.json").unlink()
    (run.out / "family.png.json").symlink_to(private)
    assert "a secret word" not in text_of(run)


def test_an_input_that_has_changed_since_is_not_shown_as_the_picture_before(run):
    run.add_photo()
    PIL.Image.fromarray(drawn(9)).save(run.inputs / "family.png")
    (section,) = sections(page_of(run)).values()
    assert list(section.layers()) == ["After"]
    assert "its input has changed since" in section.text


def test_a_result_that_has_changed_since_is_not_shown(run):
    run.add_photo()
    PIL.Image.fromarray(drawn(9)).save(run.out / "family.png")
    (section,) = sections(page_of(run)).values()
    assert list(section.layers()) == ["Before"]
    assert "its result has changed since" in section.text


def test_a_failed_input_that_ends_its_decoder_does_not_end_the_report(run, monkeypatch):
    from odekit.runs.report import sources

    monkeypatch.setattr(sources, "read_shown", worker_calls.end_process)
    (run.inputs / "deadly.png").write_bytes(b"x")
    run.fail("deadly.png", "its worker process died")
    (section,) = sections(page_of(run)).values()
    assert not section.layers()


@pytest.mark.parametrize("junk", [None, 3, "x", [], {}, [None, 3, "x", [], {"faces": 3}, {"faces": [3, {}]}]])
def test_records_of_unexpected_types_do_not_stop_the_report(run, junk):
    run.add_photo("a.png", stages=junk, calls=junk, seconds=junk, extras=junk, pictures=junk)
    run.add_photo("b.png", input=junk)
    run.add_photo(
        "c.png",
        faces=[{"number": junk, "box": junk, "points": junk, "score": junk, "stages": junk, "kept_detail": junk}],
    )
    run.add_photo(
        "d.png", faces=[FACES[0] | {"box": [1e400, 0, 5, 5]}, {"box": [5, 5, 2, 2]}, {"box": [900, 900, 950, 950]}]
    )
    assert set(sections(page_of(run))) == {"a.png", "b.png", "c.png", "d.png"}


def test_a_deeply_nested_record_does_not_stop_the_report(run):
    nested = []
    for _ in range(5000):
        nested = [nested]
    assert run_page.json_text(nested) == "nested too deeply to be shown"
    path = run.add_photo()
    path.write_text(path.read_text()[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}")
    run.add_photo("b.png")
    assert set(sections(page_of(run))) == {"b.png"}


def test_the_readable_part_of_a_truncated_input_is_shown(run):
    run.add_photo("a.png", faces=[])
    path = run.inputs / "cut.jpg"
    PIL.Image.fromarray(drawn(4)).save(path)
    path.write_bytes(path.read_bytes()[:-900])
    run.fail("cut.jpg", "is damaged or incomplete")
    assert list(sections(page_of(run))["cut.jpg"].layers()) == ["Before"]
