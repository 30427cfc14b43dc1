"""The drop-in model: one text has one vector, in any company, and training takes the same path."""

import copy
import pickle
import random
import threading
from collections import Counter

import numpy as np
import pytest
import torch
from sentence_transformers.base.losses.merged_forward import merge_feature_batches
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.util import quantize_embeddings

from search_r3 import SentenceTransformer, Thought, VectorIndex
from search_r3.errors import InvalidInputError, InvalidOptionError, TruncationError
from search_r3.model.generation import last_hidden_states
from search_r3.model.sentence_transformer import QueryEncoding

WORDS = [
    *["copy", "a", "directory", "tree", "read", "and", "write", "text", "parse", "dates", "join", "paths"],
    *["sort", "list", "numbers", "fast", "42", "ß", "漢字", "<think>"],
]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny models are faster on one thread, and far faster where the cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_texts(count, seed=0, longest=24):
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(1, longest))) for _ in range(count)]


def forward(model, inputs, task, **options):
    """One batch in exactly the given order (encode sorts by length first)."""
    model.eval()
    with torch.no_grad():
        return model(model.preprocess(inputs, task=task), **options)["sentence_embedding"].numpy()


def tensors(features):
    return {name: value.clone() for name, value in features.items()}


@pytest.fixture
def generated_tokens(fresh_tiny):
    """A model, and a list that grows by one for each call of its LM head: for each step of thinking."""
    calls = []
    head = fresh_tiny[0].model.get_output_embeddings()
    head.register_forward_hook(lambda module, args, output: calls.append(len(args[0])))
    return fresh_tiny, calls


# --- determinism


@pytest.mark.parametrize("kind", ["document", "direct query", "replayed thought"])
def test_vector_does_not_depend_on_the_batch(tiny, kind):
    """In 200 random batches of 1 to 16 a direct or replayed embedding equals the one computed alone."""
    rng = random.Random(kind)
    texts = make_texts(40, seed=3)
    task, options = ("document" if kind == "document" else "query"), {}
    if kind == "direct query":
        options = {"reasoning": "never"}
    if kind == "replayed thought":
        texts = [
            (text, thought) for text, thought in zip(texts, make_texts(40, seed=4, longest=8), strict=True)
        ]
    alone = np.concatenate([forward(tiny, [text], task, **options) for text in texts])
    assert np.abs(np.linalg.norm(alone, axis=1) - 1).max() < 1e-6
    assert np.linalg.norm(alone[0] - alone[1]) > 0.1, (
        "different texts must differ, or this test proves nothing"
    )
    worst = 0.0
    for _ in range(200):
        chosen = [rng.randrange(len(texts)) for _ in range(rng.randint(1, 16))]
        together = forward(tiny, [texts[i] for i in chosen], task, **options)
        worst = max(worst, float(np.abs(together - alone[chosen]).max()))
    assert worst <= 1e-5, f"max difference {worst:.2e}"


