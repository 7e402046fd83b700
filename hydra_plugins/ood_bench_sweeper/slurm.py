"""``hydra/launcher=submitit_slurm``: the jobs of a sweep as a SLURM array."""

from collections.abc import Sequence
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict


class SlurmLauncher(Launcher):
    """Submits every job at once; see ``conf/hydra/launcher/submitit_slurm.yaml`` for the settings."""

    def __init__(self, **params: Any) -> None:
        self._params = {
            key: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
            for key, value in params.items()
        }

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Takes what Hydra gives every launcher; it travels to the jobs."""
        self._context, self._task, self._config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the jobs and waits for their end."""
        from ood_bench.sweep.slurm import executor, launched  # noqa: PLC0415 - plugins are imported even for --help

        state = Singleton.get_state()
        jobs = [(list(words), initial_job_idx + number, state) for number, words in enumerate(job_overrides)]
        return launched(executor(self._params), self, jobs)

    def __call__(self, words: list[str], number: int, state: dict[type, Singleton]) -> JobReturn:
        """One job, on its node."""
        import submitit  # noqa: PLC0415 - an optional dependency

        Singleton.set_state(state)
        setup_globals()
        config = self._context.config_loader.load_sweep_config(self._config, words)
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = submitit.JobEnvironment().job_id, number
        return run_job(
            hydra_context=self._context,
            task_function=self._task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )

    def checkpoint(self, *arguments: Any) -> Any:
        """What runs after SLURM preempted a job or its time was up: the same again, from where the store says."""
        import submitit  # noqa: PLC0415 - an optional dependency

        return submitit.helpers.DelayedSubmission(self, *arguments)
