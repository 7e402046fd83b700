"""Records of evaluated cells: the schema that they follow and the folder that they live in."""

from ood_bench.results.frame import frame
from ood_bench.results.record import Record, utc_now
from ood_bench.results.record_store import RecordStore

__all__ = ["Record", "RecordStore", "frame", "utc_now"]