def test_padding_side_does_not_matter(tiny):
    """Left padding, right padding and no padding give one vector, through the library's own Pooling."""
    module, pooling, normalize = tiny[0], tiny[1], tiny[2]
    features = tiny.preprocess(make_texts(16, seed=5), task="document")
    rows = [
        ids[mask.bool()] for ids, mask in zip(features["input_ids"], features["attention_mask"], strict=True)
    ]
    width = max(len(row) for row in rows) + 3

    def embed(padding):
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for number, row in enumerate(rows):
            start = {"left": width - len(row), "right": 0, "both": (width - len(row)) // 2}[padding]
            ids[number, start : start + len(row)] = row
            mask[number, start : start + len(row)] = 1
        states = last_hidden_states(module.model, ids, mask)
        return normalize(pooling({"token_embeddings": states, "attention_mask": mask}))["sentence_embedding"]

    with torch.no_grad():
        alone = []
        for row in rows:
            states = last_hidden_states(module.model, row[None], torch.ones_like(row[None]))
            alone.append(torch.nn.functional.normalize(states[0, -1], dim=0))
        alone = torch.stack(alone)
        for padding in ("left", "right", "both"):
            difference = float((embed(padding) - alone).abs().max())
            assert difference <= 1e-5, f"max difference {difference:.2e} with {padding} padding"


@pytest.mark.parametrize(("reasoning", "count"), [("always", 256), ("auto", 64)])
def test_greedy_thoughts_do_not_depend_on_the_batch(tiny, reasoning, count):
    """256 prompts get token for token the same thought alone and in batches of 32."""
    queries = make_texts(count, seed=6)
    alone = tiny.encode_query_with_thoughts(queries, batch_size=1, reasoning=reasoning)
    together = tiny.encode_query_with_thoughts(queries, batch_size=32, reasoning=reasoning)
    assert together.thoughts == alone.thoughts
    assert np.abs(together.embeddings - alone.embeddings).max() <= 1e-5
    assert len({thought.token_ids for thought in alone.thoughts}) > count // 2, "the thoughts must differ"


def test_thread_count_does_not_matter(tiny):
    """One and two torch threads give the same vectors and the same thoughts."""
    texts = make_texts(12, seed=7)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            found.append((tiny.encode_document(texts), tiny.encode_query_with_thoughts(texts)))
        finally:
            torch.set_num_threads(1)
    (documents, queries), (documents_2, queries_2) = found
    assert np.abs(documents - documents_2).max() <= 1e-5
    assert np.abs(queries.embeddings - queries_2.embeddings).max() <= 1e-5
    assert queries.thoughts == queries_2.thoughts


def test_concurrent_python_threads(tiny):
    """Four threads that encode at once with one model each get what they would get alone."""
    parts = [make_texts(24, seed=seed) for seed in range(4)]
    wanted = [(tiny.encode_query_with_thoughts(part), tiny.encode_document(part)) for part in parts]
    found, barrier = {}, threading.Barrier(4)

    def work(number):
        barrier.wait()
        for _ in range(5):
            found[number] = (
                tiny.encode_query_with_thoughts(parts[number]),
                tiny.encode_document(parts[number]),
            )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(found) == [0, 1, 2, 3]
    for number, (queries, documents) in found.items():
        assert queries.thoughts == wanted[number][0].thoughts
        assert np.abs(queries.embeddings - wanted[number][0].embeddings).max() <= 1e-5
        assert np.abs(documents - wanted[number][1]).max() <= 1e-5


# --- encode_query_with_thoughts


def test_results_are_in_the_order_of_the_queries(tiny):
    """Vectors, thoughts and dropped counts stand in input order, though encode sorts by length."""
    queries = make_texts(20, seed=8)
    found = tiny.encode_query_with_thoughts(queries, batch_size=4)
    assert isinstance(found, QueryEncoding)
    assert found.embeddings.dtype == np.float32
    for number, query in enumerate(queries):
        alone = tiny.encode_query_with_thoughts([query])
        assert found.thoughts[number] == alone.thoughts[0]
        assert np.abs(found.embeddings[number] - alone.embeddings[0]).max() <= 1e-5
    assert np.abs(found.embeddings - tiny.encode_query(queries)).max() <= 1e-5


@pytest.mark.parametrize("form", ["Thought", "token ids", "text"])
def test_replay_gives_the_vector_of_the_thought(tiny, form):
    """A thought given back, as an object, as ids or as its text, gives the vector it gave when generated."""
    queries = make_texts(32, seed=9)
    first = tiny.encode_query_with_thoughts(queries, max_reasoning_tokens=1 if form == "text" else 8)
    if form == "Thought":
        given = first.thoughts
    elif form == "token ids":
        given = [list(thought.token_ids) for thought in first.thoughts]
    else:  # only where encoding undoes decoding: random tokens are often no text at all
        encode = tiny[0].prompt_encoder.encode_text
        keep = [
            i for i, thought in enumerate(first.thoughts) if tuple(encode(thought.text)) == thought.token_ids
        ]
        assert len(keep) >= 3
        queries, given = [queries[i] for i in keep], [first.thoughts[i].text for i in keep]
        first = QueryEncoding(first.embeddings[keep], [first.thoughts[i] for i in keep], [], [])
    again = tiny.encode_query_with_thoughts(queries, thoughts=given, batch_size=5)
    difference = np.abs(again.embeddings - first.embeddings).max()
    assert difference <= 1e-5, f"max difference {difference:.2e}"
    assert [thought.token_ids for thought in again.thoughts] == [t.token_ids for t in first.thoughts]
    assert {thought.ending for thought in again.thoughts} == {"given"}
    assert [thought.text for thought in again.thoughts] == [thought.text for thought in first.thoughts]


def test_replay_never_generates(generated_tokens):
    """A batch of replayed thoughts does not call the LM head at all."""
    model, calls = generated_tokens
    model.encode_query_with_thoughts(["a query", "another"], thoughts=["one thought", ""])
    assert calls == []


def test_one_text_with_several_thoughts(tiny):
    """The same text with different thoughts, in one call, gives each thought its own vector."""
    thoughts = ["read text", "", "sort a list of numbers", "read text", "parse dates and join"]
    found = tiny.encode_query_with_thoughts(["one query"] * 5, thoughts=thoughts, batch_size=2)
    for number, thought in enumerate(thoughts):
        alone = tiny.encode_query_with_thoughts(["one query"], thoughts=[thought]).embeddings[0]
        assert np.abs(found.embeddings[number] - alone).max() <= 1e-5
        assert found.thoughts[number].text == thought
    assert np.abs(found.embeddings[0] - found.embeddings[3]).max() <= 1e-5
    distances = [
        np.linalg.norm(found.embeddings[a] - found.embeddings[b]) for a, b in ((0, 1), (0, 2), (2, 4))
    ]
    assert min(distances) > 0.01, distances


def test_free_and_given_thoughts_in_one_batch(tiny):
    """Rows that think and rows that replay share a batch without touching each other."""
    free, given = "how do I sort a list", ("copy a tree", "join paths")
    mixed = forward(tiny, [given, free, (free, "x"), free], "query", max_reasoning_tokens=8)
    assert np.abs(mixed[0] - forward(tiny, [given], "query")[0]).max() <= 1e-5
    assert np.abs(mixed[1] - forward(tiny, [free], "query")[0]).max() <= 1e-5
    assert np.abs(mixed[2] - forward(tiny, [(free, "x")], "query")[0]).max() <= 1e-5
    assert np.abs(mixed[3] - mixed[1]).max() <= 1e-5


def test_endings_and_lengths(tiny):
    """Every ending is named as documented; a length counts tokens without the embed token."""
    queries = make_texts(32, seed=10)
    endings = Counter()
    for reasoning, budget in (("always", 8), ("always", 0), ("never", 8), ("auto", 8)):
        found = tiny.encode_query_with_thoughts(queries, reasoning=reasoning, max_reasoning_tokens=budget)
        for thought in found.thoughts:
            assert thought.length == len(thought.token_ids)
            assert thought.ending != "budget" or thought.length == budget
            assert thought.ending != "embed_token" or 1 <= thought.length < budget
            assert thought.ending != "skipped" or thought.length == 0
            assert tiny[0].prompt_encoder.embed_token_id not in thought.token_ids
            endings[reasoning, budget, thought.ending] += 1
    assert endings["always", 0, "budget"] == 32
    assert endings["never", 8, "skipped"] == 32
    assert endings["always", 8, "skipped"] == 0
    assert endings["always", 8, "budget"] > 0
    assert endings["always", 8, "embed_token"] > 0
    assert not any(key[2] == "given" for key in endings)


def test_empty_thoughts_are_one_vector(tiny):
    """A given empty thought, a budget of 0 and reasoning="never" name one embedding by three endings."""
    query = ["copy a directory tree"]
    given = tiny.encode_query_with_thoughts(query, thoughts=[""])
    spent = tiny.encode_query_with_thoughts(query, max_reasoning_tokens=0)
    never = tiny.encode_query_with_thoughts(query, reasoning="never")
    assert given.thoughts == [Thought("", (), "given")]
    assert spent.thoughts == [Thought("", (), "budget")]
    assert never.thoughts == [Thought("", (), "skipped")]
    assert np.abs(given.embeddings - spent.embeddings).max() <= 1e-6
    assert np.abs(given.embeddings - never.embeddings).max() <= 1e-6


def test_dropped_tokens_are_counted(fresh_tiny):
    """A query over the limit is cut at its end, and the count of dropped tokens comes back in its place."""
    encoder = fresh_tiny[0].prompt_encoder
    fresh_tiny.max_seq_length = 32
    long, short = "copy a directory tree " * 12, "read text"
    room = 32 - len(encoder.encode_query("", max_tokens=32).token_ids)
    found = fresh_tiny.encode_query_with_thoughts([short, long], on_truncation="ignore")
    assert found.dropped_tokens == [0, len(encoder.encode_text(long)) - room]
    with pytest.raises(TruncationError, match="Input 1"):
        fresh_tiny.encode_query_with_thoughts([short, long], on_truncation="error")


def test_empty_list(tiny):
    """No queries give no vectors, of the model's width."""
    found = tiny.encode_query_with_thoughts([])
    assert found.embeddings.shape == (0, 32)
    assert found.embeddings.dtype == np.float32
    assert (found.thoughts, found.dropped_tokens) == ([], [])
    assert tiny.encode_query_with_thoughts([], thoughts=[]).thoughts == []


def test_wrong_number_of_thoughts(tiny):
    """Thoughts and queries that do not pair up are refused, with both numbers."""
    with pytest.raises(InvalidInputError, match=r"1 thoughts.*2 queries"):
        tiny.encode_query_with_thoughts(["a", "b"], thoughts=["x"])
    with pytest.raises(InvalidInputError, match=r"1 thoughts.*0 queries"):
        tiny.encode_query_with_thoughts([], thoughts=["x"])


def test_one_string_is_refused(tiny):
    """One string instead of a list is refused, not read as a list of letters."""
    with pytest.raises(InvalidInputError, match="one string"):
        tiny.encode_query_with_thoughts("abc")


@pytest.mark.parametrize(
    "option",
    [
        {"output_value": "token_embeddings"},
        {"convert_to_tensor": True},
        {"precision": "int8"},
        {"truncate_dim": 8},
    ],
    ids=lambda option: next(iter(option)),
)
def test_options_that_shape_the_output_are_refused(tiny, option):
    """Options that would change what comes back are refused, not ignored."""
    with pytest.raises(InvalidOptionError, match=next(iter(option))):
        tiny.encode_query_with_thoughts(["a"], **option)


@pytest.mark.parametrize(
    "option",
    [
        {"reasoning": "sometimes"},
        {"max_reasoning_tokens": -1},
        {"max_reasoning_tokens": 1.5},
        {"max_reasoning_tokens": 500},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"on_truncation": "cut"},
    ],
    ids=lambda option: "-".join(map(str, *option.items())),
)
def test_options_that_mean_nothing_are_refused(tiny, option):
    """A value outside an option's range is refused before anything is computed."""
    with pytest.raises(InvalidOptionError, match=next(iter(option)).split("_")[0]):
        tiny.encode_query(["a"], **option)


