import pytest

from ood_bench.errors import ConfigError
from ood_bench.protocols.base import build_protocol

PLAIN, FSSD = "ood_bench.protocols.plain.Plain", "ood_bench.protocols.fssd.FssdProtocol"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"_target_": "ood_bench.protocols.plain.Fancy"}, r"protocol: cannot find the class ood_bench\.protocols"),
        ({"_target_": "builtins.dict", "name": "x"}, r"protocol x: builtins\.dict is not a subclass of"),
        ({"_target_": PLAIN}, "protocol: name: "),
        ({"_target_": PLAIN, "name": "x", "sed": 1}, "protocol x: sed: "),
        ({"_target_": FSSD, "name": "x", "methods": {"odin": 3}}, r"protocol x: methods\.odin: "),
    ],
)
def test_configs_that_are_refused(config, message):
    with pytest.raises(ConfigError, match=message):
        build_protocol(config, "published")


def test_options_reach_the_protocol():
    found = build_protocol({"_target_": FSSD, "name": "x", "fit_rows": 7, "unshuffled": ["msp"]}, "none")
    assert (type(found).__name__, found.name, found.tune) == ("FssdProtocol", "x", "none")
    assert (found.fit_rows, found.select_rows, found.unshuffled) == (7, 500, ["msp"])
