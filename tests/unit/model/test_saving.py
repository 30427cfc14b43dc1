"""Saved folders: complete, reproducible, free of pickles, and never a way to run their own code unasked."""

import ast
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sentence_transformers
import torch
import transformers.dynamic_module_utils
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding, Transformer
from transformers import AutoTokenizer, BertConfig, BertModel

import search_r3
from search_r3 import SentenceTransformer, fingerprint
from search_r3.errors import InvalidOptionError, TruncationError
from search_r3.model.modeling_file import MODELING_FILE, modeling_source
from search_r3.model.reasoning_transformer import ReasoningTransformer

TINY_LM = Path(__file__).parents[2] / "fixtures" / "tiny_lm"
TEXTS = ["copy a directory tree", "read", "sort a list of numbers by a key", "ß 漢字 <think>"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny models are faster on one thread, and far faster where the cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A private copy of the tiny model, to tamper with."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


@pytest.fixture
def load_plain(tmp_path, monkeypatch):
    """sentence-transformers' own class, with the flag; code from folders is copied below tmp_path."""
    cache = tmp_path / "hf_modules"
    cache.mkdir()
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(cache))
    monkeypatch.syspath_prepend(str(cache))
    before = set(sys.modules)

    def load(path, **options):
        return sentence_transformers.SentenceTransformer(
            str(path), device="cpu", trust_remote_code=True, **options
        )

    yield load
    for name in set(sys.modules) - before:
        if name.startswith("transformers_modules"):
            del sys.modules[name]
    sys.modules.pop("transformers_modules", None)


def load_ours(path, **options):
    return SentenceTransformer(str(path), device="cpu", **options)


