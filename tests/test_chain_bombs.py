"""Chains that are made to exhaust time or memory, or that are easily written wrongly: one line with a position."""

import time

import pytest

from odekit import Chain
from odekit.chains.document import MAX_CHARACTERS, MAX_DEPTH, parse_yaml
from odekit.errors import ConfigError

HEAD = "odekit: 1\nchain:\n"
SECONDS = 10.0
"""Limit of one refusal, on a busy machine."""


def refusal(text):
    started = time.perf_counter()
    with pytest.raises(ConfigError) as caught:
        Chain.from_document(parse_yaml(text, "c.yaml")).plan()
    assert time.perf_counter() - started < SECONDS
    said = str(caught.value)
    assert said.startswith(("c.yaml", "chain[0]")) and "\n" not in said and len(said) < 400
    return said


@pytest.mark.parametrize("digits", ["9" * 5000, "9" * 4000, "-" + "9" * 30, "0x" + "f" * 17, "0b" + "1" * 70])
def test_whole_numbers_of_more_than_64_bits_are_refused(digits):
    assert refusal(f"odekit: 1\nseed: {digits}\nchain: [restore]\n").startswith("c.yaml:2:7: a whole number of")


@pytest.mark.parametrize("number", [2**63 - 1, 0])
def test_whole_numbers_of_64_bits_are_read(number):
    assert parse_yaml(f"seed: {number}", "c.yaml").data == {"seed": number}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "  - restore\n" * 2000, "at most 100 stages, not 2,000"),
        (HEAD + "  - restore: {enhancer: {levels: [" + "0, " * 15_000 + "]}}\n", "at most 1,000 values, not 15,000"),
        (HEAD + "  - faces: {select: {skip: [" + "1, " * 1001 + "]}}\n", "at most 1,000 values, not 1,001"),
        (HEAD + "  - faces: {select: {boxes: [[" + "1, " * 1001 + "]]}}\n", "at most 1,000 values, not 1,001"),
        (HEAD + "  - restore\n" * 20_000, f"at most {MAX_CHARACTERS:,} characters"),
        (HEAD + "  - faces: {each: [" + "denoise, " * 200 + "]}\n", "at most 100 stages, not 200"),
        (HEAD + "  - restore: {enhancer: {iterations: 99999999999}}\n", "less than or equal to 100000"),
        (HEAD + "  - restore: {enhancer: {rounds: 99999999999}}\n", "less than or equal to 100000"),
        (HEAD + "  - restore: {inverter: {steps: 1000000000}}\n", "between 2 and 1000 levels"),
        ("[" * (MAX_CHARACTERS - 1), f"nested more than {MAX_DEPTH} deep"),
        ("{a: " * 10_000, f"nested more than {MAX_DEPTH} deep"),
        ("- " * 20_000, f"nested more than {MAX_DEPTH} deep"),
        ("\n".join(" " * i + "a:" for i in range(300)), f"nested more than {MAX_DEPTH} deep"),
        ("k" * MAX_CHARACTERS, "a chain is a mapping"),
        ("a: &b [1]\nc: [*b, *b]", "anchors and aliases"),
    ],
    ids=range(15),
)
def test_a_bomb_is_refused_within_seconds(text, said):
    assert said in refusal(text)


@pytest.mark.parametrize(
    "stage",
    [
        "restore: {mask: 'https://example.org/mask.png'}",
        "mend: {mask: 'http://example.org/mask.png'}",
        "faces: {each: [restore], select: {boxes: 'https://example.org/boxes.json'}}",
        "restore: {enhancer: {iterations: auto, meter: 'ftp://example.org/meter.json'}}",
    ],
)
def test_a_url_in_place_of_a_file_is_refused(stage):
    assert "is a URL; download the file" in refusal(HEAD + f"  - {stage}\n")


def test_a_prior_at_a_url_is_refused():
    assert "is a URL" in refusal("odekit: 1\npriors: {face: 'https://example.org/prior'}\nchain: [restore]\n")


@pytest.mark.parametrize("path", [r"C:\users\ada\mask.png", r"D:\masks\face.png", r"C:\temp\new.png", r"c:\nine.png"])
def test_a_path_of_windows_in_double_quotes_gets_a_hint(path):
    said = refusal(HEAD + f'  - restore: {{mask: "{path}"}}\n')
    assert said.startswith("c.yaml:3:") and "write a path of Windows in single quotes" in said
    kept = parse_yaml(f"mask: '{path}'", "c.yaml").data
    assert kept == {"mask": path} and parse_yaml(f"mask: {path}", "c.yaml").data == kept


def test_other_escapes_in_double_quotes_are_read():
    assert parse_yaml(r'a: "two\tcolumns: \u00e9"', "c.yaml").data == {"a": "two\tcolumns: \u00e9"}
