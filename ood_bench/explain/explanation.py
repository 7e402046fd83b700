"""What a ladder tells of a cell, as data."""

from dataclasses import dataclass

from ood_bench.explain.ladder import Ladder


@dataclass(frozen=True)
class Missing:
    """A choice in which the ends differ and whose effect cannot be computed.

    Attributes:
        name: of the choice.
        why: what was not kept.
        images: images of the pass that would make it, 0 where none would.
        seconds: what that pass would take, none if the network's rate is not known.
    """

    name: str
    why: str
    images: int = 0
    seconds: float | None = None


@dataclass(frozen=True)
class Recorded:
    """A number that a record holds, beside the ladder's for the same evaluation.

    Attributes:
        title: of the evaluation.
        value: the record's number, in the ladder's metric.
        agrees: whether the ladder's is the same; none where the ladder lacks a choice of that evaluation.
    """

    title: str
    value: float
    agrees: bool | None


@dataclass(frozen=True)
class Unexplained:
    """What remains to a published number.

    Attributes:
        printed: the published number as printed, in the ladder's metric.
        difference: published less the ladder's end.
        std: sample standard deviation over networks, none for one.
        networks: number of distinct networks.
        chance: half of the 95 % prediction interval of the published number, none for one network.
    """

    printed: str
    difference: float
    std: float | None
    networks: int
    chance: float | None


@dataclass(frozen=True)
class Explanation:
    """The ladder of a cell.

    Attributes:
        cell_key: key of the cell's record; of two records the second.
        title: the cell.
        metric: the metric, as the start's convention names it.
        metric_there: as the end's convention names it.
        start: the evaluation that the ladder starts from.
        end: the one that it leads to.
        ladder: the numbers, in percent.
        missing: choices without a rung.
        recorded: numbers that records hold.
        unexplained: what remains to the published number, if there is one.
    """

    cell_key: str
    title: str
    metric: str
    metric_there: str
    start: str
    end: str
    ladder: Ladder
    missing: tuple[Missing, ...]
    recorded: tuple[Recorded, ...]
    unexplained: Unexplained | None
