import logging
from dataclasses import replace

import pytest
import torch
from torch import nn

from ood_bench.models.densenet import DenseNet
from ood_bench.training import speed
from ood_bench.training.artifact import ClassifierStore
from ood_bench.training.speed import Speed, peak_tflops, training_flops, tuned_convolutions

CPU = torch.device("cpu")


def convolution(count_in, count_out, kernel, pixels):
    """Operations of one image's forward pass: a multiply-add for each weight and output pixel."""
    return 2 * count_in * count_out * kernel**2 * pixels


def test_operations_of_a_network_by_hand():
    """The backward pass costs as much again for the weights, and for the inputs of all layers but the first."""
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.Flatten(), nn.Linear(144, 5)
    )
    first, second, last = convolution(3, 8, 3, 36), convolution(8, 4, 1, 36), 2 * 144 * 5
    assert training_flops(network, (3, 6, 6)) == 2 * first + 3 * second + 3 * last


def test_counting_leaves_everything_alone():
    network = DenseNet((3, 32, 32), 10, depth=10, growth=4, dropout=0.3).eval().requires_grad_(requires_grad=False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    drawn = torch.get_rng_state()
    assert training_flops(network, (3, 32, 32)) > 1e6
    assert torch.equal(drawn, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not network.training
    assert all(not one.requires_grad and one.grad is None for one in network.parameters())


def test_a_network_that_looks_at_values_has_no_count():
    class Looking(nn.Linear):
        def forward(self, x):
            return super().forward(x.flatten(1)) * (2 if x.max() > 0 else 1)

    assert training_flops(Looking(4, 2), (1, 2, 2)) is None


@pytest.mark.parametrize(
    ("device", "like"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA H100 NVL", "H100 NVL"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA A10", "A10"),
    ],
)
def test_peaks_are_found_by_whole_words(device, like):
    rows = [line.split(",") for line in speed._PEAKS.read_text().splitlines()]
    (row,) = [row for row in rows if row[0] == like]
    for column, precision in ((1, "bfloat16"), (2, "tf32"), (3, "float32")):
        assert rows[0][column] == precision
        assert peak_tflops(device, precision) == float(row[column])


def test_unknown_devices_have_no_peak():
    assert peak_tflops("cpu", "float32") is None
    assert peak_tflops("NVIDIA A1000 Laptop GPU", "bfloat16") is None


def measured(monkeypatch, peak):
    monkeypatch.setattr(speed, "peak_tflops", lambda device, precision: peak[device, precision])
    network = nn.Sequential(nn.Flatten(), nn.Linear(100, 50))  # 2 * 2 * 5,000 operations an image
    times = [900.0, 2.0, 4.0]  # the first epoch compiled
    return Speed.of(network, (1, 10, 10), 8000, times, device=CPU, autocast="bfloat16")


def test_speed_and_share_are_those_of_the_median_epoch(monkeypatch):
    found = measured(monkeypatch, {("cpu", "bfloat16"): 1e-3})
    assert found.images_per_second == 2000
    assert found.gflop_per_image == pytest.approx(2e-5)
    assert found.tflops == pytest.approx(4e-5)
    assert found.share_of_peak == pytest.approx(4)
    assert str(found) == "2,000 images/s, 4e-05 TFLOP/s, 4.0 % of the bfloat16 peak of cpu"
    assert found.card()["share_of_peak"] == found.share_of_peak


def test_without_a_peak_only_images_are_told(monkeypatch):
    found = measured(monkeypatch, {("cpu", "bfloat16"): None})
    assert (found.images_per_second, found.tflops, found.share_of_peak) == (2000, None, None)
    assert str(found) == "2,000 images/s in bfloat16 on cpu"
    assert str(replace(found, device="NVIDIA A10")).startswith("2,000 images/s in bfloat16 on NVIDIA A10; its peak")


def test_log_and_card_tell_the_speed(make_spec, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        card = ClassifierStore(tmp_path, CPU).obtain(make_spec()).card
    assert card["speed"]["images_per_second"] > 0
    assert (card["speed"]["device"], card["speed"]["precision"]) == ("cpu", "float32")
    assert f"{card['speed']['images_per_second']:,.0f} images/s in float32 on cpu" in caplog.text


def test_convolutions_are_tuned_on_a_gpu_alone():
    before = torch.backends.cudnn.benchmark
    with tuned_convolutions(CPU):
        assert torch.backends.cudnn.benchmark == before
    with tuned_convolutions(torch.device("cuda")):
        assert torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.benchmark == before