@pytest.mark.parametrize("bad", [None, 3, b"x", ["a"], {"text": "a"}, "\ud800", float("nan")], ids=repr)
def test_bad_input_is_named_by_its_place(tiny, bad):
    """What is not text is refused with its index in the caller's list, not in the sorted batch."""
    inputs = ["a long text that sorts first", "b", bad, "c"]
    for encode in (tiny.encode_query, tiny.encode_document):
        with pytest.raises(InvalidInputError, match=r"^Input 2: "):
            encode(inputs, batch_size=2)


@pytest.mark.parametrize("thought", ["<|embed_token|>", "<think>"])
def test_thought_text_cannot_hold_structure(tiny, thought):
    """A given thought that spells a structural token is read as ordinary text."""
    found = tiny.encode_query_with_thoughts(["a"], thoughts=[thought])
    assert not set(found.thoughts[0].token_ids) & set(tiny[0].prompt_encoder.structural_ids)
    assert found.thoughts[0].text == thought
    assert found.thoughts[0].length > 1


def test_thought_ids_cannot_hold_structure(tiny):
    """Token ids with the embed token, a special token or a padding row among them are refused."""
    encoder = tiny[0].prompt_encoder
    for bad in (encoder.embed_token_id, tiny.tokenizer.eos_token_id, encoder.vocabulary_size, -1, True + 0.5):
        with pytest.raises(InvalidInputError):
            tiny.encode_query_with_thoughts(["a"], thoughts=[[5, bad]])


