from pathlib import Path

import pytest

from ood_bench.data.catalogue import entries, load_node, select
from ood_bench.errors import ConfigError
from ood_bench.utils.configs import conf_dir


def test_every_config_is_listed():
    found = entries()
    keys = {path.stem for group in ("id", "ood") for path in (conf_dir() / group).glob("*.yaml")}
    assert {entry.key for entry in found} == keys
    assert {entry.label for entry in found} >= {"id=digits train", "id=digits test", "ood=lsun_crop"}
    assert all(entry.licence for entry in found)


def test_selection():
    found = entries()
    assert select(found, []) == found
    assert [entry.label for entry in select(found, ["mnist"])] == ["id=mnist train", "id=mnist test", "ood=mnist"]
    with pytest.raises(ConfigError, match=r"'mnits' \(did you mean mnist\?\)"):
        select(found, ["mnits"])


@pytest.mark.parametrize("content", ["[1, 2", "- a", "name: ${nowhere}"])
def test_a_broken_config_is_named(tmp_path, content):
    path = Path(tmp_path / "x.yaml")
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"x\.yaml"):
        load_node(path)
