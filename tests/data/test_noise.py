import numpy as np
import pytest

from ood_bench.data.noise import Noise, noise_image, to_bytes


def test_rounding_reaches_both_ends():
    assert to_bytes(np.array([0.0, 0.001, 0.002, 0.5, 0.999, 1.0])).tolist() == [0, 0, 1, 128, 255, 255]


@pytest.mark.parametrize("recipe", ["uniform", "gaussian"])
def test_an_image_depends_on_seed_and_index_alone(tmp_path, recipe):
    few = Noise(name="n", recipe=recipe, shape=(3, 8, 8), count=5, seed=3).read(tmp_path)
    many = Noise(name="n", recipe=recipe, shape=(3, 8, 8), count=9, seed=3).read(tmp_path)
    other = Noise(name="n", recipe=recipe, shape=(3, 8, 8), count=5, seed=4).read(tmp_path)
    np.testing.assert_array_equal(few.images, many.images[:5])
    np.testing.assert_array_equal(noise_image(recipe, (3, 8, 8), 3, 7), many.images[7])
    assert len({image.tobytes() for image in np.concatenate([many.images, other.images])}) == 14


def test_distributions(tmp_path):
    uniform = Noise(name="u", recipe="uniform", shape=(1, 28, 28), count=400).read(tmp_path).images / 255
    gaussian = Noise(name="g", recipe="gaussian", shape=(1, 28, 28), count=400).read(tmp_path).images / 255
    assert abs(uniform.mean() - 0.5) < 0.005
    assert abs(uniform.std() - 12**-0.5) < 0.005
    # Phi(-0.5) of a clipped N(0.5, 1) lies at each end, and rounding adds half a step of the density there.
    assert abs((gaussian == 0).mean() - 0.3092) < 0.005
    assert abs((gaussian == 1).mean() - 0.3092) < 0.005


def test_the_stream_is_pinned(tmp_path):
    found = Noise(name="uniform", recipe="uniform", shape=(1, 8, 8), count=10_000).read(tmp_path)
    assert found.fingerprint.startswith("c01d2e35")
