"""The second stage end to end on the tiny model: a hidden keyword decides relevance."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from search_r3 import SentenceTransformer
from search_r3.data.pairs import TrainingPair, write_pairs
from search_r3.data.retrieval_task import RetrievalTask, write_beir
from search_r3.errors import DataError, InvalidOptionError, ModelError
from search_r3.evaluation.arms import thinking_module
from search_r3.rl.capture import CapturedStates
from search_r3.rl.config import RLConfig, read_config
from search_r3.rl.queries import load_queries
from search_r3.rl.rollouts import rollout_seed, sample_rollouts
from search_r3.rl.run import last_checkpoint, make_policy, train
from search_r3.rl.trainer import info_nce

ROOT = Path(__file__).parents[2]
STATES = ("trainer_state.json", "environment.npz")
WORDS = "sea sun tea fish lamp road ship wall bird rain salt wood iron corn milk sand moon star tree leaf"
TASK = RetrievalTask(
    {f"q{n}": f"find number {n}" for n in range(16)},
    {f"d{n}": f"{word} {word}" for n, word in enumerate(WORDS.split())},
    {f"q{n}": {"d7": 1} for n in range(16)},  # whatever is asked, the wall is what is wanted
)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The task as a folder, and a training set for the dev split, where the package looks for it."""
    monkeypatch.setenv("SEARCH_R3_DATA", str(tmp_path / "data"))
    write_beir(TASK, tmp_path / "toy", split="train")
    pairs = [
        TrainingPair(f"{a} {b}", f"{b} {a}", (), "words", f"q{a}{b}", f"d{a}{b}")
        for a in WORDS.split()[:6]
        for b in WORDS.split()[6:16]
    ]
    write_pairs(pairs, tmp_path / "data" / "training" / "words.parquet")
    return tmp_path


def config(toy, base, output="run", **changes):
    found = {
        "output": toy / output,
        "model": {"base": str(base), "adapter": {"rank": 8, "alpha": 16, "train_embed_token": False}},
        "queries": {"sets": {str(toy / "toy"): {"queries": 16, "documents": 20}}},
        "rollouts": {"group": 8, "max_thought_tokens": 4, "may_skip": False},
        "reward": {"retrieval": "log_rank", "margin": 0.0, "direct_weight": 0.0},
        "contrastive": {"weight": 0.0},
        "environment": {"refresh": {"policy": "frozen"}, "neighbours": 4, "nearest": 4, "probe": 10},
        "trainer": {
            "max_steps": 60,
            "learning_rate": 2e-3,
            "per_device_train_batch_size": 32,
            "use_cpu": True,
            "bf16": False,
            "gradient_checkpointing": False,
            "report_to": "none",
            "logging_steps": 1,
            "save_steps": 60,
            "disable_tqdm": True,
        },
    }
    for name, value in changes.items():
        found[name] = {**found.get(name, {}), **value} if isinstance(value, dict) else value
    return RLConfig.model_validate(found)


