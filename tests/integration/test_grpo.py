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
from search_r3.rl.run import make_policy, train
from search_r3.rl.trainer import info_nce

ROOT = Path(__file__).parents[2]
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
            reward = _merged(toy, tiny_folder, "reward", {"shuffled": shuffled})
            train(config(toy, tiny_folder, output, seed=seed, reward=reward))
            rises[shuffled].append(rise(toy / output))
    assert min(rises[False]) > 0.25, rises
    assert max(map(abs, rises[True])) < 0.15, rises
    # What it learnt is in the merged model: greedy thoughts find the wall.
    model = SentenceTransformer(toy / "False-2" / "final", device="cpu")
    queries = model.encode_query(list(TASK.queries.values()))
    documents = model.encode_document(list(TASK.corpus.values()))
    assert np.mean((queries @ documents.T).argmax(axis=1) == 7) > 0.8


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
    final = train(
        config(
            toy, tiny_folder, **{key: _merged(toy, tiny_folder, key, value) for key, value in changes.items()}
        )
    )
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


def _merged(toy, base, key, value):
    return {**json.loads(config(toy, base).model_dump_json())[key], **value}


def test_killed_run_resumes_bit_for_bit(toy, tiny_folder):
    """SIGKILL after the first checkpoint; resumed, rewards, losses and weights are the whole run's."""
    changes = {
        "environment": {
            "refresh": {"policy": "selective", "neighbours": 2, "top": 2, "background": 1, "fresh_for": 2},
            "neighbours": 4, "nearest": 4, "probe": 10, "probe_every": 3,
        },
        "contrastive": {"weight": 0.1, "negatives": 3},
    }  # fmt: skip
    trainer = _merged(toy, tiny_folder, "trainer", {"max_steps": 200, "save_steps": 100})
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
    while not (toy / "killed" / "checkpoint-100" / "environment.npz").exists():
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
    for step in range(101, 201):
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


def test_two_processes(toy, tiny_folder):
    """Two processes with half of the batch each earn the rewards of one, and keep one corpus."""
    environment = {
        "refresh": {"policy": "selective", "neighbours": 2, "top": 2, "background": 1, "fresh_for": 1},
        "neighbours": 4, "nearest": 4, "probe": 10, "probe_every": 2,
    }  # fmt: skip
    trainer = {"max_steps": 4, "save_steps": 4, "learning_rate": 1e-3}
    one = config(
        toy, tiny_folder, "one", environment=environment, contrastive={"weight": 0.1, "negatives": 3},
        trainer=_merged(toy, tiny_folder, "trainer", trainer),
    )  # fmt: skip
    two = config(
        toy, tiny_folder, "two", environment=environment, contrastive={"weight": 0.1, "negatives": 3},
        trainer=_merged(
            toy, tiny_folder, "trainer", {**trainer, "per_device_train_batch_size": 16, "ddp_backend": "gloo"}
        ),
    )  # fmt: skip
    train(one)
    path = toy / "two.json"
    path.write_text(two.model_dump_json())
    program = toy / "two.py"
    program.write_text(
        "import sys; from pathlib import Path; import torch; torch.set_num_threads(1)\n"
        "from search_r3.rl.config import RLConfig; from search_r3.rl.run import train\n"
        "train(RLConfig.model_validate_json(Path(sys.argv[1]).read_text()))\n"
    )
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29541",
         str(program), str(path)],
        check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    wanted, found = history(toy / "one"), history(toy / "two")
    for step in range(1, 5):
        for part in ("reward/thinking", "reward/direct", "documents/encoded"):
            assert found[step][part] == pytest.approx(wanted[step][part], abs=1e-4), (step, part)


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
    asked = {text for task in data.dev.values() for text in task.queries.values()}
    assert len(asked) == 5 and not asked & set(data.task.queries.values())
    assert len(data.task.queries) == 32 and len(data.task.corpus) == 50
    assert sum(doc_id.startswith("words/") for doc_id in data.task.corpus) == 30
    assert load_queries(queries.model_copy(update={"sets": sets}), 0).task == data.task
    with pytest.raises(DataError, match="no set 'nothing'"):
        load_queries(queries.model_copy(update={"sets": {"nothing": sets["words"]}}), 0)


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
    with pytest.raises(InvalidOptionError, match="decided by the other tables"):
        read_config(tmp_path / "b.toml")