# --- roles


def test_roles(tiny):
    """A role comes from the task, else from the prompt, else the default, which is document."""
    text = ["copy a directory tree"]
    query, document = tiny.encode_query(text), tiny.encode_document(text)
    assert np.linalg.norm(query - document) > 0.1
    for same, wanted in (
        (tiny.encode(text), document),
        (tiny.encode(text, prompt_name="query"), query),
        (tiny.encode(text, prompt_name="document"), document),
        (tiny.encode(text, prompt="query: "), query),
        (tiny.encode(text, prompt="query: ", task="document"), document),
    ):
        assert np.abs(same - wanted).max() <= 1e-6
    with pytest.raises(InvalidInputError, match="only queries read and think"):
        tiny.encode_document([("a", "thought")])


def test_an_instruction_is_plain_text_before_the_query(tiny):
    """Any other prompt stands before the text, tokenised apart from it, and changes no structure."""
    encoder = tiny[0].prompt_encoder
    prefix, suffix = encoder._segments["query"]
    body = encoder.encode_text("Find: ") + encoder.encode_text("a tree")
    ids = torch.tensor([[*prefix, *body, *suffix, encoder.embed_token_id]])
    with torch.no_grad():
        state = last_hidden_states(tiny[0].model, ids, torch.ones_like(ids))[0, -1]
    got = tiny.encode_query(["a tree"], prompt="Find: ", reasoning="never")[0]
    assert np.abs(got - torch.nn.functional.normalize(state, dim=0).numpy()).max() <= 1e-5


