"""What the suite consists of: one job for each network, seed and table, as overrides of the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ood_bench.config import compose_settings
from ood_bench.data.sources import source_of
from ood_bench.errors import ConfigError
from ood_bench.utils.files import content_key

_ODIN_STEPS = 21  # magnitudes from 0 to 0.004, as in the paper's search
_MAGNITUDES = ",".join(f"{0.004 * step / (_ODIN_STEPS - 1):.4f}" for step in range(_ODIN_STEPS))
_UNNORMALISED = "id.normalisation={mean: [0.0, 0.0, 0.0], std: [1.0, 1.0, 1.0]}"
_LARGE = ("tin_crop_rebuilt", "tin_resize_rebuilt", "uniform", "gaussian")  # enough rows for ODIN's protocol
_SMALL = ("cifar100_png_subset", "svhn_train_subset", "textures_subset", "scenes")
_TOY_OOD = ("uniform", "gaussian")
_DIGITS = "classes=[0,1,2,3,4,5,6,7,8,9]"  # ODIN's official thresholds are made for ten classes
_TOY = (
    "id=digits",
    "id.classes=10",
    f"id.train.{_DIGITS}",
    f"id.test.{_DIGITS}",
    "id.train.test_fraction=0.8",
    "id.test.test_fraction=0.1",
    "ood.uniform.source.count=72",
    "ood.gaussian.source.count=72",
    "train.epochs=2",
    "train.autocast=none",
    "scoring.resamples=0",
    "device=cpu",
)
_TOY_SEARCH = ("protocol.skip=12", "protocol.stop=72", "method.odin.magnitudes=[0.0,0.004]")


@dataclass(frozen=True)
class Network:
    """One architecture of the suite.

    Attributes:
        recipe: the paper's recipe.
        short: the recipe of a tenth of the epochs.
        toy: overrides that make it small.
        real: overrides that only its real size gets.
        blocks: whether FeatureNorm is scored on it, on every block.
    """

    recipe: str
    short: str
    toy: tuple[str, ...]
    real: tuple[str, ...] = ()
    blocks: bool = True


NETWORKS = {
    "resnet18": Network(
        "featurenorm_resnet18",
        "resnet18_short",
        ("model.blocks=[1,1]", "model.widths=[4,8]"),
        (_UNNORMALISED,),  # as FeatureNorm's networks
    ),
    "densenet_bc_100_12": Network(
        "odin_densenet",
        "densenet_short",
        ("model.depth=10", "model.growth=4", "model.pool_window=0"),
        blocks=False,
    ),
    "wrn_28_10": Network("odin_wrn", "wrn_short", ("model.depth=10", "model.widen=1", "model.pool_window=0")),
}


@dataclass(frozen=True)
class Job:
    """One run of the suite.

    Attributes:
        title: in a few words.
        overrides: as on the command line.
    """

    title: str
    overrides: tuple[str, ...]

    @property
    def key(self) -> str:
        """Names the job in the list of finished ones."""
        return content_key(self.overrides)


@dataclass(frozen=True)
class Plan:
    """The choices of one suite.

    Attributes:
        networks: names in :data:`NETWORKS`.
        seeds: training seeds; all networks of one seed come before the next.
        data: data root.
        store: store of what costs time.
        results: folder of the records.
        short: whether the short recipes are used.
        compile: ``none``, or a mode of ``torch.compile`` as in ``train.compile_mode``.
        toy: tiny networks on embedded data, two epochs, on the CPU.
    """

    networks: tuple[str, ...]
    seeds: tuple[int, ...]
    data: Path
    store: Path
    results: Path
    short: bool = False
    compile: str = "none"
    toy: bool = False

    def __post_init__(self) -> None:
        if unknown := [name for name in self.networks if name not in NETWORKS]:
            raise ConfigError(f"the suite has no network {', '.join(unknown)}; it has {', '.join(NETWORKS)}")

    def jobs(self) -> list[Job]:
        """All jobs in order; a network's first job also trains it."""
        small, large = self._there(_SMALL), self._there(_LARGE)
        if self.toy:
            small, large = [], list(_TOY_OOD)
        return [
            job for seed in self.seeds for name in self.networks for job in self._of_network(name, seed, large, small)
        ]

    def missing(self) -> list[str]:
        """OOD sets of the suite that are not under the data root, and are left out."""
        there = self._there((*_LARGE, *_SMALL))
        return [] if self.toy else [name for name in (*_LARGE, *_SMALL) if name not in there]

    def _there(self, names: Sequence[str]) -> list[str]:
        nodes = compose_settings(["id=cifar10_jpeg", f"ood=[{','.join(names)}]"]).ood
        return [name for name in names if source_of(nodes[name], shape=(3, 32, 32)).missing(self.data) is None]

    def _of_network(self, name: str, seed: int, large: Sequence[str], small: Sequence[str]) -> list[Job]:
        """ODIN's table with its search, then all methods at fixed settings, then every block of FeatureNorm."""
        network, base = NETWORKS[name], self._base(name, seed)
        every = f"ood=[{','.join([*large, *small])}]"
        methods = ["msp", "odin", "energy", "mahalanobis", *(["feature_norm"] if network.blocks else [])]
        jobs = []
        if large:
            search = ["protocol=odin", "tune=per_set", f"ood=[{','.join(large)}]", "method=[msp,odin]"]
            grid = _TOY_SEARCH if self.toy else [f"method.odin.magnitudes=[{_MAGNITUDES}]"]
            jobs.append(Job(f"{name}, seed {seed}: ODIN with its search", (*base, *search, *grid)))
        plain = ["protocol=plain", every, f"method=[{','.join(methods)}]"]
        jobs.append(Job(f"{name}, seed {seed}: {', '.join(methods)}", (*base, *plain)))
        if network.blocks:
            blocks = ["protocol=plain", every, "method=feature_norm_blocks"]
            jobs.append(Job(f"{name}, seed {seed}: FeatureNorm of every block", (*base, *blocks)))
        return jobs

    def _base(self, name: str, seed: int) -> list[str]:
        network = NETWORKS[name]
        roots = [f"data.root={self.data}", f"store.root={self.store}", f"results.root={self.results}"]
        recipe = [f"model={name}", f"train={network.short if self.short else network.recipe}", f"seed={seed}"]
        if self.compile != "none":
            recipe += ["train.compile=true", f"train.compile_mode={self.compile}"]
        size = (*network.toy, *_TOY) if self.toy else ("id=cifar10_jpeg", "train.autocast=bfloat16", *network.real)
        return [*roots, *recipe, *size]
