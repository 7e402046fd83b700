"""Records by network: the blocks of every test that asks whether a difference survives another training."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from ood_bench.results import Record

SHORT = 8
"""Digits of a hash that tell networks apart in tables."""


class Network(NamedTuple):
    """One network that many methods scored.

    Attributes:
        model: name of the architecture.
        weights: hash of the weights that most of its methods scored; a method may train a network of its own.
        seed: of the run that trained it, none for a published one.
    """

    model: str
    weights: str
    seed: int | None

    @property
    def short(self) -> str:
        """The first digits of the hash."""
        return self.weights[:SHORT]


def by_network(records: Iterable[Record]) -> dict[Network, list[Record]]:
    """Records of each network, sorted; one checkpoint that was scored under several seeds is one network."""
    runs: dict[tuple[str, str, bool, int], list[Record]] = {}
    for record in records:
        trained = record.data.id_train
        published = all(network.recipe == "imported" for network in record.checkpoint.networks)
        origin = record.checkpoint.identity if published else trained.title if trained else ""
        runs.setdefault((record.model, origin, published, 0 if published else record.seed), []).append(record)
    found: dict[tuple[str, str], tuple[int | None, list[Record]]] = {}
    for (model, _, published, seed), mine in sorted(runs.items(), key=lambda run: run[0]):
        weights = _most(record.checkpoint.identity for record in mine)
        found.setdefault((model, weights), (None if published else seed, []))[1].extend(mine)
    return {Network(*names, seed): mine for names, (seed, mine) in found.items()}


def _most(names: Iterable[str]) -> str:
    """The most frequent name, the first of them in the alphabet."""
    counts = Counter(names)
    return min(counts, key=lambda name: (-counts[name], name))


def titles(networks: Iterable[Network]) -> dict[Network, str]:
    """A title for each network: its model; with the seed, or else the weights, where a model has several networks."""
    every = list(networks)
    models = Counter(network.model for network in every)
    seeds = Counter((network.model, network.seed) for network in every)

    def title(one: Network) -> str:
        if models[one.model] == 1:
            return one.model
        by_seed = one.seed is not None and seeds[one.model, one.seed] == 1
        return f"{one.model}, {f'seed {one.seed}' if by_seed else one.short}"

    return {one: title(one) for one in every}
