"""Image files that are decoded while a network runs: rate and memory, beside decoding alone and the network alone.

``python -m benchmarks.stream`` makes JPEG files of 224 x 224 pixels, and sends them through a small network of timm.
Each line is a process of its own with torch on one thread; decoding alone takes one thread, too.
"""

import argparse
import io
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

_LIMITS = {"memory": 2048, "rate": 1.2}
"""MB that the pass may take beside the network, and how many times the slower of both that it may last."""
_SIDE = 224


def _files(folder: Path, count: int) -> None:
    """Smooth pictures, each another part of one large one, so that they are as large as photographs."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (200, 200, 3)).astype(np.uint8))
    large = coarse.resize((1600, 1600), Image.Resampling.BICUBIC)
    for index in range(count):
        left, top = (int(random.integers(1600 - _SIDE)) for _ in range(2))
        buffer = io.BytesIO()
        large.crop((left, top, left + _SIDE, top + _SIDE)).save(buffer, "JPEG", quality=90)
        (folder / f"{index:06d}.jpg").write_bytes(buffer.getvalue())


def _work(folder: Path, what: str, network: str) -> float:
    """Seconds of one kind of work; imports and the network's making are not part of it."""
    import torch  # noqa: PLC0415 - the parent needs none of these

    from ood_bench.data.decode import Decoding, decode_file  # noqa: PLC0415
    from ood_bench.data.folder import FolderSource  # noqa: PLC0415
    from ood_bench.data.imageset import ImageSet  # noqa: PLC0415
    from ood_bench.data.views import View  # noqa: PLC0415
    from ood_bench.models.classifier import Classifier, freeze  # noqa: PLC0415
    from ood_bench.models.timm_model import TimmModel  # noqa: PLC0415
    from ood_bench.scoring.passes import run_pass  # noqa: PLC0415
    from ood_bench.scoring.quantities import LOGITS, Mean, Quantity  # noqa: PLC0415

    torch.set_num_threads(1)
    shape = (3, _SIDE, _SIDE)
    model = TimmModel(shape, 1000, timm_name=network, taps={"pool": "global_pool"}, penultimate="pool")
    classifier = Classifier(freeze(model), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    quantities = [LOGITS, Quantity(classifier.penultimate, Mean())]

    def passed(images: ImageSet) -> None:
        run_pass(classifier, View(images), 64, quantities=quantities, steps=[])

    paths = sorted(folder.iterdir())
    streamed = FolderSource(name="pictures", path=folder.name, layout="flat").stream(folder.parent)
    assert streamed is not None  # noqa: S101 - a folder can be streamed
    few = ImageSet.of("few", streamed.images[:64])
    passed(few)  # warms up

    def decoded() -> None:
        for index, path in enumerate(paths):
            decode_file(path, index, Decoding())

    def network_alone() -> None:
        for _ in range(len(paths) // 64):
            passed(few)

    kinds: dict[str, Callable[[], None]] = {
        "decode": decoded,
        "network": network_alone,
        "stream": lambda: passed(streamed),
    }
    before, start = _peak(), time.perf_counter()
    kinds[what]()
    seconds = time.perf_counter() - start
    sys.stdout.write(f"{seconds} {_peak() - before}\n")
    return seconds


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line for each kind of work.

    Args:
        arguments: the command line without the program's name; that of the process if none.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream", description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--network", default="mobilenetv3_small_050", help="of timm")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        _work(options.folder, options.work, options.network)
        return 0
    found: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "pictures"
        folder.mkdir()
        _files(folder, options.images)
        for work in ("decode", "network", "stream"):
            command = [sys.executable, "-m", "benchmarks.stream", "--work", work, "--folder", str(folder)]
            command += ["--network", options.network]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - this very file
            seconds, megabytes = map(float, said.split()[-2:])
            found[work] = seconds, megabytes
            rate = options.images / seconds
            sys.stdout.write(f"{work:8} {seconds:8.1f} s {rate:8.0f} images/s {megabytes:8.0f} MB\n")
            sys.stdout.flush()
    ratio = found["stream"][0] / max(found["decode"][0], found["network"][0])
    sys.stdout.write(
        f"stream takes {ratio:.2f} of the slower of both (limit {_LIMITS['rate']}) and {found['stream'][1]:.0f} MB "
        f"beside the network (limit {_LIMITS['memory']} MB)\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
