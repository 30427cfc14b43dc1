"""Thinking: one KV cache must give what plain transformers give, and the loop must keep its books."""

import json
import random
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma3ForCausalLM, Gemma3TextConfig

from search_r3 import COMPACT_TEMPLATE, SentenceTransformer, prepare_base
from search_r3.errors import InvalidOptionError
from search_r3.model.generation import Sampling, position_ids, think

TINY_LM = Path(__file__).parents[2] / "fixtures" / "tiny_lm"
WORDS = [
    *["copy", "a", "directory", "tree", "read", "and", "write", "text", "parse", "dates", "join", "paths"],
    *["sort", "list", "numbers", "fast", "42", "ß", "漢字", "<think>"],
]


def make_queries(count, seed=0, longest=24):
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(1, longest))) for _ in range(count)]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny models are faster on one thread, and far faster where the cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Plain:
    """The saved folder as an untouched transformers causal LM: the reference for everything here."""

    def __init__(self, folder):
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.embed = self.tokenizer.convert_tokens_to_ids("<|embed_token|>")
        template = self.tokenizer.chat_template or ""
        added = self.tokenizer.added_tokens_decoder
        special = {i for i, token in added.items() if token.special}
        in_template = {i for i, token in added.items() if token.content in template}
        forbidden = (special | in_template) - {self.embed}
        rows = self.model.get_output_embeddings().weight.shape[0]
        self.banned = sorted(forbidden | set(range(len(self.tokenizer), rows)))

    def prompt(self, text):
        """Prompt ids of the compact template, tokenised in one piece."""
        backend = self.tokenizer.backend_tokenizer  # its parts know no added tokens: <think> is ordinary text
        pieces = backend.pre_tokenizer.pre_tokenize_str(f"query:\n{text}\nthought:\n")
        return [token.id for piece, _ in pieces for token in backend.model.tokenize(piece)]

    @torch.no_grad()
    def vector(self, text, thought):
        ids = torch.tensor([[*self.prompt(text), *thought, self.embed]])
        output = self.model(input_ids=ids, output_hidden_states=True, use_cache=False)
        hidden = output.hidden_states[-1][0, -1]
        return (hidden / hidden.norm()).numpy()

    @torch.no_grad()
    def first_probabilities(self, text, temperature=1.0, skippable=False):
        logits = self.model(input_ids=torch.tensor([self.prompt(text)]), use_cache=False).logits[0, -1]
        logits[self.banned] = -torch.inf
        if not skippable:
            logits[self.embed] = -torch.inf
        return (logits.double() / temperature).softmax(dim=-1)

    @torch.no_grad()
    def generated(self, text, budget, skippable):
        ids = torch.tensor([self.prompt(text)])
        output = self.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=budget,
            suppress_tokens=self.banned,
            begin_suppress_tokens=None if skippable else [self.embed],
            eos_token_id=self.embed,
            pad_token_id=0,
            use_cache=True,
        )[0, ids.shape[1] :].tolist()
        ended = output[-1] == self.embed
        thought = output[:-1] if ended else output
        ending = "budget" if not ended else "embed_token" if thought else "skipped"
        return tuple(thought), ending


@pytest.fixture(scope="module")
def plain(tiny_folder):
    return Plain(tiny_folder)


@pytest.fixture(scope="module")
def eager_folder(tiny_folder, tmp_path_factory):
    """The tiny base with a loud embed row: its thoughts end at the first, the second, ... or a late token."""
    model = SentenceTransformer(str(tiny_folder), device="cpu")
    with torch.no_grad():
        model[0].model.get_input_embeddings().weight[model[0].prompt_encoder.embed_token_id] *= 2.5
    folder = tmp_path_factory.mktemp("models") / "eager"
    model.save(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="module")
def eager(eager_folder):
    return SentenceTransformer(str(eager_folder), device="cpu")


@pytest.fixture(scope="module")
def plain_eager(eager_folder):
    return Plain(eager_folder)


# --- against plain transformers