# --- training


def test_training_never_generates(generated_tokens):
    """In training mode a plain query takes the direct exit: its vector is that of an empty thought."""
    model, calls = generated_tokens
    queries = make_texts(6, seed=11)
    direct = model.encode_query(queries, reasoning="never")
    model.train()
    found = model(model.preprocess(queries, task="query"))["sentence_embedding"]
    assert calls == []
    assert found.requires_grad
    assert np.abs(found.detach().numpy() - direct).max() <= 1e-5


def test_training_gives_gradients_to_the_embed_row(fresh_tiny):
    """A loss on the vectors reaches the embed token's row, the rows read, and no row that was not read."""
    fresh_tiny.train()
    features = fresh_tiny.preprocess(["copy a tree", "read"], task="query")
    seen = features["input_ids"][features["attention_mask"].bool()].unique().tolist()
    fresh_tiny(features)["sentence_embedding"][:, :5].sum().backward()
    gradient = fresh_tiny[0].model.get_input_embeddings().weight.grad
    embed = fresh_tiny[0].prompt_encoder.embed_token_id
    assert embed in seen
    assert float(gradient[embed].norm()) > 1e-3
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum(dim=1).nonzero().flatten().tolist() == seen


def test_training_a_thought_equals_replaying_it(fresh_tiny):
    """A (query, thought) pair has one vector in training and in evaluation."""
    pairs = list(zip(make_texts(9, seed=12), make_texts(9, seed=13, longest=6), strict=True))
    replayed = fresh_tiny.encode_query(pairs)
    fresh_tiny.train()
    trained = fresh_tiny(fresh_tiny.preprocess(pairs, task="query"))["sentence_embedding"].detach().numpy()
    difference = np.abs(trained - replayed).max()
    assert difference <= 1e-5, f"max difference {difference:.2e}"


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("kind", ["document", "given", "free"])
def test_merged_batches(fresh_tiny, kind, training):
    """Batches merged by sentence-transformers' losses (padded on the right) give each row its own vector."""
    first, second = make_texts(4, seed=14, longest=3), make_texts(4, seed=15, longest=24)
    if kind == "given":
        first = [
            (text, thought) for text, thought in zip(first, ["read", "", "a b c", "join paths"], strict=True)
        ]
        second = [(text, "sort a list of numbers") for text in second]
    task = "document" if kind == "document" else "query"
    one, two = (fresh_tiny.preprocess(texts, task=task) for texts in (first, second))
    merged = merge_feature_batches([tensors(one), tensors(two)])
    assert merged["attention_mask"][:4, -1].sum() == 0, "the shorter batch must be padded on the right"
    fresh_tiny.train(training)
    with torch.no_grad():
        apart = torch.cat([fresh_tiny(one)["sentence_embedding"], fresh_tiny(two)["sentence_embedding"]])
        together = fresh_tiny(merged)
    difference = float((together["sentence_embedding"] - apart).abs().max())
    assert difference <= 1e-5, f"max difference {difference:.2e}"
    if kind == "given" and not training:
        encode = fresh_tiny[0].prompt_encoder.encode_text
        wanted = [encode(thought) for _, thought in first + second]
        assert [[i for i in row if i >= 0] for row in together["thought_ids"].tolist()] == wanted


