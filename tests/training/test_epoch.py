import pytest
import torch

from ood_bench.training.augment import AUGMENTATIONS
from ood_bench.training.epoch import epoch_steps

CPU = torch.device("cpu")


def seeded(seed=4):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("names", "outliers"), [(["crop4", "flip", "reflect_crop4"], (7, 3)), (["flip"], (0, 0)), ([], (7, 2))]
)
def test_the_same_numbers_in_the_same_order_as_step_by_step(names, outliers):
    """A loop that draws when it needs something, as the first version of the trainer did."""
    generator, images = seeded(), torch.arange(11 * 75, dtype=torch.int64).remainder(251).byte().view(11, 3, 5, 5)
    others = images.flip(0)[: outliers[0]]
    expected = []
    for rows in torch.randperm(11, generator=generator).split(4):
        batch = images[rows]
        if outliers[0]:
            batch = torch.cat([batch, others[torch.randint(outliers[0], (outliers[1],), generator=generator)]])
        for name in names:
            batch = AUGMENTATIONS[name](batch, generator)
        expected.append(batch)
    planned, augment = seeded(), [AUGMENTATIONS[name] for name in names]
    steps = epoch_steps(11, 4, augment, planned, device=CPU, outliers=outliers)
    assert [len(step.rows) for step in steps] == [4, 4, 3]
    for step, batch in zip(steps, expected, strict=True):
        found = torch.cat([images[step.rows], others[step.outliers]])
        for one, drawn in zip(augment, step.draws, strict=True):
            found = one.apply(found, drawn)
        assert torch.equal(found, batch)
    assert torch.equal(planned.get_state(), generator.get_state())


def test_one_copy_for_each_kind_of_draw(monkeypatch):
    """Whatever the number of steps: order, outliers, and one for each augmentation."""
    copies = []
    to = torch.Tensor.to
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *rest: copies.append(rest) or to(tensor, *rest))
    augment = [AUGMENTATIONS[name] for name in ("crop4", "flip")]
    for size in (1, 50):
        copies.clear()
        assert len(epoch_steps(100, size, augment, seeded(), device=CPU, outliers=(9, 2))) == 100 // size
        assert copies == [(CPU,)] * 4
