"""What is measured on a GPU: the trainer's loop, scoring passes, and the logits beside the CPU's."""

import argparse
import copy
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.clock import Step, interleaved, timed
from ood_bench.checkpoints.__main__ import node_named
from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.methods.base import Scorer
from ood_bench.methods.odin import Odin
from ood_bench.models.classifier import Classifier, build_network, fast_layout, freeze, to_layout
from ood_bench.scoring.engine import Engine
from ood_bench.scoring.quantities import LOGITS, Mean, Quantity
from ood_bench.scoring.taps import full_precision
from ood_bench.training.objectives import Batch
from ood_bench.training.recipe import recipe_from
from ood_bench.training.spec import TrainingSpec
from ood_bench.training.speed import Speed, peak_tflops, tuned_convolutions
from ood_bench.training.trainer import Trainer

Found = dict[str, Any]
"""Some fields of a row of the table."""
COMPILED = {"compiled": "default", "compiled+graphs": "reduce_overhead"}
"""Modes of training that ``torch.compile`` takes part in, and what it calls them."""
SCORED = ("bare pass", "engine", "odin")
_OPERATIONS = 2e13  # of a bare pass over the scored images, about: large networks score fewer of them
_COMPARED = 64  # images whose logits on the CPU and on the device are compared
_BARE_STEPS = 20
_WARM_UP = 3  # steps before a capture: they make what the optimizer keeps


class MeasuredTrainer(Trainer):
    """The trainer, whose step is also run without the loop around it."""

    def bare_seconds(self, steps: int) -> float:
        """Time of one update on one batch that is already augmented and normalised, mean of ``steps`` of them."""
        batch = self._batch()
        return self._seconds(lambda: self._update(batch), steps)

    def graphed_seconds(self, steps: int) -> float:
        """The same where the GPU replays one update as a CUDA graph; on a CPU, the update as it is."""
        batch = self._batch()
        return self._seconds(captured(lambda: self._update(batch), self.device), steps)

    def _batch(self) -> Batch:
        size = self.spec.recipe.batch_size
        return Batch(self._normalise(self._images[:size]).contiguous(memory_format=self._layout), self._labels[:size])

    def _update(self, batch: Batch) -> None:
        self.state.optimizer.zero_grad(set_to_none=True)
        if self.spec.recipe.compile:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        self._objective(self._forward, batch)[0].backward()  # type: ignore[no-untyped-call]
        self.state.optimizer.step()

    def _seconds(self, step: Callable[[], None], steps: int) -> float:
        def run() -> None:
            for _ in range(steps):
                step()
            wait(self.device)

        wait(self.device)
        return timed(run)[1] / steps