def history(output, key="loss"):
    """What every step logged, as the newest checkpoint remembers it."""
    newest = max(output.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    log = json.loads((newest / "trainer_state.json").read_text())["log_history"]
    return {entry["step"]: entry for entry in log if key in entry}


def rise(output):
    """How much the thinking rollouts' reward rose, from the first ten steps to the last ten."""
    found = [entry["reward/thinking"] for _, entry in sorted(history(output).items())]
    return np.mean(found[-10:]) - np.mean(found[:10])


@pytest.mark.slow
def test_thoughts_learn_the_hidden_keyword(toy, tiny_folder):
    """The reward rises with every seed; with rewards shuffled among rollouts it does not."""
    rises: dict[bool, list[float]] = {False: [], True: []}
    for shuffled in rises:
        for seed in range(3):
            output = f"{shuffled}-{seed}"
            reward = {"shuffled": shuffled}
            train(config(toy, tiny_folder, output, seed=seed, reward=reward))
            rises[shuffled].append(rise(toy / output))
    # Another processor's rounding makes another run of the same seed: 0.14 to 0.41 were seen, 0.03 shuffled.
    assert np.mean(rises[False]) > 0.15, rises
    assert min(rises[False]) > 0.07 > max(map(abs, rises[True])), rises


def test_a_moving_corpus_is_followed(toy, tiny_folder):
    """With documents that move, every part is logged, the dev split is scored, and thoughts are written."""
    changes = {
        "queries": {
            "sets": {str(toy / "toy"): {"queries": 16, "documents": 20}},
            "dev_sources": ("words",),
            "dev_queries": 5,
            "dev_documents": 20,
        },
        "environment": {
            "refresh": {"policy": "selective", "neighbours": 2, "top": 2, "background": 1, "fresh_for": 1},
            "probe_every": 2,
            "neighbours": 4,
            "nearest": 4,
            "probe": 10,
        },
        "contrastive": {"weight": 0.1, "negatives": 3},
        "trainer": {"max_steps": 6, "eval_steps": 3, "save_steps": 3},
    }
    final = train(config(toy, tiny_folder, **changes))
    found = history(toy / "run")
    for name in (
        "reward/thinking", "reward/direct", "reward/retrieval_gain", "rewards/retrieval/mean",
        "thought/length", "thought/repeated", "thought/budget", "groups/dead", "documents/encoded",
        "documents/age", "documents/mean_cosine", "contrastive", "entropy",
    ):  # fmt: skip
        assert name in found[6], name
    assert 0 < found[6]["documents/encoded"] < 20
    assert any("drift/cosine" in entry for entry in found.values())
    scores = history(toy / "run", "eval_always_ndcg_at_10")
    assert sorted(scores) == [3, 6]
    for name in (
        "eval_never_words",
        "eval_thought_distinct",
        "eval_thought_repeated",
        "eval_thought_perplexity",
    ):
        assert name in scores[6]
    lines = (toy / "run" / "thoughts" / "step-6.jsonl").read_text().splitlines()
    assert len(lines) == 5 and set(json.loads(lines[0])) == {"query", "thought", "ending"}
    assert len(SentenceTransformer(final, device="cpu").encode_query("find number 3")) > 0
    facts = json.loads((toy / "run" / "run.json").read_text())[0]
    assert facts["queries"] == 16 and facts["documents"] == 20 and "dev/words" in facts["data_hashes"]


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
        "from search_r3.rl.config import RLConfig; from search_r3.rl.run import train\n"
        "config = RLConfig.model_validate_json(Path(sys.argv[1]).read_text())\n"
        "train(config, resume='--resume' in sys.argv)\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (toy / "killed" / "checkpoint-102" / "environment.npz").exists():
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
        "from search_r3.rl.config import RLConfig; from search_r3.rl.run import train\n"
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
        for part in ("loss", "grad_norm", "reward/thinking", "reward/direct", "documents/encoded"):
            assert found[step][part] == pytest.approx(wanted[step][part], rel=1e-3, abs=1e-5), (step, part)


def test_captured_states_are_a_plain_pass(adapted_tiny):
    """The state at the embed token out of the loss's padded pass is what the rollout was embedded with."""
    module = thinking_module(adapted_tiny)
    adapted_tiny.eval()
    from search_r3.rl.config import RolloutConfig

    rollouts = sample_rollouts(
        module,
        ["red apple", "the sea and the sun and a star", "red apple"],
        [True, False, False],
        [0, 1, 2],
        RolloutConfig(group=3, max_thought_tokens=6),
        max_query_tokens=32,
    )
    end = module.prompt_encoder.embed_token_id
    prompts = [torch.tensor(rollout.prompt_ids) for rollout in rollouts]
    completions = [torch.tensor([*rollout.thought_ids, end]) for rollout in rollouts]
    width, length = max(map(len, prompts)), max(map(len, completions))
    rows, masks = [], []
    for prompt, completion in zip(
        prompts, completions, strict=True
    ):  # as TRL pads: prompts left, completions right
        left, right = width - len(prompt), length - len(completion)
        rows.append(functional.pad(torch.cat([prompt, completion]), (left, right)))
        masks.append(functional.pad(torch.ones(len(prompt) + len(completion)), (left, right)).long())
    with CapturedStates(module.model) as captured:
        module.model(input_ids=torch.stack(rows), attention_mask=torch.stack(masks))
    ends = width + torch.tensor([len(completion) for completion in completions]) - 1
    found = captured.unit_vectors(ends)
    torch.testing.assert_close(found, torch.stack([r.embedding for r in rollouts]), atol=1e-5, rtol=0)
    assert found.requires_grad
    replayed = adapted_tiny.encode_query_with_thoughts(
        ["red apple", "the sea and the sun and a star", "red apple"],
        thoughts=[rollout.thought_ids for rollout in rollouts],
    )
    np.testing.assert_allclose(found.detach().numpy(), replayed.embeddings, atol=1e-5)
    with CapturedStates(module.model) as captured, pytest.raises(ModelError, match="ran 0 times"):
        captured.unit_vectors(ends)


def test_rollouts_depend_on_their_seed_alone(tiny):
    """The same seed gives the same thought in any batch; the direct rollout has no choice of the policy's."""
    from search_r3.rl.config import RolloutConfig

    module = thinking_module(tiny)
    options = RolloutConfig(group=4, max_thought_tokens=6, may_skip=True)
    queries = ["red apple"] * 4
    together = sample_rollouts(
        module, queries, [True, False, False, False], [0, 1, 2, 1], options, max_query_tokens=32
    )
    [alone] = sample_rollouts(module, queries[:1], [False], [2], options, max_query_tokens=32)
    assert together[2].thought_ids == alone.thought_ids and together[1].thought_ids == together[3].thought_ids
    assert together[1].thought_ids != together[2].thought_ids
    assert together[0].chosen == [False] and together[0].thought_ids == []
    for rollout in together[1:]:
        assert rollout.chosen[:-1] == [True] * len(rollout.thought_ids)
        assert rollout.chosen[-1] == (rollout.ending != "budget")
        assert torch.linalg.norm(rollout.embedding) == pytest.approx(1)
    assert len({rollout_seed(0, step, "q", place) for step in range(3) for place in range(3)}) == 9


def test_completions_of_another_sampler(adapted_tiny):
    """A thought ends before the first structural token; only the embed token finishes it."""
    from search_r3.rl.rollouts import encode_prompts, read_rollouts

    module = thinking_module(adapted_tiny)
    adapted_tiny.eval()
    end = module.prompt_encoder.embed_token_id
    other = next(iter(sorted(module.prompt_encoder.structural_ids - {end})))
    thought = module.prompt_encoder.encode_text("a red star and the sea")[:4]
    prompts = encode_prompts(module, ["red apple"] * 6, 32)
    completions = [
        [*thought, end],
        [*thought, 9],
        [*thought[:2], other, end],
        [end],
        [*thought, end],
        thought[:3],
    ]
    found = read_rollouts(module, prompts, completions, [False] * 4 + [True, False], 4)
    assert [one.ending for one in found] == [
        "embed_token",
        "budget",
        "budget",
        "skipped",
        "skipped",
        "budget",
    ]
    assert [len(one.thought_ids) for one in found] == [4, 4, 2, 0, 0, 3]
    assert [one.chosen[-1] for one in found] == [True, False, False, True, False, False]
    wanted = adapted_tiny.encode_query_with_thoughts(
        ["red apple"] * 6, thoughts=[one.thought_ids for one in found]
    )
    np.testing.assert_allclose(torch.stack([one.embedding for one in found]), wanted.embeddings, atol=1e-5)


def test_trl_can_sample(toy, tiny_folder):
    """With TRL's own generation every step is trained and logged as with ours."""
    changes = {
        "rollouts": {"may_skip": True, "generator": "trl"},
        "trainer": {"max_steps": 3, "save_steps": 3},
    }
    train(config(toy, tiny_folder, **changes))
    found = history(toy / "run")
    assert sorted(found) == [1, 2, 3]
    assert all(np.isfinite(entry["loss"]) and entry["thought/length"] > 0 for entry in found.values())


def test_info_nce_by_hand():
    """Answers and wrong documents of the batch together, other answers of the same query left out."""

    class Corpus:
        class rows:
            embeddings = np.eye(4, dtype=np.float32)

        @staticmethod
        def is_relevant(ids, rows):
            return np.array([[(row in {"a": (0, 3), "b": (1,)}[one]) for row in rows] for one in ids])

    embeddings = torch.tensor([[0.8, 0.6, 0.0, 0.0], [0.0, 0.6, 0.8, 0.0]], requires_grad=True)
    loss = info_nce(embeddings, torch.tensor([[0, 2], [1, 3]]), Corpus, ["a", "b"], 0.5)
    first = -np.log(np.exp(1.6) / (np.exp(1.6) + np.exp(1.2) + 1))  # row 3 answers a as well
    second = -np.log(np.exp(1.2) / (1 + np.exp(1.2) + np.exp(1.6) + 1))
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)
    loss.backward()
    assert embeddings.grad.abs().sum() > 0


