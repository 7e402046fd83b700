import pytest

import ood_bench
from ood_bench.config import compose_settings
from ood_bench.errors import ConfigError, OodBenchError
from ood_bench.sweep import manifest
from ood_bench.sweep.run import REFUSED_OR_MISSING, naming, run_sweep
from ood_bench.utils.console import INTERRUPTED
from ood_bench.utils.time_limit import OUT_OF_TIME, OutOfTime


def one_by_one(words):
    """What a launcher does: runs every job, whatever becomes of it."""
    raised = []
    for one in words:
        try:
            ood_bench.run(one)
            raised.append(None)
        except OodBenchError as error:
            raised.append(error)
    return raised


@pytest.fixture
def sweep(toy, capsys):
    """Runs a sweep over seeds; gives its exit status, and what it said."""

    def made(*varied, words=("method=msp",), launch=one_by_one, flags=()):
        status = run_sweep([[*toy, *words, one] for one in varied], compose_settings, launch, 1, flags)
        return status, " ".join(capsys.readouterr().out.split())

    return made


def test_it_runs_what_is_missing(sweep, store):
    status, said = sweep("seed=0", "seed=1")
    assert status == 0
    assert "plan: 2 jobs with 2 cells; 0 done, 2 to compute" in said
    assert said.endswith("sweep: 2 of 2 cells have a record")
    assert "msp mean of 2 " in said
    ((_, plan),) = manifest.load_all(store)
    assert [job.place for job in plan.jobs] == [0, 1]
    launched = []
    status, said = sweep("seed=0", "seed=1", "seed=2", launch=lambda jobs: launched.extend(jobs) or one_by_one(jobs))
    assert status == 0
    assert [words[-1] for words in launched] == ["seed=2"]


def test_its_end_shows_the_numbers_of_a_paper_of_ones_own(sweep, tmp_path):
    folder = tmp_path / "my conf"
    (folder / "paper").mkdir(parents=True)
    (folder / "paper/mine.yaml").write_text(
        "paper: {name: mine, title: Mine, csv: mine, table: one, model: lenet, id: digits, protocol: plain, "
        "ood: [uniform], methods: [msp], metrics: [auroc], reference: none}"
    )
    numbers = "paper,table,method,model,id_dataset,ood_dataset,metric,value,source"
    (folder / "paper/mine.csv").write_text(f"{numbers}\nmine,one,msp,lenet,digits,uniform,auroc,12.5,page 1\n")
    status, said = sweep("seed=0", "seed=1", flags=["--config-dir", str(folder)])
    assert status == 0
    assert "12.5" in said
    assert f"ood-bench report --results outputs/quickstart/results --config-dir '{folder}'" in said


def test_a_dry_run_starts_nothing(sweep, store):
    def launch(_words):
        raise AssertionError("nothing must be launched")

    status, said = sweep("seed=0", "seed=1", words=["method=msp", "dry_run=true"], launch=launch)
    assert status == 0
    assert "2 to train, 0 of them for several jobs" in said
    assert "jobs in the order in which they start: 0 experiment=quickstart" in said
    assert "nothing is known yet of 4 cells and classifiers" in said
    assert "dry_run" not in said
    assert sweep("dry_run=true", "seed=1", launch=launch)[0] == 0  # one job that says so is enough
    assert not manifest.folder(store).exists()


def test_a_failed_job_stops_no_other_and_is_named(sweep, toy):
    status, said = sweep("train.optimizer.lr=1e29", "train.optimizer.lr=0.01", words=["method=msp", "train.epochs=2"])
    assert status == REFUSED_OR_MISSING
    assert "sweep: 1 of 2 cells have a record" in said
    assert said.count("failed: ") == 1
    assert "failed: msp on uniform, seed 0: loss or weights of lenet-digits" in said
    assert f"ood-bench {' '.join(toy)} method=msp train.epochs=2 train.optimizer.lr=1e29" in said
    assert "the same sweep again computes all that is missing, and nothing else" in said


