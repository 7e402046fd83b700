"""Writes selective.json: what torch-uncertainty and the authors of AUGRC give for small inputs that a seed makes.

Run in an environment of its own, since torch-uncertainty needs lightning, beside fd-shifts' two files:

    python -m venv oracles
    oracles/bin/pip install torch-uncertainty==0.13.0 torch lightning einops seaborn scipy scikit-learn
    # rc_stats.py and rc_stats_utils.py of github.com/IML-DKFZ/fd-shifts, fd_shifts/analysis, at the commit below
    # into a package folder oracles/fd
    PYTHONPATH=oracles oracles/bin/python tests/golden/selective_oracles.py
"""

import json
from pathlib import Path

import numpy as np

SEEDS = range(8)
MADE = {
    "by": "tests/golden/selective_oracles.py",
    "torch-uncertainty": "0.13.0, Apache-2.0; float64 scores; a trapezoid from coverage 1/N to 1 over 1 - 1/N, "
    "acceptance of OOD and of a wrong prediction cost 0.5 each",
    "fd-shifts": "c4467aec134e99691359da209f811d91283fc1e3, Apache-2.0, the code of arXiv 2407.01032; times 1000",
}


def inputs(seed):
    """ID and OOD scores in (0.5, 1) and correctness; every second seed with many ties, 6 all correct, 7 all wrong."""
    random = np.random.RandomState(seed)
    n_id, n_ood = 30 + 7 * seed, 45 - 4 * seed
    scores = random.permutation(np.arange(1, n_id + n_ood + 1)) if seed % 2 == 0 else random.randint(1, 9, n_id + n_ood)
    scores = 0.5 + scores / 256  # exact in float32, too
    correct = random.uniform(size=n_id) < 0.4 + scores[:n_id] / 2
    if seed >= 6:
        correct[:] = seed == 6
    return scores[:n_id], scores[n_id:], correct


def torch_uncertainty(ids, oods, correct):
    """AURC and AUGRC of the ID rows, and both of SCOD."""
    import torch  # noqa: PLC0415 - tests need the inputs only
    from torch_uncertainty.metrics.classification import AUGRC, AURC, SCODAUGRC, SCODAURC  # noqa: PLC0415

    found = {}
    probabilities = torch.tensor(np.stack([ids, 1 - ids], axis=1))
    for name, metric in (("aurc", AURC()), ("augrc", AUGRC())):
        metric.update(probabilities, torch.tensor(np.where(correct, 0, 1)))
        found[name] = metric.compute().item()
    wrong = np.append(~correct, np.zeros(len(oods), dtype=bool))
    outside = np.repeat([False, True], [len(ids), len(oods)])
    for name, metric in (("scod_aurc", SCODAURC()), ("scod_augrc", SCODAUGRC())):
        metric.update(*map(torch.tensor, (-np.append(ids, oods), wrong, outside)))
        found[name] = metric.compute().item()
    return found


def fd_shifts(ids, oods, correct):
    """AUGRC of the ID rows, and of all rows where OOD rows are failures."""
    np.trapz = np.trapezoid  # noqa: NPY201 - the code is older than NumPy 2
    from fd.rc_stats import RiskCoverageStats  # noqa: PLC0415

    failures = np.append(~correct, np.ones(len(oods), dtype=bool)).astype(int)
    both = {"augrc": (ids, failures[: len(ids)]), "scod_augrc": (np.append(ids, oods), failures)}
    return {name: float(RiskCoverageStats(*one).augrc) for name, one in both.items()}


def main():
    cases = []
    for seed in SEEDS:
        rows = inputs(seed)
        # torch-uncertainty breaks ties by the order of rows, which is no definition to hold anything to.
        theirs = {"torch-uncertainty": torch_uncertainty(*rows)} if seed % 2 == 0 else {}
        cases.append({"seed": seed, **theirs, "fd-shifts": fd_shifts(*rows)})
    content = json.dumps({"made": MADE, "cases": cases}, indent=1) + "\n"
    Path(__file__).with_name("selective.json").write_text(content)


if __name__ == "__main__":
    main()
