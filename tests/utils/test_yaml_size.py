import pytest
from omegaconf import OmegaConf

from ood_bench.errors import ConfigError
from ood_bench.utils.yaml_size import MOST, bound_yaml

LEVELS = "".join(f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12))


@pytest.mark.parametrize("text", [f"a0: &a0 [1]\n{LEVELS}", "a: &a [*a]\n", "a: &a {b: *a}\n"])
def test_an_alias_bomb_is_refused_by_name(tmp_path, text):
    """The first stands for 9 ** 11 values, the others for values without end."""
    bound_yaml()
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"own\.yaml: its aliases \(\*name\) stand for more than {MOST:,} values"):
        OmegaConf.load(tmp_path / "own.yaml")


def test_aliases_are_read(tmp_path):
    bound_yaml()
    (tmp_path / "own.yaml").write_text("a: &a {b: [1, 2]}\nc: {<<: *a, d: *a}\n")
    assert OmegaConf.load(tmp_path / "own.yaml").c == {"b": [1, 2], "d": {"b": [1, 2]}}


def test_what_is_no_yaml_is_named_with_its_line(tmp_path):
    bound_yaml()
    (tmp_path / "own.yaml").write_text("name: own\npath: a: b\n")
    with pytest.raises(ConfigError, match=r"own\.yaml, line 2: no YAML: mapping values .* with VALUE in quotes"):
        OmegaConf.load(tmp_path / "own.yaml")