@pytest.mark.parametrize("reasoning", ["always", "auto"])
@pytest.mark.parametrize("budget", [1, 2, 8, 32])
@pytest.mark.parametrize("name", ["tiny", "eager"])
def test_embedding_equals_one_plain_pass(request, name, reasoning, budget):
    """The embedding is the last hidden state of one plain pass over prompt, thought and embed token."""
    model = request.getfixturevalue(name)
    reference = request.getfixturevalue("plain" if name == "tiny" else "plain_eager")
    queries = make_queries(64 if name == "tiny" else 24)
    wanted, thoughts = None, None
    for batch_size in (1, 7, 32):
        got = model.encode_query_with_thoughts(
            queries, reasoning=reasoning, max_reasoning_tokens=budget, batch_size=batch_size
        )
        if thoughts is None:
            thoughts = got.thoughts
            pairs = zip(queries, thoughts, strict=True)
            wanted = np.stack([reference.vector(query, thought.token_ids) for query, thought in pairs])
        assert got.thoughts == thoughts, f"thoughts at batch size {batch_size} differ from those at 1"
        difference = np.abs(got.embeddings - wanted).max()
        assert difference <= 1e-5, f"max difference {difference:.2e} at batch size {batch_size}"


@pytest.mark.parametrize("skippable", [False, True], ids=["always", "auto"])
@pytest.mark.parametrize("budget", [1, 8, 32])
@pytest.mark.parametrize("name", ["tiny", "eager"])
def test_greedy_thoughts_equal_generate(request, name, skippable, budget):
    """A greedy thought is what transformers' generate() writes for the same prompt under the same bans."""
    model = request.getfixturevalue(name)
    reference = request.getfixturevalue("plain" if name == "tiny" else "plain_eager")
    queries = make_queries(24, seed=1)
    got = model.encode_query_with_thoughts(
        queries, reasoning="auto" if skippable else "always", max_reasoning_tokens=budget, batch_size=5
    )
    wanted = [reference.generated(query, budget, skippable) for query in queries]
    assert [(thought.token_ids, thought.ending) for thought in got.thoughts] == wanted


def test_eager_fixture_covers_every_ending(eager):
    """The parity tests above meet skipped, early, late and spent thoughts (a check of the fixtures)."""
    got = eager.encode_query_with_thoughts(make_queries(64), reasoning="auto", max_reasoning_tokens=3)
    endings = Counter(thought.ending for thought in got.thoughts)
    assert min(endings[e] for e in ("skipped", "embed_token", "budget")) >= 1, endings


# --- sampling


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_first_samples_follow_the_softmax(tiny, plain, temperature):
    """Over 400 seeds the first token comes as often as the plain model's softmax at that temperature says."""
    query = "sort a list of numbers"
    options = {"max_reasoning_tokens": 1, "temperature": temperature}
    drawn = Counter()
    for seed in range(400):
        found = tiny.encode_query_with_thoughts([query], seed=seed, **options)
        drawn[found.thoughts[0].token_ids[0]] += 1
    probabilities = plain.first_probabilities(query, temperature)
    assert all(probabilities[token] > 0 for token in drawn), "a banned token was sampled"
    bins = probabilities.topk(7).indices.tolist()
    expected = [float(probabilities[token]) * 400 for token in bins]
    observed = [drawn[token] for token in bins]
    expected.append(400 - sum(expected))
    observed.append(400 - sum(observed))
    chi_square = sum((o - e) ** 2 / e for o, e in zip(observed, expected, strict=True))
    assert chi_square < 24.3, (
        f"chi-square {chi_square:.1f} over 7 degrees of freedom (p < 0.001): {observed}, {expected}"
    )


def test_top_p_excludes_the_tail(tiny, plain):
    """With top_p every sample lies in the smallest set of tokens that holds that share of the probability."""
    query = "sort a list of numbers"
    probabilities, order = plain.first_probabilities(query).sort(descending=True)
    size = int((probabilities.cumsum(0) < 0.5).sum()) + 1
    nucleus = set(order[:size].tolist())
    drawn = set()
    for seed in range(200):
        found = tiny.encode_query_with_thoughts(
            [query], max_reasoning_tokens=1, temperature=1.0, top_p=0.5, seed=seed
        )
        drawn.add(found.thoughts[0].token_ids[0])
    assert drawn <= nucleus
    assert len(drawn) > 1, "the nucleus has several tokens, so several must be drawn"


