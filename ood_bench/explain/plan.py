"""Which choices of two evaluations become rungs: apart where every mixture was kept, together where only some were."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ood_bench.explain.mixed import DATA, Mixed, Sides
from ood_bench.scoring.kept import NotKeptError

Groups = tuple[tuple[str, ...], ...]


class Plan(NamedTuple):
    """How the choices that scores depend on are climbed.

    Attributes:
        groups: the rungs, each of one or several of :data:`~ood_bench.explain.mixed.DATA`.
        fixed: the choices that no rung changes: whether they are those of the ladder's end.
        lacking: what is missing for those of them in which the ends differ.
    """

    groups: Groups
    fixed: Mapping[str, bool]
    lacking: Mapping[str, NotKeptError]

    def sides(self, flipped: Sequence[tuple[str, ...]]) -> Sides:
        """Which choices are the end's once some groups are."""
        after = {name for group in flipped for name in group}
        return Sides(*(self.fixed.get(name, name in after) for name in DATA))


def planned(mixed: Mixed) -> Plan:
    """The plan with most rungs that the kept scores allow; of two with as many, the one nearer to the end.

    Raises:
        NotKeptError: if there are scores for neither end.
    """
    differing = mixed.differing()
    same = dict.fromkeys(set(DATA) - set(differing), False)
    for size in range(len(differing), -1, -1):
        for some in itertools.combinations(differing, size):
            others = [name for name in differing if name not in some]
            for sides in itertools.product((True, False), repeat=len(others)):
                held = dict(zip(others, sides, strict=True))
                for groups in _groupings(some):
                    plan = Plan(groups, same | held, {})
                    if _whole(mixed, plan):
                        return plan._replace(lacking=_lacking(mixed, plan, held))
    raise mixed.why_not(Sides(True, True, True, True)) or NotKeptError("scores were not kept")


def _groupings(names: Sequence[str]) -> Iterator[Groups]:
    """Every way to put names into groups, in order; the finest first."""
    if not names:
        yield ()
        return
    found = {((names[0],), *rest) for rest in _groupings(names[1:])}
    for rest in _groupings(names[1:]):
        found |= {(*rest[:place], (names[0], *group), *rest[place + 1 :]) for place, group in enumerate(rest)}
    ordered = {tuple(sorted(groups, key=lambda group: DATA.index(group[0]))) for groups in found}
    yield from sorted(ordered, key=lambda groups: (-len(groups), groups))


def _whole(mixed: Mixed, plan: Plan) -> bool:
    """Whether every mixture of the plan's groups was kept."""
    sizes = range(len(plan.groups) + 1)
    mixtures = (some for size in sizes for some in itertools.combinations(plan.groups, size))
    return all(mixed.why_not(plan.sides(some)) is None for some in mixtures)


def _lacking(mixed: Mixed, plan: Plan, held: Mapping[str, bool]) -> dict[str, NotKeptError]:
    """For each choice that is held, what is missing if it alone, or all of them, were taken from the other end."""
    found = {}
    for name, side in held.items():
        alone = plan._replace(fixed={**plan.fixed, name: not side})
        all_of_them = plan._replace(fixed={**plan.fixed, **{one: not other for one, other in held.items()}})
        errors = (mixed.why_not(some.sides(plan.groups)) for some in (alone, all_of_them))
        found[name] = next((error for error in errors if error is not None), NotKeptError("mixtures were not kept"))
    return found