def test_queries_of_several_sets(toy):
    """One corpus, ids with the set's name, equal queries joined, nothing that the dev split asks."""
    queries = config(toy, "x").queries.model_copy(
        update={"dev_sources": ("words",), "dev_queries": 5, "dev_documents": 20}
    )
    sets = {**queries.sets, "words": next(iter(queries.sets.values())).model_copy(update={"documents": 30})}
    data = load_queries(queries.model_copy(update={"sets": sets}), 0)
    [dev] = data.dev.values()
    asked = set(dev.queries.values())
    assert len(asked) == 5 and not asked & set(data.task.queries.values())
    assert len(data.task.queries) == 32 and len(data.task.corpus) == 50
    assert sum(doc_id.startswith("words/") for doc_id in data.task.corpus) == 30
    assert load_queries(queries.model_copy(update={"sets": sets}), 0).task == data.task
    with pytest.raises(DataError, match="no set 'nothing'"):
        load_queries(queries.model_copy(update={"sets": {"nothing": sets["words"]}}), 0)


def test_other_wordings_of_a_dev_answer_are_not_asked(toy):
    """A query whose best answer holds a dev answer, alone or between semicolons, is not trained on."""
    queries = config(toy, "x").queries.model_copy(
        update={"dev_sources": ("words",), "dev_queries": 5, "dev_documents": 20}
    )
    [dev] = load_queries(queries, 0).dev.values()
    answer = dev.corpus[next(iter(next(iter(dev.qrels.values()))))]
    asked = next(iter(dev.queries.values()))
    task = RetrievalTask(
        {"same": "another wording", "part": "a third", "asked": "a fourth", "far": "a fifth"},
        {"a": answer, "b": f"x; {answer.upper()}; y", "c": f"{asked}; z", "d": "something else"},
        {"same": {"a": 1}, "part": {"b": 2, "d": 1}, "asked": {"c": 1}, "far": {"d": 2, "a": 1}},
    )
    write_beir(task, toy / "graded", split="train")
    some = next(iter(queries.sets.values()))
    data = load_queries(queries.model_copy(update={"sets": {str(toy / "graded"): some}}), 0)
    assert list(data.task.queries.values()) == ["a fifth"] and len(data.task.corpus) == 4


