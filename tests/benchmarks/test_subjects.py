import numpy as np
import torch

from benchmarks.subjects import embedded_subject, fashion_images, fresh_lenet, head, mixture, real_subject
from ood_bench.data.imageset import ImageSet


def test_head_takes_rows_with_their_labels():
    whole = ImageSet.of("toy", np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1), [0, 1, 2, 3, 4], variant="copy")
    part = head(whole, 2, 1)
    assert part.images.ravel().tolist() == [1, 2]
    assert part.labels.tolist() == [1, 2]
    assert part.title == "toy (copy)"
    assert len(head(whole, 9, 3)) == 2


def test_the_embedded_subject_needs_no_data(subject):
    assert [len(one) for one in (subject.train, subject.test, *subject.oods)] == [24, 6, 6, 6]
    assert {one.shape for one in (subject.train, subject.test, *subject.oods)} == {(3, 32, 32)}
    assert set(subject.train.labels.tolist()) == set(range(10))
    train = {image.tobytes() for image in subject.train.images}
    assert not train & {image.tobytes() for image in subject.test.images}
    assert sum(one.numel() for one in subject.classifier.network.parameters()) == 269_722
    assert "fresh weights" in subject.title


def test_fresh_weights_are_the_same_every_time(subject):
    again = embedded_subject(4).classifier.network.state_dict()
    for name, value in subject.classifier.network.state_dict().items():
        torch.testing.assert_close(again[name], value, rtol=0, atol=0)


def test_a_mixture_is_half_id_and_half_ood(subject):
    mixed = mixture(subject, 5)
    assert mixed.labels is None
    np.testing.assert_array_equal(mixed.images[:2], subject.test.images[:2])
    np.testing.assert_array_equal(mixed.images[2:], subject.oods[0].images[:3])


def test_without_data_noise_stands_in_for_fashionmnist(tmp_path):
    images = fashion_images(12, tmp_path)
    assert (images.name, images.images.shape) == ("uniform", (12, 1, 28, 28))
    assert images.labels.tolist() == [*range(10), 0, 1]
    with torch.inference_mode():
        assert fresh_lenet().network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_without_data_there_is_no_real_subject(tmp_path):
    assert real_subject(4, tmp_path, None, tmp_path) is None
