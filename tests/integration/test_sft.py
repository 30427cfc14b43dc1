"""The supervised stage end to end on the tiny model: it learns, resumes exactly, runs in two processes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from killed_save import torn
from toy_teacher import toy_teacher

from search_r3 import SentenceTransformer
from search_r3.data.pairs import TrainingPair, write_pairs
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.thought_records import ThoughtRecord, write_thoughts
from search_r3.errors import InvalidOptionError
from search_r3.model.adapter import merge_adapter
from search_r3.model.default import load_model
from search_r3.model.prompt_encoder import EvidenceLimits
from search_r3.training.run_folder import newest_checkpoint, read_log
from search_r3.training.sft_config import TrainingConfig
from search_r3.training.sft_run import train

ROOT = Path(__file__).parents[2]
WORDS = ["red", "blue", "apple", "sea", "sun", "star", "book", "story", "copy", "folder", "date", "file"]


def pairs():
    """Two words -> the same words backwards, between two others."""
    generator = random.Random(1)
    found = []
    for number in range(132):
        first, second = WORDS[number // 11], [w for w in WORDS if w != WORDS[number // 11]][number % 11]
        around = generator.sample(WORDS, 2)
        wrong = generator.sample(WORDS, 4)
        positive = f"{around[0]} {second} {first} {around[1]}"
        found.append(
            TrainingPair(
                f"{first} {second}", positive, (" ".join(wrong),), "words", f"q{number}", f"d{number}"
            )
        )
    return found


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A training set and thoughts about half of it, where the package looks for them."""
    monkeypatch.setenv("SEARCH_R3_DATA", str(tmp_path / "data"))
    write_pairs(pairs(), tmp_path / "data" / "training" / "words.parquet")
    thoughts = [
        ThoughtRecord("words", pair.query_id, " ".join(reversed(pair.query.split())), "self", gain, 0)
        for number, pair in enumerate(pairs()[::2])
        for gain in [0.1 if number % 3 else -0.1]
    ]
    write_thoughts(thoughts, tmp_path / "thoughts.parquet", {})
    return tmp_path


def config(built, base, output="run", **changes):
    found = {
        "output": built / output,
        "model": {"base": str(base), "adapter": {"rank": 8, "alpha": 16}},
        "data": {
            "sources": {"words": {"examples": 200}},
            "thoughts": built / "thoughts.parquet",
            "max_query_tokens": 32,
            "max_document_tokens": 32,
            "max_thought_tokens": 8,
            "batch_rows": 8,
            "dev_queries": 10,
            "dev_documents": 40,
        },
        "trainer": {
            "learning_rate": 5e-3,
            "max_steps": 30,
            "eval_steps": 15,
            "save_steps": 15,
            "logging_steps": 1,
            "use_cpu": True,
            "disable_tqdm": True,
        },
    }
    for name, value in changes.items():
        found[name] = {**found.get(name, {}), **value} if isinstance(value, dict) else value
    return TrainingConfig.model_validate(found)


def test_a_kill_at_any_moment_of_a_save_leaves_the_checkpoint_before(built, base):
    """Twenty moments spread over the newest save; from three of them the run is resumed, bit for bit."""
    steps = {"max_steps": 8, "eval_steps": 4, "save_steps": 4}
    whole = config(built, base, "saved", trainer=steps)
    train(whole)
    wanted, newest = losses(whole.output), whole.output / "checkpoint-8"
    for moment, _ in enumerate(torn(newest)):
        assert newest_checkpoint(whole.output) == whole.output / "checkpoint-4"
        if moment in (0, 10, 19):
            killed = config(built, base, f"torn{moment}", trainer=steps)
            shutil.copytree(whole.output, killed.output, ignore=shutil.ignore_patterns("whole-*", "final"))
            facts = (killed.output / "run.json").read_text(encoding="utf-8")
            (killed.output / "run.json").write_text(facts.replace("saved", f"torn{moment}"), encoding="utf-8")
            train(killed, resume=True)
            found = losses(killed.output)
            assert all(found[n]["contrastive"] == wanted[n]["contrastive"] for n in range(5, 9))
    assert newest_checkpoint(whole.output) == newest