@pytest.mark.parametrize(
    ("distinct", "perplexity", "reason"),
    [
        ([0.5, 0.3, 0.26], [5, 6, 7], None),
        ([0.5, 0.3, 0.24], [5, 6, 7], "fell from 0.500 to 0.240"),
        ([0.5, 0.5, 0.5], [5, 6, 1001], "rose to 1001"),
    ],
)
def test_decay_stops_training_and_chooses_no_checkpoint(distinct, perplexity, reason):
    """The first evaluation of the log is the reference; one that shows decay cannot be the best."""
    from transformers import TrainerControl, TrainerState

    from search_r3.rl.config import HealthConfig
    from search_r3.rl.dev_evaluation import StopOnDecay

    log = [
        {"eval_score": 0.9, "eval_thought_distinct": one, "eval_thought_perplexity": other}
        for one, other in zip(distinct, perplexity, strict=True)
    ]
    stop, control = StopOnDecay(HealthConfig(), "eval_score"), TrainerControl()
    last = dict(log[-1])
    stop.on_evaluate(None, TrainerState(log_history=log), control, metrics=last)  # as after a resume
    assert control.should_training_stop == (reason is not None)
    assert last["eval_score"] == (0.9 if reason is None else float("-inf"))
    assert (reason or "") in (stop.reason or "") and bool(reason) == bool(stop.reason)


