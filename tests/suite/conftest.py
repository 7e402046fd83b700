"""A rehearsal of the suite that was stopped and continued: run once, looked at by several tests."""

import pytest

from ood_bench.suite.plan import Plan


@pytest.fixture(scope="package")
def toy(tmp_path_factory):
    """Makes rehearsals in folders of their own."""

    def make(networks=("wrn_28_10",), seeds=(0,), **options):
        folder = tmp_path_factory.mktemp("suite")
        return Plan(
            networks, seeds, data=folder, store=folder / "store", results=folder / "results", toy=True, **options
        )

    return make
