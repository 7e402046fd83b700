"""A sweep's jobs as a SLURM array, submitted by submitit and watched until every one has ended, however it ended."""

import logging
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from ood_bench.errors import ConfigError, OodBenchError
from ood_bench.sweep.progress import counted

_log = logging.getLogger(__name__)
Queue = Callable[[Collection[str]], Collection[str] | None]
Pause = Callable[[float], None]
_OVER = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT")
_SAME = (
    "timeout_min",
    "name",
    "nodes",
    "tasks_per_node",
    "cpus_per_task",
    "gpus_per_node",
    "mem_gb",
    "stderr_to_stdout",
)
_SOONEST, _LATEST = 0.5, 10.0
_GRACE = 3
"""Looks at the queue in which a job must be missing before it counts as gone: its result may take a moment to show."""


def executor(params: Mapping[str, Any]) -> Any:
    """Submitit's executor with the settings of ``conf/hydra/launcher/submitit_slurm.yaml``; SLURM decides null ones.

    Raises:
        ConfigError: if submitit or SLURM is not here, or a key is unknown to submitit.
    """
    try:
        import submitit  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise ConfigError(
            "hydra/launcher=submitit_slurm needs submitit: pip install '.[cluster]' in a checkout"
        ) from error
    settings = {key: value for key, value in params.items() if value is not None}
    folder, timeouts = settings.pop("submitit_folder"), settings.pop("max_num_timeout")
    try:
        created = submitit.AutoExecutor(folder=folder, cluster="slurm", slurm_max_num_timeout=timeouts)
        created.update_parameters(
            **{key if key in _SAME else f"slurm_{key}": value for key, value in settings.items()},
        )
    except (RuntimeError, ValueError, NameError) as error:
        raise ConfigError(f"hydra.launcher: {' '.join(str(error).split())}") from error
    return created


def launched(submitter: Any, call: Any, jobs: Sequence[tuple[Any, ...]]) -> list[JobReturn]:
    """Submits one array of jobs, each ``call`` with its own arguments, and waits until all have ended."""
    submitted = submitter.map_array(call, *zip(*jobs, strict=True))
    ids = [job.job_id for job in submitted]
    array = ids[0].partition("_")[0]
    _log.info("submitted %s to SLURM as array %s; Ctrl-C stops waiting, not the jobs", counted(len(ids), "job"), array)
    try:
        wait(submitted)
    except KeyboardInterrupt:
        _log.warning("the jobs go on: ood-bench status --watch shows how far they are, scancel %s ends them", array)
        raise
    return [_returned(job) for job in submitted]


def wait(submitted: Sequence[Any], queue: Queue | None = None, pause: Pause = time.sleep) -> None:
    """Waits until each job has left a result or is gone from SLURM's queue.

    Asks ``squeue``, which every cluster has; submitit's own way asks the accounting data base, and without one it
    waits for ever for a job that was cancelled or killed.

    Args:
        submitted: submitit's jobs.
        queue: gives those of the arrays' jobs that are not over, or none where SLURM does not answer.
        pause: sleeps for some seconds.
    """
    left = {job.job_id: 0 for job in submitted}
    results = {job.job_id: Path(job.paths.result_pickle) for job in submitted}
    seconds = _SOONEST
    while True:
        alive = (queue or in_queue)({job_id.partition("_")[0] for job_id in left})
        for job_id in list(left):
            if alive is None or job_id in alive:
                left[job_id] = 0
            elif results[job_id].exists() or left[job_id] + 1 >= _GRACE:
                del left[job_id]
            else:
                left[job_id] += 1
        if not left:
            return
        pause(seconds)
        seconds = min(1.2 * seconds, _LATEST)


def in_queue(arrays: Collection[str]) -> set[str] | None:
    """Jobs of these arrays that are waiting, running, or about to run again; none where SLURM does not answer."""
    found: set[str] = set()
    for array in arrays:
        command = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={array}", "--format=%i|%F|%K|%T"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
        if asked.returncode != 0:
            if "Invalid job id" in asked.stderr:  # so long over that SLURM has forgotten it
                continue
            _log.warning("squeue does not answer: %s", asked.stderr.strip())
            return None
        for line in asked.stdout.splitlines():
            job_id, main, _, state = line.split("|")
            if state not in _OVER:
                found |= {job_id, main} if job_id == main else {job_id}
    return found


def _returned(job: Any) -> JobReturn:
    """What a job returned; a failure where it returned nothing."""
    try:
        if job.paths.result_pickle.exists():
            given = job.result()
            if isinstance(given, JobReturn):
                return given
    except Exception as error:  # whatever the job raised outside of the run itself
        lines = str(error).strip().splitlines()
        return _failed(f"job {job.job_id}: {lines[-1] if lines else type(error).__name__}")
    return _failed(f"job {job.job_id} ended without a result (killed, cancelled or out of memory): {job.paths.stderr}")


def _failed(why: str) -> JobReturn:
    returned = JobReturn()
    returned.status, returned.return_value = JobStatus.FAILED, OodBenchError(why)
    return returned
