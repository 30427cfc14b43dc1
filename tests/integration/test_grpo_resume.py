"""A run of the second stage that is killed, and one in two processes, are the plain run."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from keyword_task import config, history
from killed_save import torn

from search_r3 import SentenceTransformer
from search_r3.errors import InvalidOptionError
from search_r3.rl.grpo_run import train
from search_r3.training.run_folder import newest_checkpoint


def test_killed_run_resumes_bit_for_bit(toy, tiny_folder):
    """SIGKILL after the first checkpoint; resumed, rewards, losses and weights are the whole run's."""
    changes = {
        "environment": {
            "refresh": {"policy": "selective", "neighbours": 2, "top": 2, "background": 1, "fresh_for": 2},
            "neighbours": 4, "nearest": 4, "probe": 10, "probe_every": 3,
        },
        "contrastive": {"weight": 0.1, "negatives": 3},
    }  # fmt: skip
    # In mid-epoch: an epoch is four steps.
    trainer = {"max_steps": 204, "save_steps": 102}
    whole = config(toy, tiny_folder, "whole", **changes, trainer=trainer)
    path = toy / "killed.json"
    killed = config(toy, tiny_folder, "killed", **changes, trainer=trainer)
    path.write_text(killed.model_dump_json())
    train(whole)
    program = (
        "import sys; from pathlib import Path; import torch; torch.set_num_threads(1)\n"
        "from search_r3.rl.grpo_config import RLConfig; from search_r3.rl.grpo_run import train\n"
        "config = RLConfig.model_validate_json(Path(sys.argv[1]).read_text())\n"
        "train(config, resume='--resume' in sys.argv)\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while newest_checkpoint(toy / "killed", ("environment.npz",)) is None:
        assert process.poll() is None, process.stderr.read().decode()[-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (toy / "killed" / "final").exists()
    with pytest.raises(InvalidOptionError, match="Pass --resume"):
        train(killed)
    subprocess.run([*command, "--resume"], check=True, capture_output=True)
    wanted, found = history(toy / "whole"), history(toy / "killed")
    for step in range(103, 205):
        for part in (
            "loss",
            "reward/thinking",
            "reward/direct",
            "grad_norm",
            "documents/encoded",
            "contrastive",
        ):
            assert found[step][part] == wanted[step][part], (step, part)
    first, second = (
        SentenceTransformer(toy / name / "final", device="cpu").state_dict() for name in ("whole", "killed")
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_kill_at_any_moment_of_a_save_leaves_the_checkpoint_before(toy, tiny_folder):
    """Twenty moments spread over the newest save; from the last one the run is resumed, bit for bit."""
    trainer = {"max_steps": 4, "save_steps": 2, "warmup_steps": 0}
    whole = config(toy, tiny_folder, "saved", trainer=trainer)
    train(whole)
    wanted, newest = history(whole.output), whole.output / "checkpoint-4"
    for moment, _ in enumerate(torn(newest)):
        assert newest_checkpoint(whole.output) == whole.output / "checkpoint-2"
        if moment == 19:
            killed = config(toy, tiny_folder, "torn", trainer=trainer)
            shutil.copytree(whole.output, killed.output, ignore=shutil.ignore_patterns("whole-*", "final"))
            facts = (killed.output / "run.json").read_text(encoding="utf-8")
            (killed.output / "run.json").write_text(facts.replace("saved", "torn"), encoding="utf-8")
            train(killed, resume=True)
            found = history(killed.output)
            assert [found[n]["loss"] for n in (3, 4)] == [wanted[n]["loss"] for n in (3, 4)]
    assert newest_checkpoint(whole.output) == newest


@pytest.mark.parametrize("rows", [16, 4])
def test_two_processes(toy, tiny_folder, rows):
    """Two processes with half of the batch each do what one does, also if a group is on both of them."""
    environment = {
        "refresh": {"policy": "selective", "neighbours": 2, "top": 2, "background": 1, "fresh_for": 1},
        "neighbours": 4, "nearest": 4, "probe": 10, "probe_every": 2,
    }  # fmt: skip
    trainer = {"max_steps": 4, "save_steps": 4, "warmup_steps": 0, "learning_rate": 1e-3}
    configs = {
        name: config(
            toy, tiny_folder, name, environment=environment,
            contrastive={"weight": 0.1, "negatives": 3},
            trainer={**trainer, **options},
        )
        for name, options in {
            "one": {"per_device_train_batch_size": 2 * rows},
            "two": {"per_device_train_batch_size": rows, "ddp_backend": "gloo"},
        }.items()
    }  # fmt: skip
    train(configs["one"])
    path = toy / "two.json"
    path.write_text(configs["two"].model_dump_json())
    program = toy / "two.py"
    program.write_text(
        "import sys; from pathlib import Path; import torch; torch.set_num_threads(1)\n"
        "from search_r3.rl.grpo_config import RLConfig; from search_r3.rl.grpo_run import train\n"
        "train(RLConfig.model_validate_json(Path(sys.argv[1]).read_text()))\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run = subprocess.run(
        [*command, str(program), str(path)],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    wanted, found = history(toy / "one"), history(toy / "two")
    for step in range(1, 5):
        for part in (
            "loss",
            "grad_norm",
            "contrastive",
            "reward/thinking",
            "reward/direct",
            "documents/encoded",
        ):
            assert found[step][part] == pytest.approx(wanted[step][part], rel=1e-3, abs=1e-5), (step, part)