def test_samples_depend_on_seed_and_text_only(eager):
    """A sampled thought is the same alone and in any company, and another seed gives another one."""
    queries = make_queries(20, seed=2)
    found = []
    for seed in range(4):
        options = {"temperature": 0.8, "max_reasoning_tokens": 12, "seed": seed}
        alone = [eager.encode_query_with_thoughts([query], **options).thoughts[0] for query in queries]
        for order, batch_size in ((1, 20), (-1, 7)):
            together = eager.encode_query_with_thoughts(queries[::order], batch_size=batch_size, **options)
            assert together.thoughts[::order] == alone
        found.append(alone)
    # Rows end at different steps: an ended row that is carried along must not draw from another one's stream.
    assert len({thought.length for thought in found[0]}) >= 4
    assert sum(a != b for a, b in zip(found[0], found[1], strict=True)) >= 14


# --- a model whose every state can be worked out by hand

EMBED, BANNED, FIRST_WORD, VOCABULARY = 0, 1, 10, 60


class FakeCache:
    """Remembers, per batch row, the marker of its prompt and every token fed after it."""

    def __init__(self, markers, prompt_lengths):
        self.markers, self.prompt_lengths = markers, prompt_lengths
        self.fed = [[] for _ in markers]
        self.selections = []

    def batch_select_indices(self, indices):
        keep = indices.tolist()
        self.selections.append((len(self.markers), keep))
        for name in ("markers", "prompt_lengths", "fed"):
            setattr(self, name, [getattr(self, name)[i] for i in keep])


class FakeLM:
    """A causal LM that follows a script: ``scripts[marker][n]`` is the token after n tokens of thought.

    A prompt's last token is its marker. The hidden state spells out what the row has read:
    [marker, last token, its position, tokens fed since the prompt, sum of the tokens fed].
    """

    def __init__(self, scripts):
        self.scripts = scripts
        self.steps = []  # (rows, tokens per row) of each backbone call
        self.head_calls = 0
        self.embed_reads = (
            Counter()
        )  # marker -> how often the embed token was fed while the row was still thinking
        self.cache = None
        self.config = SimpleNamespace(get_text_config=lambda: SimpleNamespace())

    def get_decoder(self):
        return self.backbone

    def get_output_embeddings(self):
        return self.head

    def backbone(self, input_ids, attention_mask, position_ids, use_cache, past_key_values=None):
        assert use_cache
        assert attention_mask.shape[0] == input_ids.shape[0] == position_ids.shape[0]
        assert input_ids.shape == position_ids.shape
        self.steps.append(tuple(input_ids.shape))
        states = torch.full((*input_ids.shape, 5), torch.nan)
        if past_key_values is None:
            self.cache = cache = FakeCache(input_ids[:, -1].tolist(), attention_mask.sum(dim=1).tolist())
            for row, marker in enumerate(cache.markers):
                states[row, -1] = torch.tensor([marker, marker, int(position_ids[row, -1]), 0, 0])
        else:
            cache = past_key_values
            assert cache is self.cache
            assert len(cache.markers) == input_ids.shape[0], "cache and batch disagree"
            for row, (marker, fed) in enumerate(zip(cache.markers, cache.fed, strict=True)):
                for column, token in enumerate(input_ids[row].tolist()):
                    fed.append(token)
                    position = int(position_ids[row, column])
                    states[row, column] = torch.tensor([marker, token, position, len(fed), sum(fed)])
        for row, fed in enumerate(cache.fed):
            covered = int(attention_mask[row].sum())
            assert covered == cache.prompt_lengths[row] + len(fed), "the mask does not cover what was read"
        return SimpleNamespace(last_hidden_state=states, past_key_values=cache)

    def head(self, hidden):
        self.head_calls += 1
        logits = torch.zeros(len(hidden), VOCABULARY)
        for row, (marker, _, _, fed, _) in enumerate(hidden.long().tolist()):
            script = self.scripts[marker]
            logits[row, script[min(fed, len(script) - 1)]] = 5.0
            logits[row, BANNED] = 9.0  # the model's favourite is always a banned token
        return logits


def run_fake(scripts, budget, may_skip=True, prompt_lengths=None):
    """Think on prompts whose last tokens are the markers 30, 31, ..., one per script."""
    lengths = prompt_lengths or [2 + row % 3 for row in range(len(scripts))]
    width = max(lengths)
    ids, mask = (
        torch.zeros(len(scripts), width, dtype=torch.long),
        torch.zeros(len(scripts), width, dtype=torch.long),
    )
    for row, length in enumerate(lengths):
        ids[row, width - length :] = torch.tensor([5] * (length - 1) + [30 + row])
        mask[row, width - length :] = 1
    model = FakeLM({30 + row: script for row, script in enumerate(scripts)})
    allowed = torch.ones(VOCABULARY, dtype=torch.bool)
    allowed[BANNED] = False
    found = think(
        model,
        ids,
        mask,
        embed_token_id=EMBED,
        allowed_ids=allowed,
        max_reasoning_tokens=budget,
        may_skip=may_skip,
        sampling=Sampling(),
    )
    return model, found, lengths


