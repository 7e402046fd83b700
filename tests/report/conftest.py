import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ood_bench.results import Record, RecordStore

Make = Callable[..., Record]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def digest(text: str) -> str:
    return text.encode().hex().ljust(64, "0")[:64]


@pytest.fixture
def make() -> Make:
    sample = json.loads((Path(__file__).parents[1] / "results" / "sample_record.json").read_text())
    del sample["schema"]

    def made(method: str = "msp", seed: int = 0, auroc: float = 77.0, fpr80: float = 42.0, **changes: Any) -> Record:
        fields = copy.deepcopy(sample)
        fields |= {"method": method, "seed": seed, "cell_key": f"{seed:016x}"}
        fields["metrics"] = {"auroc": {"value": auroc}, "fpr80": {"value": fpr80}}
        fields["exact"] = {"auroc": {"value": auroc, "low": auroc - 0.5, "high": auroc + 0.25}}
        network = fields["checkpoint"]["networks"][0]
        network |= {"seed": seed, "weights_sha256": digest(f"weights {seed}"), "id_accuracy": 92.0 + seed}
        fields["checkpoint"]["sha256"] = network["weights_sha256"]
        ood, variant = changes.pop("ood", "mnist"), changes.pop("ood_variant", "")
        fields["data"]["ood"] |= {"name": ood, "variant": variant, "fingerprint": digest(ood + variant)}
        id_variant = changes.pop("id_variant", "")
        for role in ("id_train", "id_test"):
            fields["data"][role]["variant"] = id_variant
        fields["evaluation"] |= changes.pop("evaluation", {})
        return Record.of(fields | {"ood": ood} | changes)

    return made


@pytest.fixture
def fill(results: Path) -> Callable[..., None]:
    def filled(*records: Record) -> None:
        store = RecordStore(results)
        for record in records:
            store.write(record)

    return filled
