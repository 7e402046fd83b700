"""Runs the jobs of a plan until all are finished or the time is up, and goes on from there at the next call."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.console import Console

from ood_bench.config import compose_settings, default_data_root
from ood_bench.errors import OodBenchError
from ood_bench.runner.execute import execute
from ood_bench.suite.plan import NETWORKS, Job, Plan
from ood_bench.suite.summary import show, write_speeds
from ood_bench.training.recipe import CompileMode
from ood_bench.utils.files import write_atomically
from ood_bench.utils.progress import LogHandler
from ood_bench.utils.time_limit import OutOfTime, reserve, time_limit

_log = logging.getLogger("ood_bench.suite")
UNFINISHED = 75
_STATE = "suite.json"
_START_SECONDS = 20.0


class Finished:
    """The list of finished jobs beside the records, so that later calls need not look at each cell again.

    Args:
        results: folder of the records.
    """

    def __init__(self, results: Path) -> None:
        self._path = results / _STATE
        self._titles: dict[str, str] = json.loads(self._path.read_text()) if self._path.is_file() else {}

    def __contains__(self, job: Job) -> bool:
        return job.key in self._titles

    def add(self, job: Job) -> None:
        """Writes down that a job is finished."""
        self._titles[job.key] = job.title
        write_atomically(self._path, (json.dumps(self._titles, indent=2) + "\n").encode())


def run(plan: Plan, seconds: float) -> int:
    """Runs what is not finished yet.

    An error of one job is told, and the others go on.

    Args:
        plan: what to run.
        seconds: time limit; no epoch and no job starts that does not seem to fit.

    Returns:
        0 when everything is finished, 75 when a further call is needed, 1 when all that is left has failed.
    """
    finished, jobs = Finished(plan.results), plan.jobs()
    start = 0.0 if plan.toy else _START_SECONDS
    failed = 0
    with time_limit(seconds):
        for number, job in enumerate(jobs, 1):
            if job in finished:
                continue
            _log.info("job %d of %d: %s", number, len(jobs), job.title)
            try:
                reserve(start, job.title)
                execute(compose_settings(job.overrides))
            except OutOfTime as stop:
                _log.info("%s", stop)
                return UNFINISHED
            except (OodBenchError, RuntimeError):  # a GPU out of memory and a failed compilation are RuntimeErrors
                _log.exception("%s failed", job.title)
                failed += 1
            else:
                finished.add(job)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Trains the networks of the CIFAR suite on the JPEG copy of CIFAR-10 and scores ODIN's and "
        "FeatureNorm's tables. Stops before the time limit with exit status 75; the same command goes on from there."
    )
    parser.add_argument("--minutes", type=float, default=9.0, help="time limit of this call (default 9)")
    parser.add_argument("--networks", default=",".join(NETWORKS), help=f"default {','.join(NETWORKS)}")
    parser.add_argument("--seeds", default="0", help="as in 0,1,2 (default 0)")
    parser.add_argument("--short", action="store_true", help="recipes of a tenth of the epochs")
    parser.add_argument(
        "--compile",
        default="none",
        choices=("none", *get_args(CompileMode)),
        help="mode of torch.compile; reduce_overhead replays CUDA graphs (default none)",
    )
    parser.add_argument("--data", type=Path, default=Path(default_data_root()), help="data root")
    parser.add_argument("--store", type=Path, help="store of networks and banks (default: store in the data root)")
    parser.add_argument("--results", type=Path, default=Path("outputs/gpu_suite"), help="default outputs/gpu_suite")
    parser.add_argument("--toy", action="store_true", help="rehearsal: tiny networks, embedded data, CPU, no download")
    return parser


def plan_of(options: argparse.Namespace) -> Plan:
    """The plan that the command line asks for; a rehearsal keeps its store among its own results."""
    store = options.store or (options.results / "store" if options.toy else options.data / "store")
    return Plan(
        networks=tuple(options.networks.split(",")),
        seeds=tuple(int(seed) for seed in options.seeds.split(",")),
        data=options.data,
        store=store,
        results=options.results,
        short=options.short,
        compile=options.compile,
        toy=options.toy,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and ends with a table of networks, speeds and AUROCs so far.

    Args:
        arguments: as on the command line; that of the process by default.

    Returns:
        The exit status, see :func:`run`.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[LogHandler()])
    options = _parser().parse_args(arguments)
    try:
        plan = plan_of(options)
        if missing := plan.missing():
            _log.warning("left out, not under %s: %s", plan.data, ", ".join(missing))
        status = run(plan, 60 * options.minutes)
        write_speeds(plan.results, plan.store)
        show(plan.results, Console(width=120))
    except OodBenchError as error:
        _log.error("error: %s", error)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