def expected_rows(scripts, budget, lengths):
    """What each row must give, worked out from its script alone."""
    thoughts, endings, states = [], [], []
    for row, (script, length) in enumerate(zip(scripts, lengths, strict=True)):
        thought = []
        while len(thought) < budget and script[min(len(thought), len(script) - 1)] != EMBED:
            thought.append(script[min(len(thought), len(script) - 1)])
        thoughts.append(thought)
        endings.append("budget" if len(thought) == budget else "embed_token" if thought else "skipped")
        states.append([30 + row, EMBED, length + len(thought), len(thought) + 1, sum(thought)])
    return thoughts, endings, torch.tensor(states, dtype=torch.float32)


def test_books_by_hand():
    """Rows that end first, in the middle and at the budget each get their own thought, ending and state."""
    scripts = [[EMBED], [11, 12, EMBED, 19], [21, 22, 23, 24, 25], [13, EMBED, 14]]
    model, found, _ = run_fake(scripts, budget=4, prompt_lengths=[2, 3, 4, 2])
    assert found.thoughts == [[], [11, 12], [21, 22, 23, 24], [13]]
    assert found.endings == ["skipped", "embed_token", "budget", "embed_token"]
    wanted = [[30, EMBED, 2, 1, 0], [31, EMBED, 5, 3, 23], [32, EMBED, 8, 5, 90], [33, EMBED, 3, 2, 13]]
    assert found.hidden_states.tolist() == wanted
    # Prefill 4 rows; feed 4, of which 1 ends and is carried on; feed 4, of which another ends: cut to 2; feed
    # 2, of which 1 ends: cut to 1; feed its last token of thought together with its embed token.
    assert model.steps == [(4, 4), (4, 1), (4, 1), (2, 1), (1, 2)]
    assert model.cache.selections == [(4, [1, 2]), (2, [1])]
    assert model.head_calls == 4


@pytest.mark.parametrize("seed", range(60))
def test_books_of_random_scripts(seed):
    """For random scripts every row gives what its script alone says; the cache is copied only when due."""
    rng = random.Random(seed)
    budget = rng.randint(1, 12)
    scripts = []
    for _ in range(rng.randint(1, 20)):
        length = rng.randint(0, 14)
        tail = [rng.choice([EMBED, FIRST_WORD])] * 3  # what an ended row would go on to say
        scripts.append([rng.randint(FIRST_WORD, 29) for _ in range(length)] + [EMBED, *tail])
    model, found, lengths = run_fake(scripts, budget)
    thoughts, endings, states = expected_rows(scripts, budget, lengths)
    assert found.thoughts == thoughts
    assert found.endings == endings
    assert torch.equal(found.hidden_states, states)
    # Replay of the compaction rule: rows leave the batch when at least half of it has ended, never earlier.
    batch, selections, steps = len(thoughts), [], [(len(thoughts), max(lengths))]
    for step in range(budget):
        is_last = step == budget - 1
        steps.append((batch, 2 if is_last else 1))
        live = sum(len(thought) > step for thought in thoughts)
        if not live or is_last:
            break
        if 2 * live <= batch:
            selections.append((batch, live))
            batch = live
    assert model.steps == steps
    assert [(before, len(keep)) for before, keep in model.cache.selections] == selections
    assert model.head_calls == len(steps) - 1


def test_reasoning_always_cannot_skip():
    """When skipping is not allowed the first token is never the embed token, only later ones are."""
    model, found, _ = run_fake([[EMBED, 12, EMBED]], budget=4, may_skip=False)
    # The script's first wish is banned at step 0: argmax takes the lowest of the others, which are equal.
    assert found.thoughts == [[2, 12]]
    assert found.endings == ["embed_token"]
    assert model.steps == [(1, 2), (1, 1), (1, 1), (1, 1)]


def test_position_ids_ignore_padding():
    """A real token's position is its rank among the real tokens, wherever the padding is."""
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [1, 1, 1, 1, 1]])
    assert position_ids(mask)[mask.bool()].tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 4]


# --- economy


