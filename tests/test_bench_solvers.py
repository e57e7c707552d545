"""`python -m benchmarks roundtrip|edit|order|nfe`: the figures that the solvers must reach, printed and reached."""

import json
import re

import pytest
from conftest import ROOT

from benchmarks.page import fill
from benchmarks.roundtrip import growth


@pytest.fixture
def printed(bench):
    """The JSON that a benchmark prints."""

    def call(*words):
        done = bench(*words, "--json")
        assert done.code == 0, done.err
        return json.loads(done.out)

    return call


def test_orders_are_within_a_tenth_of_the_stated_ones(printed):
    tree = printed(
        "order", "--solver", "dpmpp-2m", "--solver", "{use: belm, rule: midpoint}", "--solver", "fixed-point"
    )
    assert [row["kit"] for row in tree["rows"]] == ["passed"] * 3
    assert len(tree["goals"]) == 9 and all(goal["reached"] for goal in tree["goals"]), tree["goals"]


def test_round_trips_reach_their_figures_on_the_mixture(printed):
    """Reversible solvers 190 dB; dpmpp-2m with 20 + 20 calls 15 dB above DDIM with 100 + 100."""
    words = [w for s in ("belm", "reversible-heun", "dpmpp-2m") for w in ("--solver", s)]
    tree = printed("roundtrip", *words, "--solver", "ddim", "--steps", "20", "--steps", "100", "--limit", "16")
    assert len(tree["goals"]) == 9 and all(goal["reached"] for goal in tree["goals"]), tree["goals"]
    rows = {(row["solver"], row["steps"]): row for row in tree["rows"]}
    assert rows["belm", 20]["identical"] == "16/16" and rows["belm", 20]["calls"] == 39
    assert rows["ddim", 100]["psnr"] >= 39


def test_forty_calls_reach_the_quality_of_ddim_100(printed):
    tree = printed("nfe", "--solver", "dpmpp-2m", "--steps", "20", "--limit", "8")
    assert tree["goals"][0]["reached"] and tree["rows"][1]["calls"] == 40


def test_edits_are_answered_as_by_the_exact_ode(printed):
    tree = printed("edit", "--solver", "dpmpp-2m", "--solver", "reversible-heun", "--limit", "4")
    assert len(tree["goals"]) == 4 and all(goal["reached"] for goal in tree["goals"]), tree["goals"]


@pytest.mark.long
def test_a_first_order_solver_with_fifty_levels_is_reported_as_missed(printed):
    tree = printed("edit", "--solver", "ddim", "--limit", "4")
    assert [goal["reached"] for goal in tree["goals"]] == [True, False]


@pytest.mark.long
def test_other_sides_return_identical_and_memory_is_reported(printed):
    tree = printed("sides", "--side", "96", "--steps", "4")
    assert len(tree["rows"]) == 2 and all(goal["reached"] for goal in tree["goals"])
    assert all(0.1 < row["memory"] < 3 for row in tree["rows"])  # GB, of a process with torch and a small prior
    assert all(row["calls"] == 13 and row["again"] == 7 for row in tree["rows"])


def test_a_side_that_no_network_halves_is_refused(bench):
    done = bench("sides", "--side", "100")
    assert done.code == 2 and "multiple of 32" in done.err


def test_damaged_pictures_are_others(printed):
    clean, damaged = (
        printed("roundtrip", "--solver", "ddim", "--steps", "10", "--limit", "2", way)
        for way in ("--clean", "--damaged")
    )
    assert clean["rows"][0]["psnr"] != damaged["rows"][0]["psnr"] and "damaged" in damaged["how"]


def test_a_plot_is_drawn_and_an_unknown_suffix_is_reported(bench, tmp_path):
    few = ("order", "--solver", "ddim", "--steps", "8")
    assert bench(*few, "--plot", tmp_path / "order.png").code == 0
    assert (tmp_path / "order.png").read_bytes().startswith(b"\x89PNG")
    done = bench(*few, "--plot", tmp_path / "order.txt")
    assert done.code == 2 and "--plot" in done.err


def test_an_unknown_solver_is_reported(bench):
    done = bench("roundtrip", "--solver", "dpmpp", "--limit", "1")
    assert done.code == 2 and "did you mean 'dpmpp-2m'" in done.err


def test_the_growth_factor_is_the_mean_one_of_a_step():
    assert growth([0.0, 1e-12, 2e-12, 4e-12]) == pytest.approx(2.0)


@pytest.mark.parametrize("name, least", [("solvers", 5), ("performance", 2)])
def test_a_page_is_what_the_benches_printed(name, least):
    """Where this fails: python -m benchmarks page docs/NAME/*.json -o docs/NAME.md."""
    results = sorted((ROOT / "docs" / name).glob("*.json"))
    assert len(results) >= least
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert page == fill(page, results)
    assert sorted(re.findall(r"^<!-- begin (\S+) -->$", page, re.MULTILINE)) == sorted(path.stem for path in results)


def test_a_page_is_filled_between_its_markers_and_nothing_else_changes(bench, tmp_path):
    page, result = tmp_path / "page.md", ROOT / "docs" / "solvers" / "order.json"
    page.write_text("# Ours\n\n<!-- begin order -->\nold\n<!-- end order -->\n\nours too\n")
    assert bench("page", result, "-o", page).code == 0
    head, _, rest = page.read_text().partition("<!-- begin order -->\n")
    table, _, tail = rest.partition("\n<!-- end order -->")
    assert (head, tail) == ("# Ours\n\n", "\n\nours too\n")
    assert table.startswith("`python -m benchmarks order`") and "| belm | 2 |" in table


def test_figures_of_two_pages_are_not_mixed(bench, tmp_path):
    both = [sorted((ROOT / "docs" / name).glob("*.json"))[0] for name in ("performance", "solvers")]
    page = tmp_path / "out.md"
    page.write_text((ROOT / "docs" / "performance.md").read_text(encoding="utf-8"))
    before = page.read_bytes()
    done = bench("page", *both, "-o", page)
    assert done.code == 2 and "belong on another page" in done.err
    assert page.read_bytes() == before


def test_a_file_that_is_no_bench_is_refused(bench, tmp_path):
    (tmp_path / "a.json").write_text("[]")
    (tmp_path / "out.md").write_text("<!-- begin a -->\n<!-- end a -->\n")
    done = bench("page", tmp_path / "a.json", "-o", tmp_path / "out.md")
    assert done.code == 2 and "not the JSON of" in done.err
    absent = bench("page", tmp_path / "a.json", "-o", tmp_path / "none.md")
    assert absent.code == 2 and "name the page with the markers" in absent.err