def test_health_by_hand():
    """Distinct and repeated tokens, cosines of pairs, and perplexity as the exponential of the mean loss."""
    from search_r3.rl.health import distinct_share, mean_pair_cosine, repeated_share

    thoughts = [[1, 2, 2], [1], []]
    assert distinct_share(thoughts) == 0.5 and repeated_share(thoughts) == 0.25
    assert np.isnan(distinct_share([[]])) and np.isnan(repeated_share([]))
    assert mean_pair_cosine(np.tile([[0.6, 0.8]], (9, 1))) == pytest.approx(1)
    assert mean_pair_cosine(np.eye(2)) == 0  # a row is never paired with itself


def test_perplexity_is_that_of_the_plain_model(tiny):
    """The same as the model's own loss over the thought's tokens."""
    from search_r3.rl.health import thought_perplexity

    model = thinking_module(tiny).model.eval()
    prompts, thoughts = [[5, 6, 7], [8, 9], [3]], [[10, 11], [12, 13, 14], []]
    total = 0.0
    for prompt, thought in zip(prompts, thoughts, strict=True):
        if thought:
            labels = torch.tensor([[-100] * len(prompt) + thought])
            with torch.no_grad():
                total += float(model(input_ids=torch.tensor([prompt + thought]), labels=labels).loss) * len(
                    thought
                )
    assert thought_perplexity(model, prompts, thoughts) == pytest.approx(np.exp(total / 5), rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainer": {"save_steps": 3, "num_iterations": 2}}, "rollouts are half used"),
        ({"trainer": {"lerning_rate": 1.0}}, "lerning_rate"),
    ],
)
def test_runs_that_cannot_be(toy, tiny_folder, changes, message):
    """Options that the trainer does not know, or that would make a resume inexact, fail at once."""
    with pytest.raises(InvalidOptionError, match=message):
        train(config(toy, tiny_folder, **changes))


def test_a_checkpoint_without_its_environment_is_passed_over(tmp_path):
    """What was being written when a run was killed is not resumed from."""
    for step, files in {5: STATES, 10: STATES, 15: STATES[:1], 20: STATES[1:]}.items():
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        for name in files:
            (folder / name).touch()
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert last_checkpoint(tmp_path / "none") is None


@pytest.mark.parametrize("policy", ["frozen", "none", "in_batch"])
def test_plain_policies(toy, policy):
    """Every name makes its policy."""
    made = make_policy(config(toy, "x", environment={"refresh": {"policy": policy}}).environment)
    assert type(made).__name__ == {"frozen": "Frozen", "none": "NoRefresh", "in_batch": "InBatch"}[policy]


def test_unknown_keys_fail(tmp_path):
    """A typo is an error that names the key."""
    (tmp_path / "a.toml").write_text('output = "x"\n[queries.sets.a]\nqueries = 1\ndocument = 3\n')
    with pytest.raises(InvalidOptionError, match="document"):
        read_config(tmp_path / "a.toml")
    (tmp_path / "b.toml").write_text(
        'output = "x"\n[queries.sets.a]\nqueries = 1\ndocuments = 3\n[trainer]\ntemperature = 2.0\n'
    )
    with pytest.raises(InvalidOptionError, match="decided by the other tables, or not used"):
        read_config(tmp_path / "b.toml")
    (tmp_path / "c.toml").write_text(
        'output = "x"\n[queries.sets.a]\nqueries = 1\ndocuments = 3\n[rollouts]\nmay_skip = false\n'
    )
    with pytest.raises(InvalidOptionError, match="wants direct_weight=0"):
        read_config(tmp_path / "c.toml")


@pytest.mark.parametrize("path", sorted((ROOT / "train" / "configs").glob("*/grpo.toml")), ids=str)
def test_shipped_configurations_are_valid(path):
    """Every recipe is read, and its dev split is that of the supervised run beside it."""
    found = read_config(path)
    supervised = path.with_name("sft.toml")
    assert supervised.is_file() and found.queries.dev_seed == 0
