import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ood_bench.errors import ConfigError
from ood_bench.scoring.engine import View
from ood_bench.tuning.adversarial import fgsm_images

ROWS = np.array([5, 0, 7])


def test_every_pixel_moves_by_the_step_against_the_true_class(toys):
    images, classifier = toys.image_set("id", 12), toys.classifier()
    found = fgsm_images(toys.scorer_with(classifier, batch_size=2), View(images, ROWS), 0.05)
    x = toys.inputs(images, ROWS).requires_grad_()
    F.cross_entropy(toys.double(classifier)(x), torch.from_numpy(images.labels[ROWS])).backward()
    direction = np.where(x.grad.numpy() >= 0, 1.0, -1.0)
    expected = np.rint(np.clip(images.images[ROWS] + 255 * 0.05 * direction, 0, 255))
    assert (found.images == expected).mean() > 0.98  # signs of what is nearly 0 are float32's
    np.testing.assert_array_equal(found.labels, images.labels[ROWS])
    assert found.title == "toy_id_fgsm (FGSM, 0.05)"


def test_the_loss_rises(toys):
    images, classifier = toys.image_set("id", 40), toys.classifier()
    found = fgsm_images(toys.scorer_with(classifier), View(images), 0.1)
    losses = []
    for one in (images, found):
        logits = toys.double(classifier)(toys.inputs(one))
        losses.append(float(F.cross_entropy(logits, torch.from_numpy(images.labels))))
    assert losses[1] > losses[0]


def test_they_are_made_once(toys, tmp_path, monkeypatch):
    images, classifier = toys.image_set("id", 6), toys.classifier()
    first = fgsm_images(toys.scorer_with(classifier, root=tmp_path), View(images), 0.05)
    monkeypatch.setattr("ood_bench.tuning.adversarial.input_gradients", None)
    again = fgsm_images(toys.scorer_with(classifier, root=tmp_path), View(images), 0.05)
    assert again.fingerprint == first.fingerprint
    with pytest.raises(TypeError):
        fgsm_images(toys.scorer_with(classifier, root=tmp_path), View(images), 0.06)


def test_images_without_labels_are_refused(toys):
    with pytest.raises(ConfigError, match="toy_static has no labels"):
        fgsm_images(toys.scorer_with(toys.classifier()), View(toys.image_set("static", 4)), 0.05)
