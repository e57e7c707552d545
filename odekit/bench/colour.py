"""`odekit bench colour`: the option `colour` calibrated on train faces, and judged on test faces."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from odekit.balance import Balance, best_fog, best_numbers, low, statistics
from odekit.bench.faces import Pictures
from odekit.bench.table import Goal, Row, Table
from odekit.chain import Chain, Result
from odekit.degrade.kinds import KINDS
from odekit.degrade.recipe import damage
from odekit.image import Image
from odekit.session import Session

Array = NDArray[np.float64]
COLOUR_KINDS = ("brightness", "contrast", "fog", "saturate")
CEILING, SEVERITY = 40.0, 4
GAIN, LOSS = 3.0, 0.2
"""dB that colour damage must gain, and that nothing else may lose."""
COLUMNS = {"kind": "kind", "damaged": "damaged, dB", "undone": "undone, dB", "gain": "gain, dB", "touched": "touched"}


def examples(faces: Pictures, seed: int) -> Iterator[tuple[Image, Image, str, int]]:
    """(clean, damaged, kind, severity): colour damage of every severity often, other kinds in turn, and none."""
    others = [kind for kind in KINDS if kind not in COLOUR_KINDS]
    for i, face in enumerate(faces):
        clean = Image.from_uint8(face)
        yield clean, clean, "clean", 0
        for number, kind in enumerate(COLOUR_KINDS):
            for severity in {1 + (i + number) % 5, SEVERITY}:
                yield clean, damage(clean, kind, seed, severity), kind, severity
        for number in range(2):
            kind, severity = others[(2 * i + number) % len(others)], 1 + (i // len(others) + number) % 5
            yield clean, damage(clean, kind, seed, severity), kind, severity


def calibrate(faces: Pictures, seed: int = 0, ridge: float = 10.0, spared: float = 0.999) -> Balance:
    """The numbers by ridge regression on colour damage, the gates by logistic regression.

    Faint colour damage (severities 1 and 2) counts for neither side of the first gate. Its threshold spares the share
    `spared` of the pictures whose colours are whole.
    """
    stats, numbers, lows, fogs, label, fog = [], [], [], [], [], []
    for clean, hurt, kind, severity in examples(faces, seed):
        stats.append(statistics(hurt.pixels))
        numbers.append(best_numbers(hurt.pixels, clean.pixels))
        lows.append(low(hurt.pixels))
        fogs.append(best_fog(hurt.pixels, clean.pixels))
        label.append(0 if kind not in COLOUR_KINDS else 1 if severity > 2 else -1)
        fog.append(kind == "fog")
    raw, coefficients, side, foggy = np.array(stats), np.array(lows), np.array(label), np.array(fog)
    made = Balance(
        raw.mean(0), np.maximum(raw.std(0), 1e-6), np.zeros(0), np.zeros(0), np.zeros(1), np.zeros(0),
        coefficients[foggy].mean(0), np.maximum(coefficients[foggy].std(0), 1e-6), np.zeros(0),
    )  # fmt: skip
    terms, hurt_ones, clear = made.terms(raw), side != 0, (side != 0) & ~foggy
    gate = logistic(terms[side >= 0], side[side >= 0].astype(np.float64), ridge)
    return replace(
        made,
        numbers=solve(terms[clear], np.array(numbers)[clear], ridge).T,
        gate=gate,
        threshold=np.array([max(0.0, float(np.quantile(terms[side == 0] @ gate, spared)))]),
        fog_gate=logistic(terms[hurt_ones], foggy[hurt_ones].astype(np.float64), ridge),
        fog=solve(made.with_low(terms, coefficients)[foggy], np.array(fogs)[foggy], ridge).T,
    )


def solve(terms: Array, wanted: Array, ridge: float) -> Array:
    """Weights (p, k) of a ridge regression."""
    found = np.linalg.solve(terms.T @ terms + ridge * np.eye(terms.shape[1]), terms.T @ wanted)
    return np.asarray(found, np.float64)


def logistic(terms: Array, label: Array, ridge: float, rounds: int = 30) -> Array:
    """Weights of a penalised logistic regression, by iteratively reweighted least squares; sides count the same."""
    share = np.where(label > 0, 0.5 / label.mean(), 0.5 / (1 - label.mean()))
    weights = np.zeros(terms.shape[1])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-np.clip(terms @ weights, -30, 30)))
        slope = terms.T @ (share * (label - p)) - ridge * weights
        bend = (terms * (share * np.maximum(p * (1 - p), 1e-6))[:, None]).T @ terms + ridge * np.eye(len(weights))
        weights = weights + np.linalg.solve(bend, slope)
    return weights


def judge(faces: Pictures, balance: Balance, kinds: Sequence[str], seed: int = 0) -> Table:
    """Every face with every kind at severity 4, and undamaged: PSNR before and after (at most 40 dB)."""
    rows: list[Row] = []
    for kind in ("clean", *kinds):
        before, after, touched = [], [], 0
        for face in faces:
            clean = Image.from_uint8(face)
            hurt = clean if kind == "clean" else damage(clean, kind, seed, SEVERITY)
            mended, told = balance.undo(hurt)
            touched += told["damaged"]
            before.append(psnr(hurt, clean))
            after.append(psnr(mended, clean))
        was, now = float(np.mean(before)), float(np.mean(after))
        rows.append({"kind": kind, "damaged": was, "undone": now, "gain": now - was, "touched": touched / len(faces)})
    how = f"{len(faces)} faces, severity {SEVERITY}, colours undone and nothing else; PSNR up to {CEILING:g} dB"
    return Table("colour", how, COLUMNS, rows, goals_of(rows), ("kind", ("damaged", "undone")))


def through(chain: str, faces: Pictures, kinds: Sequence[str], seed: int = 0) -> Table:
    """Every face with every kind at severity 4, and undamaged, through a chain without the option and with it."""
    kept, undone = (Chain.load(chain, [f"restore.colour={said}"]).open(seed=seed) for said in ("keep", "undo"))
    clean = [Image.from_uint8(face) for face in faces]
    rows: list[Row] = []
    for kind in ("clean", *kinds):
        hurt = [one if kind == "clean" else damage(one, kind, seed, SEVERITY) for one in clean]
        before, after = (restored(session, hurt) for session in (kept, undone))
        touched = [bool(noted(result).get("damaged")) for result in after]
        was, now = (
            float(np.mean([psnr(result.image, one) for result, one in zip(some, clean, strict=True)]))
            for some in (before, after)
        )
        rows.append(
            {"kind": kind, "damaged": was, "undone": now, "gain": now - was, "touched": float(np.mean(touched))}
        )
    how = f"{len(faces)} faces, severity {SEVERITY}, through {chain} without the option and with it"
    columns = COLUMNS | {"damaged": "colours kept, dB", "undone": "colours undone, dB"}
    how += f"; PSNR up to {CEILING:g} dB"
    return Table("colour", how, columns, rows, goals_of(rows), ("kind", ("damaged", "undone")))


def restored(session: Session, pictures: Sequence[Image]) -> list[Result]:
    """Pictures through an open chain."""
    size = session.window
    return [result for i in range(0, len(pictures), size) for result in session.run(pictures[i : i + size])]


def noted(result: Result) -> Mapping[str, object]:
    """What the record says of the colours."""
    found: Mapping[str, object] = result.record["stages"][0].get("colour", {})
    return found


def goals_of(rows: Sequence[Row]) -> list[Goal]:
    """Damaged colours gain, and nothing else loses."""
    return [
        Goal(f"{row['kind']}: gain", row["gain"], least=GAIN if row["kind"] in COLOUR_KINDS else -LOSS, unit="dB")
        for row in rows
    ]


def psnr(a: Image, b: Image) -> float:
    """dB, at most `CEILING`."""
    error = float(np.mean((a.pixels.astype(np.float64) - b.pixels) ** 2))
    return CEILING if error == 0 else min(CEILING, -10 * math.log10(error))