def test_a_job_that_ends_without_a_message_is_named(sweep):
    status, said = sweep("seed=0", launch=lambda jobs: [None] * len(jobs))
    assert status == REFUSED_OR_MISSING
    assert "failed: msp on uniform, seed 0: its job ended without a message" in said


def test_what_would_be_refused_is_refused_before_anything_starts(sweep):
    with pytest.raises(
        ConfigError,
        match=r"(?s)train: epochs: .* is -1.*\(job: .* train\.epochs=-1; nothing of the sweep was started\)",
    ):
        sweep("train.epochs=1", "train.epochs=-1")
    with pytest.raises(ConfigError) as caught, naming(["seed=1"]):
        raise ConfigError("no images", "place them")
    assert caught.value.message == "no images\n(job: seed=1; nothing of the sweep was started)"
    assert caught.value.hint == "place them"


def test_a_launcher_that_gives_up_is_called_again_while_that_helps(sweep):
    """As joblib does when one of its workers is killed."""
    calls = []

    def launch(words):
        calls.append(len(words))
        one_by_one(words[:1])
        raise RuntimeError("a worker was killed")

    status, _ = sweep("seed=0", "seed=1", launch=launch)
    assert status == 0
    assert calls == [2, 1]


def test_ctrl_c_names_what_is_missing_with_the_commands_that_run_it(sweep, toy):
    def launch(words):
        one_by_one(words[:1])
        raise KeyboardInterrupt

    status, said = sweep("seed=0", "seed=1", launch=launch, flags=["--config-dir", "my conf"])
    assert status == INTERRUPTED
    assert "interrupted: 1 of 2 cells have a record missing: msp on uniform, seed 1 " in said
    assert f"ood-bench --config-dir 'my conf' {' '.join(toy)} method=msp seed=1" in said
    assert said.count("missing: ") == 1
    assert "failed" not in said
    assert said.endswith("the same sweep again computes all that is missing, and nothing else")


def test_a_launcher_that_gives_up_for_good(sweep):
    calls = []

    def launch(words):
        calls.append(len(words))
        raise RuntimeError("no queue")

    status, said = sweep("seed=0", launch=launch)
    assert status == REFUSED_OR_MISSING
    assert "failed: msp on uniform, seed 0: the launcher gave up: RuntimeError: no queue" in said
    assert calls == [1, 1]


def test_a_sweep_that_ran_out_of_time_is_no_failure(sweep):
    def launch(jobs):
        return [*one_by_one(jobs[:1]), *(OutOfTime("no time left for this run") for _ in jobs[1:])]

    status, said = sweep("seed=0", "seed=1", launch=launch)
    assert status == OUT_OF_TIME
    assert "sweep: 1 of 2 cells have a record out of time: 1 job not finished" in said
    assert "failed" not in said
    status, said = sweep("seed=0", "seed=1", "seed=2", launch=lambda _: [OutOfTime("no time"), None])
    assert status == REFUSED_OR_MISSING
    assert said.count("failed: ") == 1


def test_shards_are_made_by_jobs_and_joined_by_a_run(sweep, toy, store):
    words = ["method=msp", "scoring.batch_size=8", "scoring.shards=2"]
    code, said = sweep("scoring.shard=0", "scoring.shard=1", words=words)
    assert code == 0
    assert said.endswith("sweep: 2 of 2 shards made; without scoring.shard a run joins them")
    assert len(list((store / "banks").glob("*.shards/*"))) == 4
    assert len(ood_bench.run([*toy, *words])) == 1
    assert not list((store / "banks").glob("*.shards"))


def test_a_shard_that_fails_is_named(sweep):
    def launch(jobs):
        return [*one_by_one(jobs[:1]), OodBenchError("the disk is full")]

    code, said = sweep("scoring.shard=0", "scoring.shard=1", words=["method=msp", "scoring.shards=2"], launch=launch)
    assert code == REFUSED_OR_MISSING
    assert "sweep: 1 of 2 shards made" in said
    assert "failed: msp on uniform, seed 0: the disk is full" in said
    assert "method=msp scoring.shards=2 scoring.shard=1 the same sweep again computes all that is missing" in said