def test_one_step_of_a_ranking_loss(fresh_tiny):
    """A step of MultipleNegativesRankingLoss gives every weight a finite gradient and lowers the loss."""
    loss = MultipleNegativesRankingLoss(fresh_tiny)
    optimizer = torch.optim.SGD(fresh_tiny.parameters(), lr=0.05)
    queries = [("copy a tree", "shutil copytree"), ("read text", "open a file"), ("sort", "order numbers")]
    columns = [["copytree copies", "read a file", "sort a list"], ["parse dates", "join paths", "x" * 60]]

    def value():
        features = [fresh_tiny.preprocess(queries, task="query")]
        features += [fresh_tiny.preprocess(column, task="document") for column in columns]
        return loss(features, labels=None)

    fresh_tiny.train()
    before = value()
    before.backward()
    gradients = {name: parameter.grad for name, parameter in fresh_tiny.named_parameters()}
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients.values())
    assert all(float(gradient.norm()) > 0 for gradient in gradients.values())
    optimizer.step()
    assert value().item() < before.item()


def test_loss_equals_the_loss_of_the_encoded_vectors(fresh_tiny):
    """The loss computed on features (merged columns) is the loss of the vectors encode gives."""
    queries = [("copy a tree", "shutil"), ("read text", "open a file")]
    positives, negatives = ["copytree copies trees", "read"], ["x y z " * 9, "join"]
    vectors = [
        torch.as_tensor(fresh_tiny.encode_query(queries)),
        torch.as_tensor(fresh_tiny.encode_document(positives)),
        torch.as_tensor(fresh_tiny.encode_document(negatives)),
    ]
    scores = 20.0 * vectors[0] @ torch.cat(vectors[1:]).T
    wanted = torch.nn.functional.cross_entropy(scores, torch.arange(2))
    fresh_tiny.train()
    features = [fresh_tiny.preprocess(queries, task="query")]
    features += [fresh_tiny.preprocess(column, task="document") for column in (positives, negatives)]
    got = MultipleNegativesRankingLoss(fresh_tiny)(features, labels=None)
    assert got.item() == pytest.approx(float(wanted), abs=1e-4)


# --- options of encode