def hashes(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def edit_json(path, change):
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


# --- round trips


def test_save_load_save_is_byte_identical(tiny_folder, tmp_path):
    """What is loaded and saved again is the same, file by file and byte by byte."""
    for source, target in (("first", "second"), ("second", "third")):
        origin = tiny_folder if source == "first" else tmp_path / source
        load_ours(origin).save(str(tmp_path / target), create_model_card=False)
    wanted = hashes(tiny_folder)
    assert {"modules.json", "model.safetensors", "tokenizer.json", MODELING_FILE} <= set(wanted)
    assert hashes(tmp_path / "second") == wanted
    assert hashes(tmp_path / "third") == wanted


def test_save_pretrained_is_save(tiny, tiny_folder, tmp_path):
    """save_pretrained writes the same self-contained folder as save."""
    tiny.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    assert hashes(tmp_path / "saved") == hashes(tiny_folder)


def test_save_over_the_loaded_folder(folder):
    """A model can be saved into the folder it came from."""
    before = hashes(folder)
    model = load_ours(folder)
    wanted = model.encode_document(TEXTS)
    model.save(str(folder), create_model_card=False)
    assert hashes(folder) == before
    assert np.array_equal(load_ours(folder).encode_document(TEXTS), wanted)


def test_plain_class_gives_the_same_vectors(tiny, tiny_folder, load_plain):
    """sentence-transformers' own class, with the flag, embeds, thinks and replays exactly as ours does."""
    plain = load_plain(tiny_folder)
    assert type(plain[0]) is not ReasoningTransformer
    assert type(plain[0]).__module__.startswith("transformers_modules")
    found = tiny.encode_query_with_thoughts(TEXTS)
    replay = [(text, thought.text) for text, thought in zip(TEXTS, found.thoughts, strict=True)]
    exact = [(text, list(thought.token_ids)) for text, thought in zip(TEXTS, found.thoughts, strict=True)]
    assert np.abs(plain.encode_document(TEXTS) - tiny.encode_document(TEXTS)).max() <= 1e-6
    assert np.abs(plain.encode(TEXTS) - tiny.encode(TEXTS)).max() <= 1e-6
    assert np.abs(plain.encode_query(TEXTS) - found.embeddings).max() <= 1e-6
    assert np.abs(plain.encode_query(exact) - found.embeddings).max() <= 1e-5
    assert np.abs(plain.encode_query(replay) - tiny.encode_query(replay)).max() <= 1e-6
    sampled = {"temperature": 1.0, "seed": 3}
    assert np.abs(plain.encode_query(TEXTS, **sampled) - tiny.encode_query(TEXTS, **sampled)).max() <= 1e-6


def test_plain_class_has_the_same_fingerprint(tiny, tiny_folder, load_plain):
    """An index made through either class belongs to the same model."""
    assert fingerprint(load_plain(tiny_folder)) == fingerprint(tiny)


def test_what_the_plain_class_saves_loads_in_both(tiny, tiny_folder, tmp_path, load_plain):
    """A folder saved by the plain class is again a folder for both classes, with the same vectors."""
    load_plain(tiny_folder).save(str(tmp_path / "again"), create_model_card=False)
    wanted = tiny.encode_query(TEXTS)
    assert np.abs(load_ours(tmp_path / "again").encode_query(TEXTS) - wanted).max() <= 1e-6
    assert np.abs(load_plain(tmp_path / "again").encode_query(TEXTS) - wanted).max() <= 1e-6


def test_saved_defaults_survive(tiny, fresh_tiny, tmp_path, load_plain):
    """Defaults of reasoning, budget, truncation, role, length and prompts are the model's, saved with it."""
    fresh_tiny[0].reasoning = "auto"
    fresh_tiny[0].max_reasoning_tokens = 3
    fresh_tiny[0].on_truncation = "error"
    fresh_tiny[0].default_role = "query"
    fresh_tiny.max_seq_length = 40
    fresh_tiny.save(str(tmp_path / "saved"), create_model_card=False)
    wanted = tiny.encode_query(TEXTS, reasoning="auto", max_reasoning_tokens=3)
    assert np.abs(wanted - tiny.encode_query(TEXTS)).max() > 0.01, "the defaults must make a difference"
    for model in (load_ours(tmp_path / "saved"), load_plain(tmp_path / "saved")):
        assert model.max_seq_length == 40
        assert np.abs(model.encode_query(TEXTS) - wanted).max() <= 1e-6
        assert np.abs(model.encode(TEXTS) - wanted).max() <= 1e-6
        with pytest.raises(ValueError, match="over the limit of 40") as caught:
            model.encode_document("read " * 60)
        assert type(caught.value).__name__ == "TruncationError"
    with pytest.raises(TruncationError):
        load_ours(tmp_path / "saved").encode_document("read " * 60)


def test_bfloat16_survives(tiny_folder, tmp_path):
    """A model loaded in bfloat16 is saved and loads again in bfloat16, with the same vectors."""
    model = load_ours(tiny_folder, model_kwargs={"dtype": torch.bfloat16})
    model.save(str(tmp_path / "saved"), create_model_card=False)
    again = load_ours(tmp_path / "saved")
    assert again.dtype == torch.bfloat16
    assert np.array_equal(again.encode_document(TEXTS), model.encode_document(TEXTS))


def test_trained_weights_survive(fresh_tiny, tmp_path):
    """Changed weights are what is saved, the tied LM head included: thoughts come back the same."""
    with torch.no_grad():
        for parameter in fresh_tiny.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    wanted = fresh_tiny.encode_query_with_thoughts(TEXTS)
    fresh_tiny.save(str(tmp_path / "saved"), create_model_card=False)
    found = load_ours(tmp_path / "saved").encode_query_with_thoughts(TEXTS)
    assert found.thoughts == wanted.thoughts
    assert np.abs(found.embeddings - wanted.embeddings).max() <= 1e-6


# --- what a folder holds


def test_no_pickle_in_the_folder(tiny_folder):
    """Weights are safetensors, everything else is text: nothing in the folder is a pickle or an archive."""
    suffixes = {path.suffix for path in tiny_folder.rglob("*") if path.is_file()}
    assert suffixes <= {".safetensors", ".json", ".jinja", ".py"}
    for path in tiny_folder.rglob("*"):
        if path.is_file() and path.suffix != ".safetensors":
            path.read_bytes().decode("utf-8")
        if path.is_file():
            start = path.read_bytes()[:4]
            assert start[:1] != b"\x80", f"{path} starts like a pickle"
            assert start != b"PK\x03\x04", f"{path} starts like an archive"


def test_pickled_weights_are_never_written(tiny, tmp_path):
    """safe_serialization=False is refused, and no weights are left behind."""
    for save in (tiny.save, tiny.save_pretrained):
        with pytest.raises(InvalidOptionError, match="safetensors"):
            save(str(tmp_path / "saved"), safe_serialization=False)
    assert not [
        path for path in (tmp_path / "saved").rglob("*") if path.suffix in (".bin", ".pt", ".safetensors")
    ]


def test_pickled_weights_are_never_read(folder):
    """A folder whose weights are a pickle is refused."""
    state = load_ours(folder)[0].model.state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        load_ours(folder)


def test_modules_json(tiny_folder):
    """Pooling and normalisation are sentence-transformers' own; only the first module is custom."""
    modules = json.loads((tiny_folder / "modules.json").read_text(encoding="utf-8"))
    types = [module["type"] for module in modules]
    assert types[0] == "modeling_search_r3.ReasoningTransformer"
    assert [name.rsplit(".", 1)[1] for name in types[1:]] == ["Pooling", "Normalize"]
    assert all(name.startswith("sentence_transformers.") for name in types[1:])


def test_requirements_are_enforced(folder, load_plain):
    """The folder names the library versions it needs, and neither class loads it with others."""
    path = folder / "config_sentence_transformers.json"
    requirements = json.loads(path.read_text(encoding="utf-8"))["requirements"]
    assert requirements == {"sentence-transformers": ">=6.0,<7", "transformers": ">=5.16,<6"}
    edit_json(path, lambda config: config["requirements"].update({"transformers": ">=99"}))
    for load in (load_ours, load_plain):
        with pytest.raises(ImportError, match="transformers>=99"):
            load(folder)


# --- code in the folder


def test_our_class_runs_no_code_of_the_folder(folder, tiny, load_plain):
    """Our class resolves its modules from the package: a tampered modelling file is not even read."""
    wanted = tiny.encode_query(TEXTS)
    (folder / MODELING_FILE).write_text("raise RuntimeError('code of the folder ran')\n", encoding="utf-8")
    assert np.array_equal(load_ours(folder).encode_query(TEXTS), wanted)
    assert np.array_equal(load_ours(folder, trust_remote_code=True).encode_query(TEXTS), wanted)
    with pytest.raises(RuntimeError, match="code of the folder ran"):
        load_plain(folder)
    (folder / MODELING_FILE).unlink()
    assert np.array_equal(load_ours(folder).encode_query(TEXTS), wanted)


def test_plain_class_needs_the_flag(tiny_folder):
    """Without the flag sentence-transformers' own class refuses the folder and names the flag."""
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        sentence_transformers.SentenceTransformer(str(tiny_folder), device="cpu")


@pytest.mark.parametrize(
    "reference",
    [
        "modeling_evil.ReasoningTransformer",
        "modeling_search_r3.Other",
        "search_r3.model.sentence_transformer.SentenceTransformer",
        "search_r3.model.reasoning_transformer.ReasoningTransformer.x",
        "os.system",
    ],
)
@pytest.mark.parametrize("index", [0, 2])
def test_other_custom_classes_meet_the_gate(folder, reference, index):
    """Any class but our own meets sentence-transformers' gate: without the flag it is not imported."""
    for name in ("modeling_evil.py", MODELING_FILE):
        (folder / name).write_text("raise RuntimeError('code of the folder ran')\n", encoding="utf-8")

    def change(modules):
        modules[index]["type"] = reference

    edit_json(folder / "modules.json", change)
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        load_ours(folder)


def test_auto_map_is_not_followed(folder, tiny):
    """Code named by config.json or the tokenizer's configuration is not run either."""
    (folder / "evil.py").write_text("raise RuntimeError('code of the folder ran')\n", encoding="utf-8")
    auto_map = {"AutoModelForCausalLM": "evil.Model", "AutoConfig": "evil.Config"}
    edit_json(folder / "config.json", lambda config: config.update(auto_map=auto_map))
    edit_json(
        folder / "tokenizer_config.json",
        lambda config: config.update(auto_map={"AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"]}),
    )
    assert np.array_equal(load_ours(folder).encode_query(TEXTS), tiny.encode_query(TEXTS))


