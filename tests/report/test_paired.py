import csv

import numpy as np
import pytest

from ood_bench.errors import ArtifactError
from ood_bench.metrics.paired import bootstrap_difference, delong, delong_of_means, holm, mean_auroc
from ood_bench.report import compare, means, paired
from ood_bench.results import RecordStore
from ood_bench.results.scores import Scores, ScoreStore

ROWS = np.arange(40)
PAIRS = (
    "id,model,protocol,ood,seed,first,second,n_id,n_ood,first_auroc,second_auroc,difference,low,high,p,"
    "bootstrap_low,bootstrap_high,first_cell,second_cell\n"
    "a,b,c,d,0,msp,odin,10,9,70.0,75.0,-5.0,-7.0,-3.0,0.01,-7.5,-2.5,key1,key2\n"
)


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "results", tmp_path / "store"


@pytest.fixture
def write(folders, make):
    """Writes a record with scores, which are none for a record alone."""

    def written(number, method, scores, **changes):
        key = f"{number:016x}"
        RecordStore(folders[0]).write(make(method, cell_key=key, **changes))
        if scores is not None:
            ScoreStore(folders[1] / "scores").write(key, scores)
        return key

    return written


def scores(seed, id_rows=ROWS, ood_rows=ROWS):
    """Scores that depend on the row alone, so that the order of rows must not matter."""
    values = np.random.default_rng(seed).normal(loc=[[1.0], [0.0]], size=(2, 40))
    return Scores(values[0][id_rows], values[1][ood_rows], id_rows, ood_rows)


def lines(results):
    (path,) = (results / paired.PAIRED).glob("*.csv")
    return list(csv.DictReader(path.read_text().splitlines()))


def run(folders, *more):
    return compare.main(["--results", str(folders[0]), "--store", str(folders[1]), "--resamples", "50", *more])


def test_methods_are_compared_on_the_rows_that_both_scored(folders, write):
    shuffled = np.random.default_rng(9).permutation(40)[:30]
    first, second = scores(1), scores(2, shuffled, shuffled[:25])
    keys = write(1, "msp", first), write(2, "odin", second)
    assert run(folders) == 0
    (line,) = lines(folders[0])
    common = np.sort(shuffled), np.sort(shuffled[:25])
    pair = [(one.id[common[0]], one.ood[common[1]]) for one in (scores(1), scores(2))]
    expected = delong(*pair)
    assert (line["first"], line["second"], line["n_id"], line["n_ood"]) == ("msp", "odin", "30", "25")
    assert (line["first_cell"], line["second_cell"]) == keys
    for name in ("difference", "low", "high"):
        assert float(line[name]) == pytest.approx(getattr(expected, name), abs=1e-4)
    assert float(line["p"]) == pytest.approx(expected.p, rel=1e-2)
    ends = [float(line[f"bootstrap_{end}"]) for end in ("low", "high")]
    assert ends == pytest.approx(bootstrap_difference(*pair, resamples=50), abs=1e-4)


def test_every_pair_of_one_seed_and_set_and_nothing_else(folders, write):
    for number, (method, seed) in enumerate([("a", 0), ("b", 0), ("c", 0), ("a", 1), ("b", 1), ("c", 2)]):
        write(number, method, scores(number), seed=seed)
    assert run(folders) == 0
    assert [(line["seed"], line["first"], line["second"]) for line in lines(folders[0])] == [
        ("0", "a", "b"),
        ("0", "a", "c"),
        ("0", "b", "c"),
        ("1", "a", "b"),
    ]


def test_methods_on_different_imported_weights_are_not_compared(folders, write, make):
    checkpoint = make().content()["checkpoint"]
    network = checkpoint["networks"][0] | {"recipe": "imported"}
    for place, weights in enumerate("ab"):
        imported = checkpoint | {"sha256": weights * 64, "networks": [network]}
        for number, method in enumerate(("msp", "odin")):
            write(2 * place + number, method, scores(number), checkpoint=imported)
    assert run(folders) == 0
    cells = [f"{number:016x}" for number in range(4)]
    assert [(line["first_cell"], line["second_cell"]) for line in lines(folders[0])] == [
        tuple(cells[:2]),
        tuple(cells[2:]),
    ]


