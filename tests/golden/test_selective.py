"""AURC, AUGRC and their versions for SCOD against torch-uncertainty and the code of AUGRC's authors."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from ood_bench.metrics import selective

CONTENT = json.loads(Path(__file__).with_name("selective.json").read_text())
CASES = {case["seed"]: case for case in CONTENT["cases"]}


@pytest.fixture(scope="module")
def inputs():
    """The inputs of a seed, as the script that wrote the values makes them."""
    spec = importlib.util.spec_from_file_location("selective_oracles", Path(__file__).with_name("selective_oracles.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.inputs


@pytest.mark.parametrize("seed", CASES)
def test_augrc_is_that_of_its_authors_with_ties_and_with_all_right_or_wrong(seed, inputs):
    found = selective.metrics(*inputs(seed))
    theirs = CASES[seed]["fd-shifts"]
    assert {name: 1000 * found[name] for name in theirs} == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("seed", [seed for seed, case in CASES.items() if "torch-uncertainty" in case])
def test_the_same_curves_have_torch_uncertaintys_areas_by_its_trapezoid(seed, inputs):
    """Its areas start at coverage 1/N, and SCOD failures cost one half: from ours by taking off both ends."""
    ids, oods, correct = inputs(seed)
    found = selective.metrics(ids, oods, correct)
    failures = {"": (ids, ~correct), "scod_": (np.append(ids, oods), np.append(~correct, oods > 0))}
    for prefix, (scores, fails) in failures.items():
        rows, cost = len(scores), 0.5 if prefix else 1.0
        first, all_rows = fails[scores.argmax()], fails.mean()
        aurc = (rows * found[f"{prefix}aurc"] - (first + all_rows) / 2) / (rows - 1)
        augrc = (found[f"{prefix}augrc"] - first / (2 * rows**2)) / (1 - 1 / rows)
        theirs = CASES[seed]["torch-uncertainty"]
        assert cost * aurc == pytest.approx(theirs[f"{prefix}aurc"], abs=1e-6)
        assert cost * augrc == pytest.approx(theirs[f"{prefix}augrc"], abs=1e-6)