# --- the modelling file


def test_modeling_source_is_deterministic(tiny_folder):
    """The same package gives the same bytes, in another process with another hash seed too."""
    code = (
        "from search_r3.model.modeling_file import modeling_source; "
        "import sys; sys.stdout.write(modeling_source())"
    )
    for seed in ("1", "2"):
        other = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            timeout=120,
            env={"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8", "PATH": ""},
        ).stdout.decode("utf-8")
        assert other == modeling_source()
    assert (tiny_folder / MODELING_FILE).read_text(encoding="utf-8") == modeling_source()


def test_modeling_source_stands_alone():
    """The file compiles, imports nothing of search_r3, and defines each top-level name once."""
    source = modeling_source()
    tree = ast.parse(source)
    compile(source, MODELING_FILE, "exec")
    imported = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import needs a second file"
            imported.append(node.module)
    assert imported
    assert not [name for name in imported if name.split(".")[0] == "search_r3"]
    defined = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    for node in tree.body:
        if isinstance(node, ast.Assign):
            defined += [target.id for target in node.targets if isinstance(target, ast.Name)]
    assert len(defined) == len(set(defined)), "two modules define the same name: the later one wins"
    assert {"ReasoningTransformer", "PromptEncoder", "think", "Thought", "Template"} <= set(defined)