def losses(output):
    """The loss of every step, as the newest checkpoint remembers it."""
    newest = max(output.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    history = json.loads((newest / "trainer_state.json").read_text())["log_history"]
    return {entry["step"]: entry for entry in history if "loss" in entry}


@pytest.fixture(scope="module")
def base(tiny_folder):
    return tiny_folder


def test_a_run_learns_and_leaves_a_plain_model(built, base):
    """The loss falls by half, every part is logged, and `final` is a merged model that the runtime loads."""
    final = train(config(built, base, trainer={"max_steps": 60, "eval_steps": 60, "save_steps": 60}))
    found = losses(built / "run")
    assert sorted(found) == list(range(1, 61))
    first, last = (
        np.mean([found[n]["contrastive"] for n in steps]) for steps in (range(1, 6), range(56, 61))
    )
    assert last < 0.5 * first
    for part in ("next_token", "kl", "tokens_per_second", "hours_left"):
        assert part in found[60]
    # A batch in which nothing is taught has a part of 0.
    taught = [found[n]["next_token"] for n in range(1, 61) if found[n]["next_token"]]
    assert np.mean(taught[-10:]) < np.mean(taught[:10])
    model = SentenceTransformer(final, device="cpu")
    assert model[0].max_reasoning_tokens == 8
    assert not any("lora" in name for name, _ in model.named_parameters())
    assert list((built / "run" / "runs").glob("**/events.*")) or list((built / "run").glob("**/events.*"))
    facts = json.loads((built / "run" / "run.json").read_text())[0]
    assert facts["config"]["data"]["sources"]["words"]["examples"] == 200
    assert facts["thinking_examples"] > 0 and facts["taught_examples"] > 0
    assert {"words", "thoughts"} == set(facts["data_hashes"])
    assert facts["environment"]["versions"]["torch"]


@pytest.mark.parametrize("adapter", [{"rank": 2}, None], ids=["adapter", "full"])
def test_a_run_with_passages_leaves_a_model_that_reads_as_much(built, base, adapter):
    """What was read is counted, and the final model has the run's limits; without passages the base's."""
    options = {"max_steps": 2, "eval_steps": 2, "save_steps": 2}
    data = {"max_passage_tokens": 9, "max_evidence_tokens": 20, "thinking_share": 1.0}
    plain = config(built, base, "plain", model={"adapter": adapter}, data=data, trainer=options)
    model = SentenceTransformer(train(plain), device="cpu")
    assert model.reasoning_module.evidence_limits == EvidenceLimits(128, 512)
    write_thoughts(
        [
            ThoughtRecord("words", pair.query_id, "sun", "bridge", 0.0, 1, True, ("a passage", pair.positive))
            for pair in pairs()
        ],
        built / "thoughts.parquet",
        {},
    )
    reads = config(built, base, "reads", model={"adapter": adapter}, data=data, trainer=options)
    model = SentenceTransformer(train(reads), device="cpu")
    assert model.reasoning_module.evidence_limits == EvidenceLimits(9, 20)
    facts = [json.loads((run.output / "run.json").read_text())[0] for run in (plain, reads)]
    assert [one["reading_examples"] for one in facts] == [0, 200]


def test_a_run_of_a_reading_adapter_changes_nothing_else(built, base):
    """Examples without passages are left out; it learns, and other vectors are the base's, bit for bit."""
    write_thoughts(
        [
            ThoughtRecord("words", pair.query_id, "sun", "bridge", 0.0, 1, True, (pair.positive,))
            for pair in pairs()[:100]
        ],
        built / "thoughts.parquet",
        {},
    )
    reads = config(
        built,
        base,
        model={"adapter": {"rank": 8, "alpha": 16, "train_embed_token": False, "only_reading": True}},
        data={"max_evidence_tokens": 20, "thinking_share": 1.0, "dev_queries": 0},
        loss={"hinge": 0.5, "kl": 0.0},
    )
    final = train(reads)
    facts = json.loads((reads.output / "run.json").read_text())[0]
    assert facts["examples"] == facts["reading_examples"] < 200
    found = [entry["contrastive"] for entry in losses(reads.output).values()]
    assert np.mean(found[-5:]) < 0.85 * np.mean(found[:3])
    model, before = SentenceTransformer(final, device="cpu"), SentenceTransformer(str(base), device="cpu")
    texts = [pair.query for pair in pairs()[:5]]
    assert (model.encode_document(texts) == before.encode_document(texts)).all()
    options = {"reasoning": "never"}
    assert (model.encode_query(texts, **options) == before.encode_query(texts, **options)).all()
    assert model.reasoning_module.reasoning == before.reasoning_module.reasoning
    options["evidence"] = [[pair.positive] for pair in pairs()[:5]]
    changed = model.encode_query(texts, **options) - before.encode_query(texts, **options)
    assert np.abs(changed).max() > 0.01


@pytest.mark.parametrize("adapter", [{"rank": 2}, None], ids=["adapter", "full"])
@pytest.mark.parametrize(
    ("before", "thinking_share", "after"),
    [("always", 0.0, "never"), ("never", 1.0, "always"), ("auto", 1.0, "auto")],
)
def test_a_run_leaves_a_model_that_thinks_if_it_was_taught_to(
    built, base, adapter, before, thinking_share, after
):
    """By default, queries of a model that saw no thought do not think; those of another one do."""
    start = SentenceTransformer(base, device="cpu")
    start[0].reasoning = before
    start.save(str(built / "start"), create_model_card=False)
    options = {"max_steps": 2, "eval_steps": 2, "save_steps": 2}
    data = {"thinking_share": thinking_share}
    run = config(built, built / "start", model={"adapter": adapter}, data=data, trainer=options)
    assert SentenceTransformer(train(run), device="cpu")[0].reasoning == after


def test_the_same_configuration_gives_the_same_model(built, base):
    """Two runs are equal to the last bit."""
    one, other = (train(config(built, base, output=name)) for name in ("one", "other"))
    first, second = (SentenceTransformer(folder, device="cpu").state_dict() for folder in (one, other))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_full_fine_tuning_and_cached_gradients(built, base):
    """Without an adapter every weight is trained; with gradient caching the loss is the plain one."""
    options = {"max_steps": 3, "eval_steps": 3, "save_steps": 3}
    plain = config(built, base, "plain", model={"adapter": None}, trainer=options)
    cached = config(
        built,
        base,
        "cached",
        model={"adapter": None},
        loss={"cached": True, "mini_batch_tokens": 64},
        trainer=options,
    )
    train(plain)
    train(cached)
    wanted, found = losses(built / "plain"), losses(built / "cached")
    for step in (1, 2, 3):
        for part in ("contrastive", "next_token"):
            assert found[step][part] == pytest.approx(wanted[step][part], abs=2e-3), (step, part)
    facts = json.loads((built / "plain" / "run.json").read_text())[0]
    model = SentenceTransformer(built / "plain" / "final", device="cpu")
    assert facts["trained_parameters"] == sum(weights.numel() for weights in model.parameters())


RUN = """
import sys, torch
from pathlib import Path
torch.set_num_threads(1)
sys.path.insert(0, TESTS)
from toy_teacher import toy_teacher
from search_r3.errors import SearchR3Error
from search_r3.training import sft_run
from search_r3.training.sft_config import read_config
sft_run.load_teacher = toy_teacher
try:
    sft_run.train(read_config(Path(sys.argv[1])), resume="--resume" in sys.argv)
except SearchR3Error as error:
    sys.exit(str(error))
"""


def test_killed_run_resumes_bit_for_bit(built, base, monkeypatch):
    """SIGKILL after the first checkpoint; resumed, every later loss and the weights are the whole run's.

    With distillation, whose map to the teacher's space is trained too and belongs to no model.
    """
    monkeypatch.setattr("search_r3.training.sft_run.load_teacher", toy_teacher)
    options = {"loss": {"distillation": 0.5}}
    whole = train(config(built, base, "whole", **options))
    path = built / "killed.toml"
    path.write_text(_toml(config(built, base, "killed", **options)))
    program = RUN.replace("TESTS", repr(str(Path(__file__).parent)))
    command = [sys.executable, "-c", program, str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while newest_checkpoint(built / "killed") is None:
        assert process.poll() is None, process.stderr.read().decode()[-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (built / "killed" / "final").exists()

    script = [sys.executable, str(ROOT / "train" / "sft.py"), str(path)]
    refused = subprocess.run(script, env=environment, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "Pass --resume to go on with it" in refused.stderr
    subprocess.run([*command, "--resume"], env=environment, check=True, capture_output=True)
    wanted, found = losses(built / "whole"), losses(built / "killed")
    for step in range(16, 31):
        for part in (
            "loss",
            "contrastive",
            "distillation",
            "next_token",
            "kl",
            "grad_norm",
            "learning_rate",
        ):
            assert found[step][part] == wanted[step][part], (step, part)
    first, second = (
        SentenceTransformer(f, device="cpu").state_dict() for f in (whole, built / "killed" / "final")
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert len(json.loads((built / "killed" / "run.json").read_text())) == 2


def test_another_run_in_the_folder_is_refused(built, base):
    """Resuming with another configuration would mix two runs."""
    options = {"max_steps": 2, "eval_steps": 2, "save_steps": 2}
    train(config(built, base, trainer=options))
    with pytest.raises(InvalidOptionError, match="of a run with another config"):
        train(config(built, base, trainer={**options, "learning_rate": 1e-4}), resume=True)


def test_early_stopping_and_best_checkpoint(built, base, monkeypatch):
    """Without a better dev score training stops, and `final` is the best checkpoint, not the last."""
    scores = iter([0.1, 0.9, 0.5, 0.4])

    def measure(self, *arguments, **options):
        score = next(scores)
        return {"never_words": score, "never_ndcg_at_10": score}

    monkeypatch.setattr("search_r3.training.dev_split.DevEvaluator.__call__", measure)
    options = {"max_steps": 30, "eval_steps": 3, "save_steps": 3, "save_total_limit": 9}
    train(config(built, base, patience=2, evaluation_arms=("never",), trainer=options))
    assert max(losses(built / "run")) == 12  # the second score is the best; two more are not better
    final = SentenceTransformer(built / "run" / "final", device="cpu").encode_document(["red sea"])
    vectors = {
        step: merge_adapter(load_model(str(base), device="cpu"), built / "run" / f"checkpoint-{step}")
        for step in (6, 12)
    }
    found = {step: model.encode_document(["red sea"]) for step, model in vectors.items()}
    assert np.abs(final - found[6]).max() < 1e-6 < np.abs(final - found[12]).max()


def test_dev_tasks_choose_the_checkpoint(built, base, monkeypatch):
    """They are asked for as configured and noted with their hash; a dev split beside them is refused."""
    task = RetrievalTask({"q": "red sea"}, {"a": "sea red", "b": "story file"}, {"q": {"a": 1}})
    asked = []

    def load(names, **options):
        asked.append((names, options))
        return {"elsewhere": task}

    monkeypatch.setattr("search_r3.training.sft_run.load_dev_suite", load)
    chosen = {"dev": {"tasks": ["elsewhere"], "limit": 3}, "evaluation_arms": ["never"]}
    with pytest.raises(ValueError, match=r"dev_queries=10 would both choose"):
        config(built, base, **chosen)
    run = config(built, base, **chosen, data={"dev_queries": 0})
    train(run)
    assert asked == [(("elsewhere",), {"multihop": None, "limit": 3})]
    (facts,) = json.loads((run.output / "run.json").read_text())
    assert facts["data_hashes"]["elsewhere"] == task.data_hash()
    scores = [entry for entry in read_log(run.output) if "eval_never_ndcg_at_10" in entry]
    assert [entry["step"] for entry in scores] == [15, 30]
    for entry in scores:
        assert entry["eval_never_ndcg_at_10"] == entry["eval_never_elsewhere"]
        assert "eval_never_words" not in entry


def test_checkpointed_layers_in_half_precision(built, base):
    """What the backward pass computes again is computed as before: the losses are those of a run without."""
    shared = {"bf16": True, "max_steps": 4, "eval_steps": 4, "save_steps": 4}
    adapter = {"model": {"base": str(base), "dtype": "bfloat16", "adapter": {"rank": 8, "dropout": 0.1}}}
    found = []
    for checkpointing in (False, True):
        trainer = {**shared, "gradient_checkpointing": checkpointing}
        run = config(built, base, f"run-{checkpointing}", **adapter, trainer=trainer)
        train(run)
        found.append([losses(run.output)[step]["loss"] for step in range(1, 5)])
    assert found[0] == pytest.approx(found[1], rel=1e-2)


def test_half_precision_learns_too(built, base):
    """Frozen weights in bfloat16, mixed precision, KL to the base: parts are finite and the loss falls."""
    options = {"bf16": True, "max_steps": 60, "eval_steps": 60, "save_steps": 60}
    train(config(built, base, model={"dtype": "bfloat16"}, loss={"kl": 0.05}, trainer=options))
    found = losses(built / "run")
    parts = [[found[step][part] for step in found] for part in ("contrastive", "next_token", "kl")]
    assert np.isfinite(parts).all()
    assert np.mean(parts[0][-5:]) < 0.6 * np.mean(parts[0][:5])
    assert max(parts[1]) > 0 and max(parts[2]) > 0


def test_bad_trainer_options_are_named(built, base):
    """A key that the trainer does not know fails before anything is loaded."""
    with pytest.raises(InvalidOptionError, match="lerning_rate"):
        train(config(built, base, trainer={"lerning_rate": 1.0}))
    with pytest.raises(InvalidOptionError, match="Not one batch"):
        train(config(built, base, data={"batch_tokens": 64}))


# -------------------------------------------------------------------------------------- several processes

TWO = """
import sys, torch
from datetime import timedelta
import torch.distributed as dist
torch.set_num_threads(1)
sys.path[:0] = [{tests!r}, {here!r}]
from toy_teacher import toy_teacher
from test_objective import EXAMPLES, features, _disturb
from search_r3 import SentenceTransformer
from search_r3.training.lora import add_adapter
from search_r3.training.run_config import AdapterConfig
from search_r3.training.sft_config import LossConfig
from search_r3.training.objective import SupervisedLoss

rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method={store!r}, rank=rank, world_size=2, timeout=timedelta(seconds=60))
model = SentenceTransformer({base!r}, device="cpu").train()
torch.manual_seed(0)  # of the adapter
add_adapter(model, AdapterConfig(rank=4))
_disturb(model)
torch.manual_seed(1)  # of the map to the teacher
loss = SupervisedLoss(model, LossConfig(distillation=0.5, ranking=0.5), teacher_dimension=6, processes=2)
loss.model = torch.nn.parallel.DistributedDataParallel(model)
parts = loss(features(model, EXAMPLES[:4][rank::2], teacher=toy_teacher(0)[0]))
sum(parts.values()).backward()
gradients = {{n: w.grad for n, w in model.named_parameters() if w.grad is not None}}
gradients["projection"] = loss.distillation.projection.weight.grad
torch.save([{{k: v.item() for k, v in parts.items()}}, gradients], {output!r} + str(rank))
dist.destroy_process_group()
"""


def test_two_processes_have_the_loss_of_one(tiny_folder, tmp_path):
    """A fixed batch dealt to two gloo processes: mean parts and gradients are those of one process."""
    sys.path.insert(0, str(ROOT / "tests" / "unit" / "training"))
    from test_objective import EXAMPLES, _disturb, features

    from search_r3.training.lora import add_adapter
    from search_r3.training.objective import SupervisedLoss
    from search_r3.training.run_config import AdapterConfig
    from search_r3.training.sft_config import LossConfig

    model = SentenceTransformer(tiny_folder, device="cpu").train()
    torch.manual_seed(0)
    add_adapter(model, AdapterConfig(rank=4))
    _disturb(model)
    torch.manual_seed(1)
    loss = SupervisedLoss(model, LossConfig(distillation=0.5, ranking=0.5), teacher_dimension=6)
    whole = loss(features(model, EXAMPLES[:4], teacher=toy_teacher(0)[0]))
    sum(whole.values()).backward()
    program = TWO.format(
        tests=str(ROOT / "tests" / "unit" / "training"),
        here=str(Path(__file__).parent),
        store=f"file://{tmp_path}/store",
        base=str(tiny_folder),
        output=f"{tmp_path}/rank",
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(rank)], stderr=subprocess.PIPE)
        for rank in (0, 1)
    ]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()[-3000:]
    results = [torch.load(f"{tmp_path}/rank{rank}") for rank in (0, 1)]
    for name, part in whole.items():
        mean = (results[0][0][name] + results[1][0][name]) / 2
        assert mean == pytest.approx(part.item(), abs=1e-4), name
    for name, weights in model.named_parameters():
        if weights.grad is not None:
            assert torch.allclose(results[0][1][name], weights.grad, atol=1e-4), name
    projection = loss.distillation.projection.weight.grad
    for _, gradients in results:
        assert torch.allclose(gradients["projection"], projection, atol=1e-5)


def test_torchrun_trains_in_two_processes(built, base):
    """The whole script in two gloo processes: one run file, every step logged once, a model that loads."""
    path = built / "two.toml"
    # 300 tokens bind before four rows do: batches of several sizes, all of which are trained on.
    changes = {"data": {"batch_rows": 4, "batch_tokens": 300}}
    found = config(built, base, "two", **changes, trainer={"ddp_backend": "gloo", "max_steps": -1})
    path.write_text(_toml(found))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [*command, str(ROOT / "train" / "sft.py"), str(path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-30000:]
    runs = json.loads((built / "two" / "run.json").read_text())
    assert [one["processes"] for one in runs] == [2]
    steps = runs[0]["batches_per_epoch"] // 2
    assert sorted(losses(built / "two")) == list(range(1, 3 * steps + 1))
    assert steps > 200 / 8  # of full batches there would be so many at most
    SentenceTransformer(built / "two" / "final", device="cpu").encode_query(["red sea"])


def _toml(found: TrainingConfig) -> str:
    """A configuration as TOML (JSON's strings, numbers and arrays are TOML's too)."""
    lines: list[str] = []
    tables: list[tuple[str, dict]] = [("", json.loads(found.model_dump_json(exclude_none=True)))]
    while tables:
        name, table = tables.pop(0)
        if name:
            lines.append(f"[{name}]")
        for key, value in table.items():
            if isinstance(value, dict):
                tables.append((f"{name}.{key}".strip("."), value))
            else:
                lines.append(f"{key} = {json.dumps(value)}")
    return "\n".join(lines)