@pytest.mark.parametrize("how", ["cast", "loaded"])
def test_bfloat16(tiny_folder, tiny, how):
    """In bfloat16 queries think and documents embed: finite unit vectors, close to the float32 ones."""
    if how == "cast":
        model = SentenceTransformer(str(tiny_folder), device="cpu").bfloat16()
    else:
        model = SentenceTransformer(str(tiny_folder), device="cpu", model_kwargs={"dtype": torch.bfloat16})
    assert model.dtype == torch.bfloat16
    texts = make_texts(8, seed=16)
    queries = model.encode_query_with_thoughts(texts)
    documents = model.encode_document(texts)
    for vectors in (queries.embeddings, documents, model.encode_query(texts, reasoning="never")):
        assert vectors.dtype == np.float32
        assert np.isfinite(vectors).all()
        # Normalised in float32: in bfloat16 norms are off by up to 0.004, and an index refuses them.
        assert np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1).max() < 1e-6
    assert (documents * tiny.encode_document(texts)).sum(axis=1).min() > 0.98


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_vectors_go_into_an_index(tiny_folder, dtype):
    """Vectors of a half-precision model are stored as they are, and every document finds itself."""
    model = SentenceTransformer(str(tiny_folder), device="cpu", model_kwargs={"dtype": dtype})
    texts = make_texts(6, seed=19)
    index = VectorIndex(model.get_embedding_dimension(), fingerprint="x")
    index.add([str(number) for number in range(6)], model.encode_document(texts))
    found = index.search(model.encode_document(texts), k=1, fingerprint="x")
    assert [hits[0].doc_id for hits in found] == [str(number) for number in range(6)]
    assert all(abs(hits[0].score - 1) < 1e-6 for hits in found)
    thoughts = model.encode_query_with_thoughts(texts).embeddings
    assert len(index.search(thoughts, k=1, fingerprint="x")) == 6


def test_encode_options(tiny):
    """The usual options of encode mean what they mean in sentence-transformers, on these vectors."""
    texts = make_texts(5, seed=17)
    plain = tiny.encode_query(texts)
    assert isinstance(plain, np.ndarray)
    as_tensor = tiny.encode_query(texts, convert_to_tensor=True)
    assert isinstance(as_tensor, torch.Tensor)
    assert np.array_equal(as_tensor.numpy(), plain)
    as_list = tiny.encode_query(texts, convert_to_numpy=False)
    assert isinstance(as_list, list)
    assert np.array_equal(torch.stack(as_list).numpy(), plain)
    assert np.abs(tiny.encode_query(texts, normalize_embeddings=True) - plain).max() <= 1e-6
    assert np.array_equal(tiny.encode_query(texts, truncate_dim=8), plain[:, :8])
    cut = tiny.encode_query(texts, truncate_dim=8, normalize_embeddings=True)
    assert np.abs(cut - plain[:, :8] / np.linalg.norm(plain[:, :8], axis=1, keepdims=True)).max() <= 1e-6
    assert np.array_equal(tiny.encode_query(texts[0]), tiny.encode_query(texts[:1])[0])
    assert np.array_equal(tiny.encode_query(np.array(texts)), plain)
    assert tiny.encode_query([]).shape[0] == 0


@pytest.mark.parametrize("precision", ["int8", "uint8", "binary", "ubinary"])
def test_encode_precision(tiny, precision):
    """Quantised output is sentence-transformers' quantisation of the float vectors."""
    texts = make_texts(5, seed=18)
    wanted = quantize_embeddings(tiny.encode_query(texts), precision=precision)
    got = tiny.encode_query(texts, precision=precision)
    assert got.dtype == wanted.dtype
    assert np.array_equal(got, wanted)


