"""`python -m benchmarks rates`: every kind of damage, and both programs over files of their own."""

import json

from odekit.parts.corruptions.kinds import KINDS


def test_a_row_for_each_kind_and_program(bench):
    done = bench("rates", "--files", 4, "--fewer", 3, "--repeats", 1, "--json")
    assert done.code == 0, done.err
    table = json.loads(done.out)
    rows = {row["what"]: row for row in table["rows"]}
    assert set(rows) == {*KINDS, "odekit degrade --kind paper", "odekit eval"}
    assert all(row["ms"] > 0 for name, row in rows.items() if name in KINDS)
    assert rows["odekit degrade --kind paper"]["rss"] > 20
    assert [goal["goal"] for goal in table["goals"]] == [">= 300 pictures/s", "<= 20 s", "<= 50 MB", "<= 50 MB"]
