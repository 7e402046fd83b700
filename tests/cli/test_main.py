"""``ood-bench``, which is ``python -m ood_bench``, as people type it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ood_bench import __version__ as ood_bench_version
from ood_bench.cli.help import COMMANDS
from ood_bench.config import compose_settings
from ood_bench.errors import DataError

RECORDS = Path("outputs/quickstart/results/records")


def ood_bench(*words, python=(), cwd):
    """A process of its own; gives its status, and its two streams with those of errors on one line."""
    command = [sys.executable, *python, "-m", "ood_bench", *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout, " ".join(done.stderr.split())


def test_help_may_be_cut_off_by_its_reader(tmp_path):
    command = f"{sys.executable} -m ood_bench --help | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.startswith("ood-bench ")
    assert done.stderr == ""


def test_a_run_on_a_terminal_says_a_word_before_anything_slow(command_line, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("ood_bench.cli.job.run", lambda words: 0)
    assert command_line("experiment=quickstart").err == f"ood-bench {ood_bench_version}: reading the configuration"


def test_without_data_one_message_says_how_to_go_on(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OOD_BENCH_DATA", raising=False)
    status, out, err = command_line()
    assert status == 2
    assert out == ""
    assert err.count("error:") == 1
    assert "Traceback" not in err
    for mend in (
        "some image sets are not under data.root=data:",
        "ood-bench data fetch cifar10 --root data",
        "ood-bench data fetch lsun_crop --root data",
        "Set data.root (or the environment variable OOD_BENCH_DATA)",
        "data.download=true",
        "Without any data: ood-bench experiment=quickstart",
    ):
        assert mend in err
    assert list(tmp_path.iterdir()) == []


def imported(err):
    """Names of the modules in what ``-X importtime`` writes."""
    return {part.split()[0] for part in err.split("|") if part.strip()}


@pytest.mark.parametrize("words", [["--help"], ["list", "paper"], ["--version"]])
def test_help_works_anywhere_and_imports_nothing_slow(tmp_path, words):
    status, out, err = ood_bench(*words, python=("-X", "importtime"), cwd=tmp_path)
    assert status == 0
    assert out
    names = imported(err)
    assert "ood_bench.cli.help" in names
    assert not names & {"torch", "sklearn", "pandas", "numpy", "hydra", "omegaconf", "pydantic", "rich"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", [*COMMANDS])
def test_every_command_shows_its_own_help(command_line, word):
    for words in ([word, "--help"], ["--help", word]):
        said = command_line(*words)
        assert said.status == 0
        assert said.out.startswith(f"usage: ood-bench {word} ")


UNKNOWN = [
    (["reprot"], "(did you mean report?)", "ood-bench --help"),
    (["quickstart"], "'quickstart' is no command", "train=quickstart or experiment=quickstart"),
    (["model"], "'model' is no command", "model=NAME; ood-bench list model"),
    (["-m", "paper=odin_densenet_cifar10", "isn"], "'isn' is neither a command nor", ""),
    (["list", "methd"], "there is no group 'methd' (did you mean method?)", ""),
    (["--help", "sttus"], "there is no command 'sttus' (did you mean status?)", ""),
    (["--help", "methd"], "there is no group 'methd' (did you mean method?)", ""),
    (["--help", "quickstart"], "there is no group 'quickstart'", "write train=quickstart or experiment=quickstart"),
    (["experimnt=quickstart"], "there is no key 'experimnt' (did you mean experiment?)", "write experiment=quickstart"),
    (["experiment=quickstart", "train.epoch=1"], "there is no key 'train.epoch' (did you mean train.epochs?)", ""),
    (["method=odni"], "there is no method 'odni' (did you mean odin?); ood-bench list method shows all ", ""),
    (["method=[msp,odni]"], "there is no method 'odni' (did you mean odin?)", ""),
    (
        ["-m", "experiment=quickstart", "method=msp,odni"],
        "(did you mean odin?)",
        "(job: experiment=quickstart method=odni;",
    ),
    (["model=null", "checkpoint=null"], "configuration: model=null: a group cannot be null", "ood-bench list GROUP"),
    (["+method.energy.temperature=2"], "method.energy._target_ is None", "has to be selected, too: method=energy"),
    (["data.root=a,b"], "cannot read 'data.root=a,b'", "'data.root=\"a,b\"', or 'data.root=[a,b]' for a list, or -m"),
    (["data.root=a(b)"], "cannot read 'data.root=a(b)'", "'data.root=\"a(b)\"'"),
    (["-m", "seed=0,1", "data.root=a#b"], "cannot read 'data.root=a#b'", "'data.root=\"a#b\"'"),
    (["method=[msp"], "cannot read 'method=[msp'", "each quote and bracket closed"),
]


@pytest.mark.parametrize("case", UNKNOWN, ids=[" ".join(words) for words, *_ in UNKNOWN])
def test_an_unknown_word_is_refused_with_the_nearest_known_one(quick, command_line, case):
    words, *wanted = case
    said = command_line(*words)
    assert said.status == 2
    for part in wanted:
        assert part in said.err
    assert said.err.count("error:") == 1


def test_of_a_config_in_a_folder_beside_the_flag_for_it_is_named(command_line, tmp_path, monkeypatch):
    (tmp_path / "my conf/id").mkdir(parents=True)
    (tmp_path / "my conf/id/flowers.yaml").touch()
    monkeypatch.chdir(tmp_path)
    said = command_line("id=flowers", "method=msp", "ood=uniform")
    assert said.status == 2
    assert "my conf/id/flowers.yaml is there: add --config-dir 'my conf'" in said.err


def test_hydras_flags_and_values_of_flags_are_left_to_hydra(command_line, tmp_path):
    (tmp_path / "mine/method").mkdir(parents=True)
    (tmp_path / "mine/method/own.yaml").write_text("# @package method.own\nname: own\n")
    said = command_line("--config-dir", str(tmp_path / "mine"), "--cfg", "job", "-p", "method", "method=own")
    assert (said.status, said.out) == (0, "# @package method own: name: own")
    assert "shipped" not in command_line("--info", "searchpath").err
    assert "--multirun" in command_line("--hydra-help").out


def test_cfg_job_works_anywhere_and_shows_what_would_run(tmp_path):
    words = ["experiment=quickstart", "seed=7", "method=[msp,odin]"]
    status, out, _ = ood_bench("--cfg", "job", *words, cwd=tmp_path)
    assert status == 0
    shown = OmegaConf.create(out)
    assert shown.seed == 7
    assert list(shown.method) == ["msp", "odin"]
    assert shown.model == OmegaConf.create(compose_settings(words).model)
    assert list(tmp_path.iterdir()) == []


def test_the_console_script_finds_classes_in_the_working_directory(command_line, tmp_path, monkeypatch):
    """As ``python -m`` does; the script itself lies in another folder."""
    (tmp_path / "mine.py").write_text("from ood_bench.methods.msp import Msp\n\nclass Own(Msp):\n    pass\n")
    (tmp_path / "conf/method").mkdir(parents=True)
    (tmp_path / "conf/method/own.yaml").write_text("# @package method.own\n_target_: mine.Own\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    words = ["--config-dir", "conf", "experiment=quickstart", "ood=uniform", "method=own", "dry_run=true"]
    status, out, err = command_line(*words)
    assert status == 0, err
    assert "plan: 1 job with 1 cell;" in out


def test_a_sweep_runs_every_value(quick, command_line):
    words = [word for word in quick if not word.startswith("method=")]
    status, out, err = command_line("-m", *words, "method=msp,odin")
    assert status == 0, err
    assert "Launching 2 jobs locally" in out
    assert out.count("1 records (1 new)") == 2
    methods = {path.relative_to(RECORDS).parts[3] for path in RECORDS.rglob("*.json")}
    assert methods == {"msp", "odin"}
    assert len(list(Path("outputs/quickstart/store/classifiers").glob("*/classifier.json"))) == 1


def test_a_run_shows_its_table_and_its_files(quick, command_line):
    said = command_line(*quick, "method=[msp,odin]", "method.odin.magnitudes=[0.0]")
    assert said.status == 0
    assert "digits (classes 0 to 7), lenet, protocol plain, seed 0, percent" in said.out
    paths = sorted(RECORDS.rglob("*.json"))
    values = {path.parts[-3]: json.loads(path.read_text()) for path in paths}
    assert set(values) == {"msp", "odin"}
    for method, record in values.items():
        assert f"{method} {record['metrics']['auroc']['value']:.2f}" in said.out
    assert values["odin"]["hyperparameters"]["magnitudes"] == [0.0]
    assert "2 records (2 new) under outputs/quickstart/results/records" in said.out
    assert "ood-bench report --results outputs/quickstart/results" in said.out
    assert "2 cells, 2 of them to compute" in said.err
    assert "msp on uniform, seed 0: AUROC" in said.err

    again = command_line(*quick, "method=[msp,odin]", "method.odin.magnitudes=[0.0]")
    assert again.status == 0
    assert "2 records (0 new)" in again.out
    assert "2 cells, 0 of them to compute" in again.err
    for path in paths:
        assert f"skipped,itsrecordexists:{path}" in again.err.replace(" ", "")  # log lines break anywhere
    assert sorted(RECORDS.rglob("*.json")) == paths

    planned = command_line(*quick, "method=[msp,energy]", "dry_run=true")
    record = next(path for path in paths if "/msp/" in str(path))
    assert f"skipped: msp on uniform, seed 0: {record} jobs in the order" in planned.out


def test_every_form_of_a_selection(quick, command_line):
    few = [word for word in quick if "uniform" not in word]
    for selection in ("ood=gaussian", "ood=[gaussian]"):
        said = command_line(*few, selection, "ood.gaussian.source.count=10")
        assert said.status == 0
        assert "1 records" in said.out
    assert len(list(RECORDS.rglob("*.json"))) == 1


def fail_with(error):
    def fail(_settings):
        raise error

    return fail


@pytest.mark.parametrize("place", [0, 1, 2])
def test_overrides_may_stand_on_both_sides_of_a_flag(command_line, place):
    words = ["seed=7", "method=msp"]
    words[place:place] = ["--cfg", "job", "-p", "method"]
    said = command_line(*words)
    assert said.status == 0
    assert said.out.startswith("# @package method msp:")


def test_settings_reach_the_jobs_of_a_sweep_that_select_what_they_set(quick, command_line, tmp_path):
    (tmp_path / "my conf/method").mkdir(parents=True)
    (tmp_path / "my conf/method/own.yaml").write_text("# @package method.own\n_target_: ood_bench.methods.msp.Msp\n")
    said = command_line(
        *quick[:1], *quick[2:], "-m", "method=own,energy", "method.energy.temperature=2", "dry_run=true",
        "--config-dir", "my conf",
    )  # fmt: skip
    assert said.status == 0, said.err
    assert "plan: 2 jobs with 2 cells" in said.out
    own, energy = said.out.split(" 0 experiment=")[1].split(" 1 experiment=")
    assert "method=own" in own
    assert "method.energy" not in own
    assert "method=energy method.energy.temperature=2" in energy


def test_a_failed_job_of_a_sweep_is_named_with_a_command_that_finds_its_configs(quick, command_line, tmp_path):
    (tmp_path / "my conf/method").mkdir(parents=True)
    (tmp_path / "my conf/method/own.yaml").write_text("# @package method.own\n_target_: ood_bench.methods.msp.Msp\n")
    said = command_line(
        "-m", "--config-dir", "my conf", *quick[:1], *quick[2:], "method=own", "train.optimizer.lr=1e29"
    )
    assert said.status == 2
    command = f"ood-bench --config-dir '{tmp_path}/my conf' experiment=quickstart "
    assert f"{command}ood=uniform" in said.out.replace("\n", "")


def test_ctrl_c_says_how_to_go_on(quick, command_line, monkeypatch):
    monkeypatch.setattr("ood_bench.runner.execute.execute", fail_with(KeyboardInterrupt()))
    said = command_line(*quick)
    assert said.status == 130
    assert "interrupted: the same command goes on from the last whole epoch" in said.err
    assert "Traceback" not in said.err + said.out


def test_an_error_is_one_message(quick, command_line, monkeypatch):
    monkeypatch.setattr("ood_bench.runner.execute.execute", fail_with(DataError("what is wrong: what to do")))
    said = command_line(*quick)
    assert said.status == 2
    assert said.err.endswith("error: what is wrong: what to do")
    assert "Traceback" not in said.err + said.out


@pytest.mark.parametrize("words", ["--help", "--cfg job"])
@pytest.mark.parametrize(("stream", "status"), [(">/dev/full", 2), (">&-", 0), ("2>&-", 0), (">&- 2>&-", 0)])
def test_an_output_that_is_full_or_closed_is_no_bug(tmp_path, words, stream, status):
    command = f"{sys.executable} -m ood_bench {words} {stream}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    if status:
        assert "error: cannot write: No space left on device" in done.stderr
        assert "what was computed is kept: free some space" in done.stderr


def test_a_bug_keeps_its_traceback(quick, command_line, monkeypatch):
    """Only errors that the user can mend are made short."""
    monkeypatch.setattr("ood_bench.runner.execute.execute", fail_with(ZeroDivisionError("a bug")))
    said = command_line(*quick)
    assert said.status == 1
    assert "ZeroDivisionError: a bug" in said.err
