import pytest

from ood_bench.report import site
from ood_bench.results import RecordStore
from ood_bench.results.details import Details, DetailStore, Histogram, Line


@pytest.fixture
def filled(make, fill, results):
    record = make()
    fill(record)
    line = Line(x=[0.0, 1.0], y=[0.0, 1.0])
    bins = Histogram(low=0.0, high=1.0, id=[1], ood=[1])
    DetailStore(results).write(Details(cell_key=record.cell_key, histogram=bins, roc=line, pr_in=line, pr_out=line))
    return results


def names(paths, results):
    return {path.relative_to(results).as_posix() for path in paths}


def test_write_then_check_then_change(filled, conf, make, fill):
    assert any(
        line.endswith("index.html: is missing, though there are records for it") for line in site.check(filled, conf)
    )
    written = names(site.write(filled, conf), filled)
    assert {"index.html", "latex/fssd_fashionmnist.tex", "plots/fssd_fashionmnist-roc-mnist.svg"} <= written
    assert site.check(filled, conf) == []
    assert site.write(filled, conf) == []
    fill(make("fssd"))
    assert f"{filled / 'index.html'}: differs from what the records give" in site.check(filled, conf)
    assert "index.html" in names(site.write(filled, conf), filled)


def test_equal_records_in_another_folder_give_equal_bytes(filled, conf, tmp_path):
    elsewhere = RecordStore(tmp_path / "elsewhere")
    for record in RecordStore(filled).load():
        elsewhere.write(record)
    for path in (filled / "details").iterdir():
        (elsewhere.root / "details").mkdir(exist_ok=True)
        (elsewhere.root / "details" / path.name).write_bytes(path.read_bytes())
    assert site.render(elsewhere.root, conf) == site.render(filled, conf)


def test_files_without_records_go_away_and_those_of_others_stay(filled, conf):
    site.write(filled, conf)
    others = filled / "plots" / "fssd_fashionmnist-norm_ratio.png"
    others.write_bytes(b"another program's")
    for path in (filled / "records").rglob("*.json"):
        path.unlink()
    gone = f"{filled / 'latex' / 'fssd_fashionmnist.tex'}: there are no records for it"
    assert gone in site.check(filled, conf)
    assert names(site.write(filled, conf), filled) == {
        "index.html",
        "latex/fssd_fashionmnist.tex",
        *(
            f"plots/fssd_fashionmnist-{kind}.{suffix}"
            for kind in ("comparison", "roc-mnist", "epsilon-mnist")
            for suffix in ("svg", "png")
        ),
    }
    assert others.exists()
    assert site.check(filled, conf) == []


def test_damaged_details_are_a_difference_and_not_fatal(filled, conf):
    site.write(filled, conf)
    (path,) = (filled / "details").iterdir()
    path.write_text("{")
    lines = site.check(filled, conf)
    assert lines[0].startswith(f"{path}: not valid details")
    assert any("index.html: differs" in line for line in lines)
