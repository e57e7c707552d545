"""The results document, its tables, and bootstrap intervals against scipy's and against known truth."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from odekit.cli.eval import print_tables
from odekit.errors import InputError
from odekit.evaluation import bootstrap, tables
from odekit.evaluation.results import Difference, Group, Method, Plot, Printed, Quote, Results, Row, Value
from odekit.parts.metrics.base import MetricInfo

RNG = np.random.Generator(np.random.Philox(0))

FULL = Results(
    "table1", "A title", "8 faces", "odekit experiment table1", 3, "2026-01-02T03:04:05+00:00", 1.5, {"cores": 2},
    metrics=(MetricInfo("psnr", "PSNR", "dB"), MetricInfo("swd", "SWD", "x 1e-3", "lower", of="set"),
             MetricInfo("sharpness", "sharpness", "", "nearest", 1.0)),
    methods=(Method("damaged", "Source", "damaged"), Method("a", "A", "chain", {"chain": []}, 600.0, 0.5)),
    groups=(
        Group("damaged", pictures=4, values={"psnr": Value(20.0, 19.0, 21.5, None, 3, 1), "swd": Value(9.5, spread=0.25),
                                             "sharpness": Value(1.25, 1.0, 1.5)}),
        Group("a", pictures=4, failed=1, values={"psnr": Value(math.nan), "swd": Value(math.nan, note="why"),
                                                 "sharpness": Value(0.5, 0.4, 0.6, undefined=2)}),
        Group("damaged", "fog", 4, 4, 0, {"psnr": Value(20.0), "swd": Value(1.0), "sharpness": Value(1.0)}),
        Group("a", "fog", 4, 4, 1, {"psnr": Value(2.0), "swd": Value(1.0), "sharpness": Value(1.0)}),
    ),
    differences=(Difference("a", "damaged", "psnr", -1.5, -2.0, 0.25, 3),),
    quotes=(Quote("a paper", "elsewhere", (Printed("X", {"psnr": 18.01}), Printed("Y", {"fid": 33.81}))),),
    plots=(Plot("psnr", "swd"),), problems=("b: missing",), notes=("a note",),
    rows=(Row("one", "a", "fog", 4, {"psnr": math.inf, "sharpness": math.nan}, {"sharpness": "flat"}, "", 600, 0.5,
              {"reference": "clean/one.png"}),),
    rows_file="rows.csv", figures={"pictures": "pictures.png"},
)  # fmt: skip


def test_the_document_goes_through_json_and_back(tmp_path):
    tree = json.loads(FULL.write(tmp_path).read_text())
    assert tree["schema"] == 1
    assert tree["rows"][0]["values"] == {"psnr": "inf", "sharpness": None}
    assert tree["groups"][0]["values"]["psnr"]["infinite"] == 1
    back = Results.read(tmp_path)
    assert back.tree() == FULL.tree()
    assert back.rows[0].values["psnr"] == math.inf
    assert math.isnan(back.rows[0].values["sharpness"])
    assert back.methods == FULL.methods
    assert back.quotes == FULL.quotes


def test_fields_of_a_later_minor_version_are_passed_over():
    tree = FULL.tree() | {"weather": "fine"}
    tree["methods"][0]["colour"] = "red"
    assert Results.from_tree(tree).tree() == FULL.tree()


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "no results document; write one with"), ("{}", "schema: None"), ('{"schema": 2}', "schema: 2"),
     ('{"schema": 1}', "results document is incomplete"), ("[1]", "schema: list")],
)  # fmt: skip
def test_what_is_no_document_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    with pytest.raises(InputError, match=message):
        Results.read(tmp_path)


# --- tables


def test_printed_tables_have_a_heading_and_an_empty_line_before_it(capsys):
    print_tables(FULL)
    lines = [line.rstrip() for line in capsys.readouterr().out.split("\n")]
    for heading in ("Paired differences", "a paper: on other data"):
        (at,) = (i for i, line in enumerate(lines) if line.startswith(heading))
        assert lines[at - 1] == ""


def test_cells_show_intervals_spreads_counts_and_what_has_no_value():
    assert tables.headings(FULL) == [
        "method",
        "pictures",
        "PSNR, dB ^",
        "SWD, x 1e-3 v",
        "sharpness -> 1",
        "calls",
        "seconds",
    ]
    assert tables.table(FULL) == [
        ["Source", "4", "20.00 [19.00, 21.50] (1 inf)", "9.5 +- 0.2", "1.25 [1.00, 1.50]", "", ""],
        ["A", "3 of 4", "-", "-", "0.50 [0.40, 0.60] (2 n/a)", "600", "0.50"],
    ]
    assert tables.by_damage(FULL, "psnr")[1] == [["fog", "4", "4", "20.00", "2.00"]]
    assert tables.differences(FULL) == (["difference", "PSNR"], [["A - Source", "-1.50 [-2.00, +0.25]"]])
    assert tables.printed(FULL.quotes[0].rows)[1] == [["X", "18.01", ""], ["Y", "", "33.81"]]
    assert tables.markdown(["a", "b"], [["1", "x|y"]]) == "| a | b |\n| --- | --- |\n| 1 | x\\|y |"


def test_the_csv_has_every_group_with_all_digits():
    lines = tables.summary_csv(FULL).splitlines()
    assert len(lines) == 5
    assert lines[0].startswith(
        "method,kind,severity,pictures,failed,psnr,psnr_low,psnr_high,psnr_spread,psnr_count,swd"
    )
    assert lines[1].startswith("damaged,,,4,0,20.0,19.0,21.5,,3,9.5,,,0.25,0,")
    assert lines[2].endswith(",600.0,0.5")


# --- intervals


def test_the_interval_is_scipys_percentile_interval():
    values = RNG.gamma(2.0, size=60)
    ours = bootstrap.mean(values, resamples=20_000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=RNG).confidence_interval
    assert ours.mean == pytest.approx(values.mean(), rel=1e-12)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    found = [bootstrap.mean(RNG.standard_normal(40), seed, 400) for seed in range(300)]
    hits = [one.low <= 0.0 <= one.high for one in found]
    assert 0.90 <= np.mean(hits) <= 0.98


def test_what_is_not_finite_is_counted_and_left_out():
    found = bootstrap.mean([1.0, 3.0, math.inf, math.nan, math.nan])
    assert (found.mean, found.count, found.infinite, found.undefined) == (2.0, 2, 1, 2)
    assert 1 <= found.low <= found.high <= 3
    alone, none = bootstrap.mean([5.0]), bootstrap.mean([math.inf])
    assert alone.mean == 5.0 and math.isnan(alone.low)
    assert math.isnan(none.mean) and none.infinite == 1


def test_differences_are_paired():
    """A method that is better by 0.1 on every picture is better for sure, however pictures differ."""
    theirs = 20 + 5 * RNG.standard_normal(30)
    found = bootstrap.difference(theirs + 0.1, theirs)
    assert (found.low, found.mean, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert bootstrap.difference([1.0, math.inf, 2.0, math.nan], [0.0, 1.0, 4.0, 1.0]).count == 2


def test_the_same_seed_gives_the_same_interval_and_blocks_change_nothing(monkeypatch):
    values = RNG.standard_normal(50)
    whole = bootstrap.mean(values, 1)
    assert bootstrap.mean(values, 1) == whole != bootstrap.mean(values, 2)
    monkeypatch.setattr(bootstrap, "_BLOCK", 500)
    assert bootstrap.mean(values, 1) == whole