def test_output_value_token_embeddings(tiny):
    """Token embeddings of a document are its hidden states, the embedding their last row, normalised."""
    texts = ["read", "copy a tree", "", "sort a long list of numbers by their size"]
    states = tiny.encode_document(texts, output_value="token_embeddings")
    vectors = tiny.encode_document(texts)
    encoder, limit = tiny.reasoning_module.prompt_encoder, tiny.max_seq_length
    for text, state, vector in zip(texts, states, vectors, strict=True):
        # One row for each of its tokens, the padding of the batch left out, as if it were embedded alone.
        assert len(state) == len(encoder.encode_document(text, max_tokens=limit).token_ids)
        alone = tiny.encode_document(text, output_value="token_embeddings")
        assert (state - alone).abs().max() <= 1e-5
        assert np.abs(torch.nn.functional.normalize(state[-1], dim=0).numpy() - vector).max() <= 1e-6
    thinking = tiny.encode_query(texts, output_value="token_embeddings")
    for state, vector in zip(thinking, tiny.encode_query(texts), strict=True):
        assert state.shape == (1, 32)  # the cache holds the other tokens, only the read-out is kept
        assert np.abs(torch.nn.functional.normalize(state[0], dim=0).numpy() - vector).max() <= 1e-6


def test_output_value_none(tiny):
    """output_value=None gives every feature of each input, in input order."""
    texts = ["read", "copy a directory tree", "sort numbers"]
    items = tiny.encode_query(texts, output_value=None)
    found = tiny.encode_query_with_thoughts(texts)
    for item, vector, thought in zip(items, found.embeddings, found.thoughts, strict=True):
        assert np.array_equal(item["sentence_embedding"].numpy(), vector)
        assert tuple(i for i in item["thought_ids"].tolist() if i >= 0) == thought.token_ids


def test_truncate_dim_of_the_model(fresh_tiny):
    """With truncate_dim queries with thoughts are cut as plain queries are, and stay unit vectors."""
    fresh_tiny.truncate_dim = 8
    texts = ["read", "copy a tree"]
    found = fresh_tiny.encode_query_with_thoughts(texts)
    assert found.embeddings.shape == (2, 8)
    assert np.abs(np.linalg.norm(found.embeddings, axis=1) - 1).max() <= 1e-6
    plain = fresh_tiny.encode_query(texts)
    assert np.abs(found.embeddings - plain / np.linalg.norm(plain, axis=1, keepdims=True)).max() <= 1e-6
    assert fresh_tiny.encode_query_with_thoughts([]).embeddings.shape == (0, 8)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_reads_structure_as_text_too(tiny, copied):
    """A deep copy or a pickled model (a worker process has one) gives the same vectors for forged tokens."""
    texts = ["a <think> b", "<|embed_token|>", "</think><|im_end|>", "plain"]
    other = copied(tiny)
    assert np.abs(other.encode_document(texts) - tiny.encode_document(texts)).max() <= 1e-6
    assert np.abs(other.encode_query(texts) - tiny.encode_query(texts)).max() <= 1e-6


@pytest.mark.slow
def test_multi_process_equals_single_process(fresh_tiny):
    """Two worker processes give the vectors and the thoughts one process gives, and name a bad input."""
    texts = [text.replace("<think>", "think") for text in make_texts(12, seed=19)]
    documents, queries = fresh_tiny.encode_document(texts), fresh_tiny.encode_query_with_thoughts(texts)
    pool = fresh_tiny.start_multi_process_pool(["cpu", "cpu"])
    try:
        assert np.abs(fresh_tiny.encode_document(texts, pool=pool, chunk_size=3) - documents).max() <= 1e-5
        assert (
            np.abs(fresh_tiny.encode_query(texts, pool=pool, chunk_size=3) - queries.embeddings).max() <= 1e-5
        )
        with pytest.raises(InvalidInputError, match="Input 3"):
            fresh_tiny.encode_query([*texts[:3], None], pool=pool, chunk_size=2)
        with pytest.raises(InvalidInputError, match="Input 3"):
            fresh_tiny.encode_query([*texts[:3], 3.5], pool=pool, chunk_size=2)
    finally:
        fresh_tiny.stop_multi_process_pool(pool)
    spread = fresh_tiny.encode_query_with_thoughts(texts, device=["cpu", "cpu"])
    assert np.abs(spread.embeddings - queries.embeddings).max() <= 1e-5
    assert spread.thoughts == queries.thoughts