def test_modeling_source_executes_without_the_package():
    """Executed on its own, the file gives a class with the package's configuration keys and options."""
    namespace = {"__name__": "alone"}
    sys.modules["alone"] = type(sys)("alone")  # dataclasses look their module up
    try:
        exec(compile(modeling_source(), MODELING_FILE, "exec"), namespace)
    finally:
        del sys.modules["alone"]
    alone = namespace["ReasoningTransformer"]
    assert alone.config_keys == ReasoningTransformer.config_keys
    assert alone.forward_kwargs == ReasoningTransformer.forward_kwargs


def test_modeling_source_has_no_undefined_names(tmp_path):
    """Ruff's pyflakes rules find no undefined or unused name in the file."""
    ruff = Path(sys.executable).with_name("ruff")
    command = str(ruff) if ruff.exists() else shutil.which("ruff")
    if command is None:
        pytest.skip("ruff is not installed")
    (tmp_path / MODELING_FILE).write_text(modeling_source(), encoding="utf-8")
    found = subprocess.run(
        [command, "check", "--isolated", "--select", "F", "--no-cache", str(tmp_path / MODELING_FILE)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 0, found.stdout


# --- models that are not ours


def static_model(path):
    generator = torch.Generator().manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(TINY_LM)
    weights = torch.randn(len(tokenizer), 16, generator=generator)
    module = StaticEmbedding(tokenizer.backend_tokenizer, embedding_weights=weights)
    sentence_transformers.SentenceTransformer(modules=[module], device="cpu").save(str(path))


def bert_model(path):
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(TINY_LM)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(path / "raw")
    tokenizer.save_pretrained(path / "raw")
    transformer = Transformer(str(path / "raw"), max_seq_length=64)
    sentence_transformers.SentenceTransformer(
        modules=[transformer, Pooling(16, "mean")],
        prompts={"query": "query: ", "document": ""},
        device="cpu",
    ).save(str(path))


@pytest.mark.parametrize("build", [static_model, bert_model])
def test_other_models_load_unchanged(build, tmp_path):
    """A sentence-transformers model that is not ours embeds the same in our class, and is saved as it was."""
    build(tmp_path / "other")
    plain = sentence_transformers.SentenceTransformer(str(tmp_path / "other"), device="cpu")
    ours = load_ours(tmp_path / "other")
    for method in ("encode", "encode_query", "encode_document"):
        wanted = getattr(plain, method)(TEXTS)
        assert np.linalg.norm(wanted[0] - wanted[1]) > 1e-3
        assert np.array_equal(getattr(ours, method)(TEXTS), wanted)
    assert np.array_equal(ours.encode(TEXTS[0]), plain.encode(TEXTS[0]))
    plain.save(str(tmp_path / "plain"), create_model_card=False)
    ours.save(str(tmp_path / "ours"), create_model_card=False)
    assert hashes(tmp_path / "ours") == hashes(tmp_path / "plain")


def test_our_class_is_a_sentence_transformer():
    """Whatever accepts sentence-transformers' class accepts ours."""
    assert issubclass(search_r3.SentenceTransformer, sentence_transformers.SentenceTransformer)