def captured(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """A step of training as a CUDA graph, which the GPU replays without Python; on a CPU the step itself.

    As torch documents it for whole networks: a few steps on a stream of their own, then the capture.
    """
    if device.type != "cuda":
        return step
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(_WARM_UP):
            step()
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def training(name: str, mode: str, autocast: str, options: argparse.Namespace, device: torch.device) -> Found:
    """The trainer's own epochs but the first, beside the bare step.

    Args:
        name: a network of ``conf/model``.
        mode: ``eager`` or one of :data:`COMPILED`.
        autocast: as in a recipe.
        options: ``images``, ``batch`` and ``rounds``.
        device: where.
    """
    spec = training_spec(name, mode, autocast, options)
    trainer, count, size = MeasuredTrainer(spec, device), options.images, options.batch
    with tempfile.TemporaryDirectory() as folder:
        first, *times = trainer.run(Path(folder) / "checkpoint").times
    with tuned_convolutions(device):
        bare = [trainer.bare_seconds(min(_BARE_STEPS, -(-count // size))) for _ in range(options.rounds + 1)][1:]
    speed = Speed.of(trainer.state.network, spec.data.shape, count, times, device=device, autocast=spec.recipe.autocast)
    return {
        "images_per_second": speed.images_per_second,
        "share_of_peak": speed.share_of_peak,
        "ratio": size / speed.images_per_second / statistics.median(bare),
        "start": first - statistics.median(times),
    }


def graphed(name: str, options: argparse.Namespace, device: torch.device) -> Found:
    """The bare step of training as a CUDA graph, beside the same step as Python runs it; arguments as above."""
    spec = training_spec(name, "eager", "bfloat16", options)
    trainer, size = MeasuredTrainer(spec, device), options.batch
    steps, turns = min(_BARE_STEPS, -(-options.images // size)), range(options.rounds + 1)
    with tuned_convolutions(device):
        bare = [trainer.bare_seconds(steps) for _ in turns][1:]
        times = [trainer.graphed_seconds(steps) for _ in turns][1:]
    speed = Speed.of(trainer.state.network, spec.data.shape, size, times, device=device, autocast=spec.recipe.autocast)
    return {
        "images_per_second": speed.images_per_second,
        "share_of_peak": speed.share_of_peak,
        "ratio": statistics.median(times) / statistics.median(bare),
    }


def scoring(name: str, options: argparse.Namespace, device: torch.device) -> Iterator[Callable[[], Found]]:
    """The bare forward pass, the engine's shared pass, and ODIN at one setting, all without TF32.

    Args:
        name: a network of ``conf/model``.
        options: ``scored`` and ``rounds``.
        device: where.

    Yields:
        What measures each of :data:`SCORED`.
    """
    known, shape = fresh_classifier(name), nodes(name)[1]["shape"]
    network = copy.deepcopy(known.network).to(device)
    layout = fast_layout(network)
    classifier = replace(known, network=to_layout(network, layout))
    flops, peak = forward_flops(known.network, shape), peak_tflops(device_name(device), "float32")
    count = min(options.scored, max(2000, 1000 * round(_OPERATIONS / flops / 1000)))
    images, size = synthetic(shape, count), Engine(None).batch_size(classifier)
    batches = [classifier.normalise(one).contiguous(memory_format=layout) for one in View(images).batches(size)]
    wanted = [LOGITS, *(Quantity(tap, Mean()) for tap in classifier.taps)]

    def bare() -> None:
        with full_precision(), torch.inference_mode():
            for x in batches:
                classifier.network(x)

    def engine() -> None:
        Engine(None).collect(classifier, images, wanted)

    def odin() -> None:
        detector = Odin()
        detector.raw_scores(Scorer(Engine(None), [classifier], images), View(images), detector.grid())

    def measure(work: Callable[[], None]) -> Found:
        unit, step = (Step(waited(one, device), count) for one in (bare, work))
        timing = interleaved({"": step}, unit, options.rounds, by_cpu=False)[""]
        rate = count / statistics.median(timing.seconds)
        found: Found = {"images_per_second": rate, "ratio": timing.ratio}
        if work in (bare, engine) and peak is not None:
            found["share_of_peak"] = 100 * rate * flops / 1e12 / peak
        if work is bare:
            found["difference"] = logit_difference(known, classifier, synthetic(shape, _COMPARED))
        return found

    for work in (bare, engine, odin):
        yield partial(measure, work)


def nodes(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What ``conf`` says of a network, without its variants, and of the ID set that it is trained on."""
    node = {key: value for key, value in node_named("model", name).items() if key != "variants"}
    return node, node_named("id", "fashionmnist" if name == "lenet" else "cifar10")


def synthetic(shape: Sequence[int], count: int) -> ImageSet:
    """Uniform noise, labelled at random."""
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (count, *shape), dtype=np.uint8)
    return ImageSet.of("noise", images, draws.integers(0, 10, count))


def training_spec(name: str, mode: str, autocast: str, options: argparse.Namespace) -> TrainingSpec:
    """SGD with momentum; cropped and flipped images but for LeNet, as in the shipped recipes."""
    node, id_node = nodes(name)
    recipe = {
        "name": "gpu",
        "epochs": options.rounds + 1,
        "batch_size": options.batch,
        "optimizer": {"name": "sgd", "lr": 0.001, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4},
        "augment": [] if name == "lenet" else ["crop4", "flip"],
        "autocast": autocast,
        "compile": mode in COMPILED,
        "compile_mode": COMPILED.get(mode, "default"),
    }
    images = synthetic(id_node["shape"], options.images)
    return TrainingSpec(node, recipe_from(recipe), images, images, 10, id_node["normalisation"], seed=0)


def fresh_classifier(name: str) -> Classifier:
    """A network on the CPU, with fresh weights, whose batch norms have seen noise: else its logits may be tiny."""
    node, id_node = nodes(name)
    torch.manual_seed(0)
    network = build_network(node, id_node["shape"], 10)
    mean, std = (tuple(id_node["normalisation"][moment]) for moment in ("mean", "std"))
    spec = {"model": node, "shape": id_node["shape"], "classes": 10, "normalisation": id_node["normalisation"]}
    classifier = Classifier(network, mean, std, {"weights_sha256": "fresh weights of seed 0", "spec": spec})
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches, which is this one
    with torch.no_grad():
        network.train()(classifier.normalise(torch.from_numpy(synthetic(id_node["shape"], _COMPARED).images)))
    freeze(network)
    to_layout(network, fast_layout(network))
    return classifier


def logit_difference(known: Classifier, other: Classifier, images: ImageSet) -> float:
    """Largest difference between the logits that the engine gives for two classifiers, by the first's largest one."""
    one, two = (Engine(None).collect(each, images, [LOGITS])[LOGITS] for each in (known, other))
    return float(np.abs(one - two).max() / np.abs(one).max())


def forward_flops(network: nn.Module, shape: Sequence[int]) -> int:
    """Floating-point operations of one image's forward pass, a multiply-add as two; nothing is computed."""
    twin = copy.deepcopy(network).to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        twin(torch.empty(1, *shape, device="meta"))
    return int(counter.get_total_flops())


def wait(device: torch.device) -> None:
    """Until a GPU has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def waited(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Work that ends when the device has done it."""

    def run() -> None:
        work()
        wait(device)

    return run


def device_name(device: torch.device) -> str:
    """The name that torch gives a GPU, or ``cpu``."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
