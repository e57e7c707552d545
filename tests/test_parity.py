"""Golden files: the core repeats those of its parts, every file belongs to a part, and the fill rule is the stored one.

`make goldens ODEKIT_GOLDENS=DIR` runs these tests and the plugins' on another folder.
"""

import pytest
from goldens import layout
from goldens.cases import FILL_CHECK, FOLDER, NOT_YET, REPOSITORY, golden_params, marks, not_yet, plugin_cases
from goldens.core import GOLDENS
from goldens.fill_check import check_fill, read_fill_check, size

from odekit.testing.goldens import Golden, all_files, parse_name


@pytest.mark.parametrize("case, path", golden_params(GOLDENS))
def test_golden_file(case, path):
    errors = case.check(path)
    results = {name for name in Golden.read(path).arrays if name.startswith(("output", "net_", "mix_", "edit_"))}
    assert results - set(errors) == {name for name in results if "BAD" in name}


def unclaimed(files, cases):
    """The files that belong to no part."""
    stems = {case.stem for case in cases}
    return [
        path.name
        for path in files
        if parse_name(path)[0] not in stems and not path.match(FILL_CHECK) and not not_yet(parse_name(path)[0])
    ]


@pytest.mark.golden
def test_every_golden_file_belongs_to_a_part():
    assert FOLDER.is_dir(), f"{FOLDER}: there is no such folder"
    files = all_files(FOLDER)
    assert files, f"{FOLDER}: holds no golden file (.npz or .json)"
    missing = unclaimed(files, [*GOLDENS, *plugin_cases()])
    assert not missing, f"{FOLDER}: no part repeats {', '.join(missing)}"


def test_a_file_of_no_part_is_found(tmp_path):
    for name in ("adm_small.A.npz", "adm_small.E.npz", "fill_check_more.json", "adm_small.C.npz", "nobody.json"):
        (tmp_path / name).touch()
    assert unclaimed(all_files(tmp_path), GOLDENS) == ["adm_small.C.npz", "nobody.json"]


def test_a_file_whose_part_is_to_come_is_named_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setitem(NOT_YET, "later_*", "not written yet")
    (tmp_path / "later_net.B.npz").touch()
    assert not unclaimed(all_files(tmp_path), GOLDENS)


def test_a_stem_has_one_case_and_is_not_listed_as_missing():
    stems = [case.stem for case in (*GOLDENS, *plugin_cases())]
    assert len(stems) == len(set(stems))
    assert not [stem for stem in stems if not_yet(stem)]
    assert all(NOT_YET.values())


def fill_params():
    for path in all_files(FOLDER):
        if not path.match(FILL_CHECK) or not_yet(path.stem):
            continue
        for name, entry in read_fill_check(path)[1].items():
            long = entry["filled_elements"] > 2_000_000
            yield pytest.param(path, name, id=f"{path.stem}-{name}", marks=marks(long))


@pytest.mark.parametrize("path, name", fill_params())
def test_the_fill_rule_gives_the_stored_sums(path, name):
    seed, entries = read_fill_check(path)
    network, _, rule = name.rpartition(".")
    check_fill(layout(network), seed, rule, entries[name])


def test_a_wrong_fill_is_found():
    published = layout("ddim_small_golden")
    seed, entries = read_fill_check(REPOSITORY / "fill_check.json")
    entry = entries["ddim_small_golden.B"]
    with pytest.raises(AssertionError, match=r"sum differs by 1\.00e-03"):
        check_fill(published, seed, "B", entry | {"sum": entry["sum"] / 1.001})
    with pytest.raises(AssertionError, match="first differs"):
        check_fill(published, seed, "B", entry | {"first": [entry["first"][0], 3.0]})
    with pytest.raises(AssertionError, match="last differs by inf"):
        check_fill(published, seed, "B", entry | {"last": ["absent", 3.0]})
    with pytest.raises(AssertionError, match="sum_of_squares differs"):
        check_fill(published, seed, "A", entry)
    with pytest.raises(AssertionError, match="tensors and elements"):
        check_fill(dict(list(published.items())[1:]), seed, "B", entry)
    assert size({"norm.weight": (4,), "table.attn_mask": (9,)}) == (1, 4)