@pytest.fixture
def counted(fresh_tiny):
    """A model, and the list of its backbone and head calls, with the number of tokens each read."""
    calls = []

    def backbone_hook(module, args, kwargs, output):
        calls.append(("backbone", kwargs["input_ids"].shape[1]))

    def head_hook(module, args, output):
        calls.append(("head", len(args[0])))

    lm = fresh_tiny[0].model
    lm.get_decoder().register_forward_hook(backbone_hook, with_kwargs=True)
    lm.get_output_embeddings().register_forward_hook(head_hook)
    return fresh_tiny, calls


@pytest.mark.parametrize("budget", [1, 2, 5])
def test_read_out_costs_no_second_pass(counted, plain, budget):
    """A spent budget of T costs T+1 backbone calls, the prefill among them, and T calls of the LM head."""
    model, calls = counted
    query = next(q for q in make_queries(64) if plain.generated(q, 5, False)[1] == "budget")
    model.encode_query_with_thoughts([query], max_reasoning_tokens=budget)
    prefill = len(plain.prompt(query))
    wanted = [("backbone", prefill)]
    for _ in range(budget - 1):
        wanted += [("head", 1), ("backbone", 1)]
    wanted += [
        ("head", 1),
        ("backbone", 2),
    ]  # the last token of thought and, never shown to the head, the embed token
    assert calls == wanted


def test_ended_thought_stops_reading(counted, plain):
    """A thought that ends by itself after n tokens costs the prefill, n+1 steps and n+1 head calls."""
    model, calls = counted
    found = ((q, plain.generated(q, 32, False)) for q in make_queries(64))
    query, (thought, _) = next((q, out) for q, out in found if out[1] == "embed_token" and len(out[0]) > 1)
    model.encode_query_with_thoughts([query], max_reasoning_tokens=32)
    kinds = Counter(kind for kind, _ in calls)
    assert kinds == {"backbone": len(thought) + 2, "head": len(thought) + 1}


def test_direct_embedding_is_one_pass_without_head(counted):
    """Documents, replayed thoughts and reasoning="never" cost one pass per batch and no LM head call."""
    model, calls = counted
    model.encode_document(["one text", "another text"])
    model.encode_query(["one text"], reasoning="never")
    model.encode_query_with_thoughts(["one text"], thoughts=["a thought"])
    model.encode_query(["one text"], max_reasoning_tokens=0)
    assert [kind for kind, _ in calls] == ["backbone"] * 4


def test_a_thought_is_told_token_by_token(tiny):
    """The text so far after each token, for one query at a time."""
    told = []
    [thought] = tiny.encode_query_with_thoughts(
        ["red apple"], max_reasoning_tokens=5, on_thought=told.append
    ).thoughts
    decode = tiny[0].prompt_encoder.decode_thought
    assert told == [decode(thought.token_ids[: n + 1]) for n in range(thought.length)]
    assert told[-1] == thought.text
    with pytest.raises(InvalidOptionError, match="2 queries, wanted one"):
        tiny.encode_query_with_thoughts(["a", "b"], on_thought=told.append)


# --- a common beginning

BEGINNING = "copy a directory tree and read dates and write text and join paths and sort numbers fast "


@pytest.mark.parametrize("reasoning", ["always", "auto"])
def test_a_common_beginning_changes_nothing(eager, plain_eager, reasoning):
    """Queries that begin alike, one of them no more than that, have the vectors of one plain pass."""
    queries = [BEGINNING.strip(), *(BEGINNING + query for query in make_queries(20, seed=3))]
    for batch_size in (1, 7, 32):
        got = eager.encode_query_with_thoughts(
            queries, reasoning=reasoning, max_reasoning_tokens=8, batch_size=batch_size
        )
        pairs = list(zip(queries, got.thoughts, strict=True))
        wanted = np.stack([plain_eager.vector(query, thought.token_ids) for query, thought in pairs])
        assert np.abs(got.embeddings - wanted).max() <= 1e-5
        for query, thought in pairs:
            assert (thought.token_ids, thought.ending) == plain_eager.generated(query, 8, reasoning == "auto")