def test_other_images_of_the_same_name_are_not_compared(folders, write, capsys):
    write(1, "a", scores(1))
    write(2, "b", scores(2), ood_variant="JPEG copy")
    assert run(folders) == 2
    assert "no two records whose scores are in" in capsys.readouterr().err


def test_what_cannot_be_compared_is_said(folders, write, caplog):
    write(1, "a", scores(1))
    write(2, "b", None)
    unknown = scores(3)
    write(3, "c", Scores(unknown.id, unknown.ood, None, unknown.ood_rows))
    write(4, "d", scores(4, ROWS[:1]))
    assert run(folders) == 2
    assert "no scores of b on" in caplog.text
    assert "a and d have no rows in common that are known" in caplog.text
    assert "a and c have no rows in common that are known" in caplog.text


def test_damaged_scores_are_one_message(folders, write, capsys):
    write(1, "a", scores(1))
    key = write(2, "b", scores(2))
    (folders[1] / "scores" / f"{key}.safetensors").write_bytes(b"")
    assert run(folders) == 2
    said = capsys.readouterr().err
    assert "error: " in said
    assert "no usable scores" in said


def test_a_paired_test_is_seen_from_both_sides(tmp_path):
    (tmp_path / "a.csv").write_text(PAIRS)
    found = paired.read(tmp_path)
    assert found["key1"] == [
        {"seed": 0, "p": 0.01, "n": [10, 9], "other": "odin", "d": -5.0, "ci": [-7.0, -3.0], "boot": [-7.5, -2.5]}
    ]
    assert found["key2"] == [
        {"seed": 0, "p": 0.01, "n": [10, 9], "other": "msp", "d": 5.0, "ci": [3.0, 7.0], "boot": [2.5, 7.5]}
    ]
    assert paired.read(tmp_path / "none") == {}


def test_another_kind_of_file_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(ArtifactError, match=r"not a file of ood-bench compare"):
        paired.read(tmp_path)


def mean_lines(folders):
    assert run(folders, "--means") == 0
    (path,) = (folders[0] / paired.PAIRED / means.FOLDER).glob("*.csv")
    return list(csv.DictReader(path.read_text().splitlines()))


def test_means_over_sets_are_tested_against_the_best_on_the_rows_of_all(folders, write):
    few = np.arange(39, 4, -1)
    every = {
        "a": [scores(1), scores(2)],
        "b": [scores(3, few), scores(4, few)],
        "c": [Scores(s.id - 3, s.ood, ROWS, ROWS) for s in (scores(5), scores(6))],
        "lacks_one": [scores(7)],
    }
    for number, (method, found) in enumerate(every.items()):
        for ood, one in zip(("mnist", "kmnist"), found, strict=False):
            write(100 * number + len(ood), method, one, ood=ood)
    pairs = {
        m: [(one.id[np.searchsorted(-one.id_rows, -few)] if m == "b" else one.id[few], one.ood) for one in found]
        for m, found in every.items()
        if len(found) == 2
    }
    values = {method: mean_auroc(found) for method, found in pairs.items()}
    order = sorted(values, key=lambda method: -values[method][0])
    lines = mean_lines(folders)
    assert [line["method"] for line in lines] == order
    assert {line["best"] for line in lines} == {order[0]}
    assert {(line["sets"], line["n_id"]) for line in lines} == {("2", "35")}
    p = [delong_of_means(pairs[order[0]], pairs[method]).p for method in order[1:]]
    for line, expected, together in zip(lines[1:], p, holm(p), strict=True):
        assert [float(line[name]) for name in ("auroc", "low", "high")] == pytest.approx(
            values[line["method"]], abs=1e-4
        )
        assert (float(line["p"]), float(line["p_holm"])) == pytest.approx((expected, together), rel=1e-2)
    found = means.read(folders[0] / paired.PAIRED)
    assert [found[key].level for key in sorted(found)] == [
        method == order[0] or together >= 0.05 for method, together in sorted(zip(order, [1.0, *holm(p)], strict=True))
    ]


def test_a_file_of_means_that_is_something_else_is_named(folders, tmp_path):
    path = tmp_path / means.FOLDER / "net.csv"
    path.parent.mkdir()
    path.write_text("id,auroc\na,1\n")
    with pytest.raises(ArtifactError, match="compare --means"):
        means.read(tmp_path)
