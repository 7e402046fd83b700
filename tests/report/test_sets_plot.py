import pytest
from matplotlib.axes import Axes

from ood_bench.report.tables import write

AUROC = {"msp": (80.0, 91.0), "odin": (85.0, 80.0), "fssd": (97.0, None)}


@pytest.fixture
def records(make):
    return [
        make(method, seed, value + seed, ood=ood, model="vgg", cell_key=f"{place:08x}{column:04x}{seed:04x}")
        for place, (method, values) in enumerate(AUROC.items())
        for column, (ood, value) in enumerate(zip(("kmnist", "uni_form"), values, strict=True))
        if value is not None
        for seed in range(2)
    ]


def test_a_results_folder_gets_and_loses_the_files(records, fill, results, conf):
    fill(*records)
    write(results)
    name = "own-fashionmnist-vgg-fssd"
    paths = [results / f"plots/{name}-means.svg", results / f"plots/{name}-means.png"]
    assert all(path.is_file() for path in paths)
    for path in (results / "records").rglob("*.json"):
        path.unlink()
    write(results)
    assert not any(path.exists() for path in paths)


def test_a_method_that_lacks_a_set_has_no_dot(records, fill, results, conf, monkeypatch):
    drawn, plot = [], Axes.plot

    def noted(panel, values, places, marker, **style):
        drawn.extend((marker, place, round(value, 6)) for value, place in zip(values, places, strict=True))
        return plot(panel, values, places, marker, **style)

    monkeypatch.setattr(Axes, "plot", noted)
    fill(*records)
    write(results)
    assert {line[2] for line in drawn if line[0] == "o"} == {86.0, 83.0}  # fssd was scored on one of both sets
    assert 97.5 in {line[2] for line in drawn}
