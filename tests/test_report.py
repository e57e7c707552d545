"""Pages of tables and pictures: one file, everything escaped, nothing from the network."""

import html
import re

import numpy as np
import PIL.Image
import pytest
from conftest import picture

from odekit.core.image import Image
from odekit.evaluation.report import report_page
from odekit.evaluation.results import Difference, Group, Method, Plot, Printed, Quote, Results, Row, Value
from odekit.parts.metrics.base import MetricInfo
from odekit.runs.report import embed
from odekit.runs.report.page import BeforeAfter, Cell, Page, Table, render_page


def test_the_embedded_picture_is_the_picture():
    import base64
    import io

    pixels = picture(3, 20, 30)
    uri = embed.picture_uri(Image.from_uint8(pixels))
    assert uri.startswith("data:image/png;base64,")
    shown = PIL.Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    np.testing.assert_array_equal(np.asarray(shown), pixels)


def test_before_and_after_have_one_shape():
    import base64
    import io

    uris = embed.picture_pair_uris(Image.from_uint8(picture(1, 16, 16)), Image.from_uint8(picture(2, 64, 64)))
    sizes = [PIL.Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).size for uri in uris]
    assert sizes == [(64, 64), (64, 64)]


def test_names_are_shown_and_never_run():
    bad = "<script>alert(1)</script>\"'"
    text = render_page(Page(bad, bad, [(bad, bad)], [bad], [Table(bad, [bad], [[Cell(bad)]])], pairs=[BeforeAfter(bad, "data:,", "data:,", bad)]))  # fmt: skip
    assert "<script>alert" not in text
    assert html.escape("<script>alert(1)</script>") in text


NAN = float("nan")
RESULTS = Results(
    "table1", "Faces of a test", "Two pictures.", command="odekit experiment table1", seed=3,
    metrics=(MetricInfo("psnr", "PSNR", "dB"), MetricInfo("swd", "SWD", better="lower", of="set")),
    methods=(Method("odedit", "ODEdit", "chain", calls=600, seconds=2.5), Method("source", "Source", "damaged")),
    groups=(
        Group("odedit", pictures=2, failed=1, values={"psnr": Value(21.5, 20.0, 23.0, count=1), "swd": Value(90.0)}),
        Group("source", pictures=2, values={"psnr": Value(18.0, 17.0, 19.0, count=1, infinite=1), "swd": Value(120.0)}),
        Group("odedit", "fog", 4, pictures=1, values={"psnr": Value(21.5)}),
    ),
    differences=(Difference("odedit", "source", "psnr", 3.5, 1.0, 6.0, 2),),
    quotes=(Quote("the paper", "other data", (Printed("ODEdit", {"PSNR": 17.8}),)),),
    plots=(Plot("psnr", "swd"),), problems=("c.png is missing",),
    rows=(Row("a", "odedit", "fog", 4, {"psnr": 21.5}, pictures={"restored": "a.png", "damaged": "b.png", "reference": "a.png"}),
          Row("b", "odedit", "fog", 4, error="the chain failed")),
)  # fmt: skip


@pytest.fixture
def compared(tmp_path):
    for name in ("a.png", "b.png"):
        PIL.Image.fromarray(picture(ord(name[0]), 8, 8)).save(tmp_path / name)
    return html.unescape(render_page(report_page(RESULTS, tmp_path)))


@pytest.mark.parametrize(
    "said",
    ["21.5 [20, 23]", "18 [17, 19] (1 infinite)", "3.5 [1, 6]", "Published figures: the paper", "other data", "17.8",
     "c.png is missing", "b: the chain failed", "fog 4", 'id="picture-odedit-a"', "PSNR, dB (higher is better)",
     "data:image/svg+xml;base64,", "odekit experiment table1"],
)  # fmt: skip
def test_a_comparison_is_reported_completely(compared, said):
    assert said in compared


def test_a_results_document_reads_back_for_its_report(tmp_path):
    RESULTS.write(tmp_path)
    again = Results.read(tmp_path)
    for name in ("a.png", "b.png"):
        PIL.Image.fromarray(picture(ord(name[0]), 8, 8)).save(tmp_path / name)
    assert render_page(report_page(again, tmp_path)) == render_page(report_page(RESULTS, tmp_path))


def test_the_page_asks_the_network_for_nothing(tmp_path):
    for name in ("a.png", "b.png"):
        PIL.Image.fromarray(picture(ord(name[0]), 8, 8)).save(tmp_path / name)
    text = render_page(report_page(RESULTS, tmp_path))
    assert "default-src 'none'" in text
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']([^"']+)""", text) + re.findall(r"url\(([^)]+)\)", text)
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
