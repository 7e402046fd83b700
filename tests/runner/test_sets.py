import pytest

import ood_bench
from ood_bench.errors import DataError


def test_missing_ood_sets_are_left_out_on_demand(quick, caplog):
    words = [*quick, "ood=[uniform,mnist,kmnist]"]
    with pytest.raises(DataError, match="some image sets are not under"):
        ood_bench.run(words)
    assert list(ood_bench.run([*words, "data.skip_missing=true"])["ood"]) == ["uniform"]
    assert "left out, not under data.root=outputs/quickstart: mnist, kmnist" in caplog.text


def test_where_all_are_missing_nothing_is_left_out(quick):
    with pytest.raises(DataError, match="some image sets are not under"):
        ood_bench.run([*quick[:1], "ood=[mnist,kmnist]", "data.skip_missing=true"])
