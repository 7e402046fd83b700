"""The shipped runs, and what makes each of them small enough for a test."""

import functools

from hydra import compose, initialize_config_dir

from ood_bench.config import settings_of
from ood_bench.papers.block import load_blocks
from ood_bench.utils.configs import conf_dir, options

GODIN = ("godin_inner", "godin_euclidean", "godin_cosine")


PAPERS = list(options("paper"))
SWEEPS = ["gpu_suite", "gpu_suite_short", "gpu_suite_toy", "posthoc", "definitions"]  # see tests/sweep
WHOLE_RUNS = [f"{group}={name}" for group in ("experiment", "paper") for name in options(group) if name not in SWEEPS]
# Papers that are not executed: each differs from one that is in its ID set, in a network that is made tiny, or in its
# validation set alone. tests/test_configs.py composes and checks them all.
LIKE_ANOTHER = [
    f"paper={system}_{rest}"
    for system, others in {
        "eloc": ("densenet_cifar100", "wrn_cifar10"),
        "featurenorm": ("resnet18_cifar10_selected_norm", "wrn_cifar10", "wrn_cifar10_selected_norm"),
        "mahalanobis_densenet": ("cifar10", "cifar100", "svhn", "cifar10_fgsm", "cifar100_fgsm"),
        "mahalanobis_resnet34": ("cifar100", "svhn", "cifar10_fgsm", "cifar100_fgsm", "svhn_fgsm"),
        "odin": ("densenet_cifar100", "densenet_cifar100_v5", "wrn_cifar10"),
        "odin_densenet_cifar10_validation": [
            "gaussian",
            "uniform",
            "lsun_crop",
            "lsun_resize",
            "tin_crop",
            "tin_resize",
        ],
        "outlier_exposure": ("wrn_cifar10",),
    }.items()
    for rest in others
]


@functools.cache
def composed(run):
    """A shipped run as Hydra composes it, which takes its time."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("config", overrides=[run])


@functools.cache
def whole_of(run):
    """A shipped run as it is."""
    return settings_of(composed(run), [run])


@functools.cache
def blocks():
    return {block.name: block for block in load_blocks()}


QUICK = [
    "train.epochs=1",
    "scoring.resamples=20",
    "method.outlier_exposure.train.epochs=1",
    "method.deep_ensemble.members=2",
    "method.mc_dropout.passes=2",
    "method.fssd.noise_images=5",
    "device=cpu",
]
# And what tests/toy_root.py says of the OOD sets.
CIFAR = ["train.epochs=1", "train.batch_size=10", "scoring.resamples=2", "device=cpu"]
STEPS = [f"method.{head}.magnitudes=[0.01,0.02]" for head in GODIN]
VALIDATION = ["protocol.fit_rows=20", "protocol.select_rows=20"]
WIDE = ["model.depth=10", "model.widen=1"]
RESNET = ["model.blocks=[1,1,1,1]", "model.widths=[4,4,8,8]"]
# A paper is made small by what it selects: model, protocol and methods.
SMALL_MODELS = {
    "densenet_bc_100_12": ["model.depth=10", "model.growth=4"],
    "wrn_28_10": WIDE,
    "wrn_40_2": WIDE,
    "resnet18": RESNET,
    "resnet34": RESNET,
    "resnet20_v2": ["model.depth=11"],
    "vgg11": [],
    "allconv": ["model.widths=[4,8]"],
    "timm_resnet34": [],  # a stand-in is small enough
    "timm_resnext50": [],
}
SMALL_PROTOCOLS = {
    "odin": ["protocol.skip=20"],
    "eloc": ["protocol.validation_rows=20"],
    "godin_paper": ["protocol.id_rows=20"],
    "godin_port": ["protocol.id_rows=20"],
    "fssd": VALIDATION,
    "mahalanobis": VALIDATION,
    "featurenorm": [],
    "outlier_exposure": [],
}
PICTURES = ("imagenet_dogs", "ms1m")  # larger than 32 pixels
SMALL_SETS = ["id.classes=10", "id.shape=[3,32,32]", "id.train.size=32", "id.test.size=32"]
SMALL_METHODS = {
    "eloc": [
        "method.eloc.train.epochs=1",
        "method.eloc.train.selection=last",  # it would look at 1,000 images of 60
        "method.eloc.validation=null",
    ],
    "deep_ensemble": ["method.deep_ensemble.members=2"],
    "mc_dropout": [f"model.variants.{word.replace('model.', 'mc_dropout.', 1)}" for word in RESNET]
    + ["method.mc_dropout.passes=3"],
    **{head: [f"method.{head}.magnitudes=[0.01,0.02]"] for head in GODIN},
    **{
        name: [f"method.{name}.train.{word}" for word in ("epochs=1", "batch_size=10", "outlier_batch_size=10")]
        for name in ("outlier_exposure", "outlier_exposure_tune", "outlier_exposure_scratch")
    },
}
SEARCHES = {  # where many settings are tried
    "fssd": [
        "method.odin.magnitudes=[0.01,0.0]",
        "method.odin.temperatures=[1000]",
        "method.mahalanobis.magnitudes=[0.01]",
        "method.fssd.magnitudes=[0.01,0.0]",
    ],
    "validation_ood": ["method.odin.magnitudes=[0.0,0.002]", "method.odin.temperatures=[1,1000]"],
    "mahalanobis": [
        "method.odin.magnitudes=[0.0,0.01]",
        "method.odin.temperatures=[1,1000]",
        "method.mahalanobis.magnitudes=[0.0,0.01]",
        "method.mahalanobis_inputpre.magnitudes=[0.0,0.01]",
    ],
}
TOYS = {
    "experiment=quickstart": [
        *QUICK,
        "id.train.test_fraction=0.9",  # 140 images to train on
        "id.test.test_fraction=0.03",  # 40 to test
        "ood.digits_held_out.source.split=test",
        "ood.uniform.source.count=20",
        "ood.gaussian.source.count=20",
        "ood.photo_patches.source.count=20",
        "adapt.method.outlier_exposure.outliers.source.count=20",
    ],
    "experiment=godin_fashionmnist": [*CIFAR, *STEPS, "protocol.id_rows=20"],
    "experiment=eloc_fashionmnist": [
        "ood=[mnist]",
        "train.epochs=1",
        "method.eloc.train.epochs=1",
        "scoring.resamples=20",
        "device=cpu",
    ],
    "paper=fssd_fashionmnist": ["ood=[mnist,emnist_letters]", *QUICK, *VALIDATION, *SEARCHES["fssd"]],
}


def toy_of(run, whole):
    """Overrides that make a shipped run small."""
    if run in TOYS:
        return TOYS[run]
    protocol = whole.protocol["_target_"].split(".")[2]
    sets = [f"ood.{name}.source.size=32" for name in whole.ood] + SMALL_SETS if whole.id["name"] in PICTURES else []
    methods = [word for name in whole.method for word in SMALL_METHODS.get(name, [])]
    protocol_searches = SEARCHES.get(protocol if whole.tune.name == "published" else whole.tune.name, [])
    searches = [word for word in protocol_searches if word.split(".")[1] in whole.method]
    return [*CIFAR, *SMALL_MODELS[whole.model["name"]], *SMALL_PROTOCOLS[protocol], *sets, *methods, *searches]
