"""A run that is killed at any moment resumes with the same losses; a run of another configuration is refused."""

import bisect
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from app.cli import main
from tests.training.conftest import places_config, write_json
from tests.training.finetune.running import Killed, train
from training.config import ConfigError, read_config
from training.finetune import loop
from training.finetune.loop import Run


def _dying(real: Callable[..., Any], calls: Iterator[int], at: int) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == at:
            raise Killed
        return real(*args, **kwargs)

    return call


@pytest.mark.parametrize("at", [*range(15), *(pytest.param(at, marks=pytest.mark.slow) for at in range(15, 23))])
def test_a_kill_inside_a_checkpoint_changes_no_loss(
    at: int,
    config_file: Path,
    places_data: Path,
    whole_run: tuple[Path, list[float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Die before the at-th change to the folder: seven belong to the first checkpoint, eight to each later one.

    The third checkpoint takes the same steps as the second, so its kills are slow tests.
    """
    calls = itertools.count()
    step = 4 * bisect.bisect_right([4, 13, 21], at)  # before these, the next checkpoint becomes the one to go on from
    with monkeypatch.context() as patch:
        for module, name in ((os, "replace"), (shutil, "rmtree"), (loop, "save_checkpoint"), (torch, "save")):
            patch.setattr(module, name, _dying(getattr(module, name), calls, at))
        with pytest.raises(Killed):
            train(config_file, places_data, tmp_path / "run")
    run = Run(read_config(config_file, []), places_data, tmp_path / "run")
    run.resume()
    assert run.step == step
    run.train()
    assert run.losses == pytest.approx(whole_run[1], abs=1e-5)
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path / "run", whole_run[0]))
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in theirs) < 1e-5


def test_a_killed_process_resumes_with_the_same_losses(
    config_file: Path, places_data: Path, whole_run: tuple[Path, list[float]], tmp_path: Path
) -> None:
    code = (
        "import os, signal, sys, app.cli, training.finetune.loop\n"
        "step = training.finetune.loop.Run.train_step\n"
        "def dying(self, *args):\n"
        "    loss = step(self, *args)\n"
        "    if self.step == 10: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return loss\n"
        "training.finetune.loop.Run.train_step = dying\n"
        "app.cli.main(sys.argv[1:])\n"
    )
    command = ["finetune", "--config", str(config_file), "--data", str(places_data), "--out", str(tmp_path / "run")]
    killed = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, timeout=200, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert torch.load(tmp_path / "run" / "last" / "state.pt", weights_only=True)["step"] == 8
    assert main(command) == 0
    assert json.loads((tmp_path / "run" / "losses.json").read_text()) == pytest.approx(whole_run[1], abs=1e-5)


def test_a_finished_run_does_not_change(
    config_file: Path, places_data: Path, whole_run: tuple[Path, list[float]], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole_run[0], out)
    assert train(config_file, places_data, out) == 0
    assert json.loads((out / "losses.json").read_text()) == whole_run[1]
    assert (out / "model.safetensors").read_bytes() == (whole_run[0] / "model.safetensors").read_bytes()


def test_another_configuration_cannot_resume_a_run(
    config_file: Path,
    places_data: Path,
    whole_run: tuple[Path, list[float]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole_run[0], out)
    command = ["finetune", "--config", str(config_file), "--data", str(places_data), "--out", str(out)]
    assert main([*command, "--set", "epochs=4", "--set", "hidden=32"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"nagayomi: {out} holds a run with another configuration: ")
    assert "hidden was 16 and is 32; epochs was 3.0 and is 4.0." in error
    shutil.rmtree(out / "last")  # a finished run whose state was thrown away
    with pytest.raises(ConfigError, match="epochs was"):
        train(config_file, places_data, out, "epochs=4")


def test_the_interval_of_checkpoints_may_change(
    config_file: Path, places_data: Path, whole_run: tuple[Path, list[float]], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole_run[0], out)
    config = json.loads((out / "last" / "config.json").read_text())
    training = config["nagayomi"]["training"]
    # Written by a version that had other keys.
    del training["class_balance"], training["sets"][0]["removed_share"]
    training["start"] = "random"
    write_json(out / "last" / "config.json", config)
    assert train(config_file, places_data, out, "checkpoint_every=100") == 0


def test_another_tokenizer_cannot_resume_a_run(
    places_data: Path, whole_run: tuple[Path, list[float]], tmp_path: Path, character_tokenizer_file: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole_run[0], out)
    (out / "tokenizer.json").write_text("{}")
    config = tmp_path / "run.toml"
    config.write_text(places_config(character_tokenizer_file), encoding="utf-8")
    with pytest.raises(ConfigError, match="began with another tokenizer than"):
        train(config, places_data, out)


def test_other_examples_cannot_resume_a_run(
    config_file: Path, places_data: Path, whole_run: tuple[Path, list[float]], tmp_path: Path
) -> None:
    out, data = tmp_path / "run", tmp_path / "data"
    shutil.copytree(whole_run[0], out)
    shutil.copytree(places_data, data)
    file = data / "places.json"
    file.write_text(file.read_text(encoding="utf-8").replace("どこにあるか", "どこか"), encoding="utf-8")
    with pytest.raises(ConfigError, match=f"The examples differ from those with which the run in {out} began"):
        train(config_file, data, out)


def test_two_processes_resume_the_run_of_one(
    config_file: Path, places_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without dropout the number of processes changes no loss: here one begins and is killed, two go on."""
    # Batches of one sequence: one of the processes has none in every step.
    overrides = ["dropout=0.0", "batch_tokens=64", "epochs=0.5", "checkpoint_every=5"]
    train(config_file, places_data, tmp_path / "alone", *overrides)
    together = tmp_path / "together"
    real = Run.train_step

    def dying(self: Run, *args: Any) -> float:
        if self.step == 7:
            raise Killed
        return real(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "train_step", dying)
        with pytest.raises(Killed):
            train(config_file, places_data, together, *overrides)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "app.cli"]
    command = ["finetune", "--config", str(config_file), "--data", str(places_data), "--out", str(together)]
    settings = [part for override in overrides for part in ("--set", override)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([*launcher, *command, *settings], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().count('"steps": 12') == 1
    losses = [json.loads((tmp_path / name / "losses.json").read_text()) for name in ("together", "alone")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