def test_a_common_beginning_is_read_once(counted, plain):
    """It is the first call, of one row; the second has what is left of the longest query."""
    model, calls = counted
    queries = [BEGINNING + "text", BEGINNING + "漢字 and more", BEGINNING + "漢字"]
    model.encode_query_with_thoughts(queries, max_reasoning_tokens=1)
    prompts = [plain.prompt(query) for query in queries]
    shared = next(n for n, ids in enumerate(zip(*prompts, strict=False)) if len(set(ids)) > 1)
    assert shared > 16
    longest = max(map(len, prompts))
    assert calls[:2] == [("backbone", shared), ("backbone", longest - shared)]
    calls.clear()
    model.encode_query_with_thoughts([queries[0], "漢字 " + queries[1]], max_reasoning_tokens=1)
    assert calls[0] == ("backbone", len(plain.prompt("漢字 " + queries[1])))


# --- sliding window


@pytest.fixture(scope="module")
def sliding_folder(tmp_path_factory):
    """A random Gemma3 text model with a window of 8: prompts are much longer than what its layers can see."""
    root = tmp_path_factory.mktemp("sliding")
    tokenizer = AutoTokenizer.from_pretrained(TINY_LM)
    torch.manual_seed(3)
    kinds = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"]
    config = gemma_config(tokenizer, 8, kinds)
    Gemma3ForCausalLM(config).save_pretrained(root / "raw")
    tokenizer.save_pretrained(root / "raw")
    prepare_base(root / "raw", root / "base", template=COMPACT_TEMPLATE, max_seq_length=128)
    model = SentenceTransformer(str(root / "base"), device="cpu")
    with torch.no_grad():
        model[0].model.get_output_embeddings().weight[model[0].prompt_encoder.embed_token_id] *= 3
    model.save(str(root / "eager"), create_model_card=False)
    return root / "eager"


def gemma_config(tokenizer, window, layer_types):
    return Gemma3TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=window,
        layer_types=layer_types,
        max_position_embeddings=512,
        initializer_range=0.3,
        tie_word_embeddings=False,  # tied, a random Gemma repeats its last token for ever
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("room", [-1, 0, 1])
def test_a_common_beginning_within_a_window(sliding_folder, tmp_path, room, temperature):
    """It is run once if prompt and thought fit into a window; the vectors are those of one plain pass."""
    reference = Plain(sliding_folder)
    queries = [BEGINNING + query for query in make_queries(9, seed=8, longest=9)] + [BEGINNING + "a"] * 3
    budget = 6
    longest = max(len(reference.prompt(query)) for query in queries)
    shutil.copytree(sliding_folder, tmp_path / "wide")
    path = tmp_path / "wide" / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "sliding_window": longest + budget + 1 + room}), encoding="utf-8")
    model, reference = SentenceTransformer(str(tmp_path / "wide"), device="cpu"), Plain(tmp_path / "wide")
    rows = []
    model[0].model.get_decoder().register_forward_hook(
        lambda module, args, kwargs, output: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    got = model.encode_query_with_thoughts(
        queries, max_reasoning_tokens=budget, temperature=temperature, seed=1
    )
    assert (rows[0] == 1) == (room >= 0)
    pairs = list(zip(queries, got.thoughts, strict=True))
    wanted = np.stack([reference.vector(query, thought.token_ids) for query, thought in pairs])
    assert np.abs(got.embeddings - wanted).max() <= 1e-5


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_sliding_window_parity(sliding_folder, batch_size):
    """With a sliding window the result is exact too, though rows of a batch end at very different steps.

    Nor does it matter that a third of the queries begin alike.
    """
    model, reference = SentenceTransformer(str(sliding_folder), device="cpu"), Plain(sliding_folder)
    queries = make_queries(32, seed=5, longest=30)
    queries += [BEGINNING + query for query in make_queries(16, seed=6, longest=6)]
    assert reference.model.config.sliding_window == 8
    assert sum(len(reference.prompt(query)) > 24 for query in queries) > 16
    got = model.encode_query_with_thoughts(
        queries, reasoning="auto", max_reasoning_tokens=24, batch_size=batch_size
    )
    lengths = [thought.length for thought in got.thoughts]
    assert min(lengths) <= 1, sorted(lengths)
    assert max(lengths) >= 16, sorted(lengths)
    pairs = list(zip(queries, got.thoughts, strict=True))
    wanted = np.stack([reference.vector(query, thought.token_ids) for query, thought in pairs])
    difference = np.abs(got.embeddings - wanted).max()
    assert difference <= 1e-5, f"max difference {difference:.2e}"
    for query, thought in pairs:
        assert (thought.token_ids, thought.ending) == reference.generated(query, 24, True)
