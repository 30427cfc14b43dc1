"""CorpusIndex: consistent on disk at every moment, resumable, refuses another model."""

import contextlib
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from search_r3 import SentenceTransformer, fingerprint
from search_r3.errors import VectorIndexError
from search_r3.retrieval import corpus_index, index_building, store_writer
from search_r3.retrieval.corpus_index import CorpusIndex
from search_r3.retrieval.documents import Document
from search_r3.retrieval.index_building import BuildReport, build_index
from search_r3.retrieval.vector_index import VectorIndex

TEXTS = {f"d{i}": f"document number {i} about " + "copying files " * (i % 5) for i in range(20)}
DOCUMENTS = [Document(doc_id, text) for doc_id, text in TEXTS.items()]


def build(
    folder: Path, model: SentenceTransformer, documents: list[Document] = DOCUMENTS, **options
) -> BuildReport:
    return build_index(folder, model, documents, model_name="tiny", batch_size=4, **options)


def test_vectors_are_the_models(tiny: SentenceTransformer, tmp_path: Path) -> None:
    """Every stored vector is encode_document of the stored text, whatever batch it was in."""
    assert build(tmp_path / "index", tiny) == BuildReport(encoded=20, unchanged=0, removed=0)
    index = CorpusIndex.load(tmp_path / "index")
    assert index.texts == TEXTS
    assert index.model == "tiny"
    expected = np.stack([tiny.encode_document(TEXTS[doc_id]) for doc_id in index.vectors.doc_ids])
    np.testing.assert_allclose(index.vectors.vectors(), expected, atol=1e-5)


def test_second_build_encodes_only_what_changed(tiny: SentenceTransformer, tmp_path: Path) -> None:
    """New and changed documents are encoded, others kept; prune removes what the source no longer has."""
    build(tmp_path, tiny)
    changed = [Document("d3", "another text"), Document("new", "a new text"), *DOCUMENTS[4:]]
    assert build(tmp_path, tiny, changed) == BuildReport(encoded=2, unchanged=16, removed=0)
    index = CorpusIndex.load(tmp_path)
    assert len(index.vectors) == 21
    np.testing.assert_allclose(
        index.vectors.vectors(["d3", "new"]), tiny.encode_document(["another text", "a new text"]), atol=1e-5
    )
    assert build(tmp_path, tiny, changed, prune=True) == BuildReport(encoded=0, unchanged=18, removed=3)
    assert set(CorpusIndex.load(tmp_path).texts) == {document.doc_id for document in changed}


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_interrupted_build_resumes(
    fresh_tiny: SentenceTransformer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """Ctrl-C in any batch keeps the batches before it; the next build encodes exactly the rest."""
    encode, calls = fresh_tiny.encode_document, []

    def interrupted(texts: list[str], **options: object) -> np.ndarray:
        if len(calls) == batch:
            raise KeyboardInterrupt
        calls.append(texts)
        return encode(texts, **options)

    with monkeypatch.context() as patch:
        patch.setattr(fresh_tiny, "encode_document", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path, fresh_tiny)
    assert len(CorpusIndex.load(tmp_path).vectors) == 4 * batch
    assert build(tmp_path, fresh_tiny) == BuildReport(encoded=20 - 4 * batch, unchanged=4 * batch, removed=0)
    assert CorpusIndex.load(tmp_path).texts == TEXTS


def test_a_changed_document_keeps_its_former_text_until_it_is_embedded(
    fresh_tiny: SentenceTransformer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted update leaves each document with one text, and the vector of this text."""
    build(tmp_path, fresh_tiny)
    encode, calls = fresh_tiny.encode_document, []

    def interrupted(texts: list[str], **options: object) -> np.ndarray:
        if calls:
            raise KeyboardInterrupt
        calls.append(texts)
        return encode(texts, **options)

    changed = [Document(doc_id, f"now {text}") for doc_id, text in TEXTS.items()]
    with monkeypatch.context() as patch:
        patch.setattr(fresh_tiny, "encode_document", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path, fresh_tiny, changed)
    index = CorpusIndex.load(tmp_path)
    assert set(index.texts) == set(TEXTS)
    assert sum(text.startswith("now ") for text in index.texts.values()) == 4
    found = index.vectors.vectors(list(index.texts))
    np.testing.assert_allclose(found, encode(list(index.texts.values())), atol=1e-5)
    assert build(tmp_path, fresh_tiny, changed) == BuildReport(encoded=16, unchanged=4, removed=0)


def test_refuses_what_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(VectorIndexError, match="search-r3 index"):
        CorpusIndex.load(tmp_path / "nothing")


def test_refuses_another_model(fresh_tiny: SentenceTransformer, tmp_path: Path) -> None:
    """Vectors of two models never meet in one index."""
    build(tmp_path, fresh_tiny, DOCUMENTS[:3])
    fresh_tiny.max_seq_length = 64
    with pytest.raises(VectorIndexError, match="another model"):
        build(tmp_path, fresh_tiny, DOCUMENTS[:3])


def test_text_with_line_separators_survives(tiny: SentenceTransformer, tmp_path: Path) -> None:
    """Newlines, U+2028 and quotes in texts and ids come back as they were."""
    odd = [Document("a\u2028b", 'line\nline\u2028line\x85 "quoted"'), Document("é", "")]
    build(tmp_path, tiny, odd)
    assert CorpusIndex.load(tmp_path).texts == {document.doc_id: document.text for document in odd}


@pytest.mark.parametrize("step", ["append_rows", "sync", "write_bytes", "write_manifest", "compact"])
@pytest.mark.parametrize("kind", ["first", "rebuild", "former"])
def test_a_kill_at_any_write_is_mended_by_the_next_build(
    tiny: SentenceTransformer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, kind: str
) -> None:
    """Killed before any one write of a rebuild with changed and pruned documents, or of a first build."""
    changed = [Document("d3", "another text"), *DOCUMENTS[4:]]
    for survives in range(8):
        folder = tmp_path / str(survives)
        if kind == "rebuild":
            build(folder, tiny)
        elif kind == "former":
            write_former(folder, tiny)
        left, write = [survives], getattr(store_writer, step)

        def killed(*args, left=left, write=write):
            if left[0] == 0:
                raise SystemExit("killed")
            left[0] -= 1
            return write(*args)

        with monkeypatch.context() as patch:
            patch.setattr(index_building if step == "compact" else store_writer, step, killed)
            with contextlib.suppress(SystemExit):
                build(folder, tiny, changed, prune=True, save_every_seconds=0)
        if kind != "first":  # at every moment there is an index, in which each vector is that of its text
            index = CorpusIndex.load(folder)
            found = index.vectors.vectors(list(index.texts))
            np.testing.assert_allclose(found, tiny.encode_document(list(index.texts.values())), atol=1e-5)
        build(folder, tiny, changed, prune=True)
        index = CorpusIndex.load(folder)
        assert index.texts == {document.doc_id: document.text for document in changed}
        np.testing.assert_allclose(
            index.vectors.vectors(["d3"])[0], tiny.encode_document("another text"), atol=1e-5
        )
        assert not [path for path in folder.iterdir() if path.name.startswith((".part", "vectors"))]


def test_a_build_records_what_the_model_is_called_now(tiny, tmp_path):
    """An index is continued under another name of the same model; without a name it keeps its own."""
    documents = [Document("a", "red sea")]
    for name, recorded in (("default", "default"), ("smollm2-135m", "smollm2-135m"), ("", "smollm2-135m")):
        build_index(tmp_path / "index", tiny, documents, model_name=name)
        assert CorpusIndex.load(tmp_path / "index").model == recorded


# ------------------------------------------------------------------------------- indexes of earlier versions


def write_former(
    folder: Path, tiny: SentenceTransformer, documents: list[Document] = DOCUMENTS, **recorded: object
) -> None:
    """Write an index as versions before format 3 did."""
    vectors = VectorIndex(tiny.get_embedding_dimension(), fingerprint=fingerprint(tiny))
    vectors.add([one.doc_id for one in documents], tiny.encode_document([one.text for one in documents]))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(
        json.dumps({"format_version": 2, "model": "tiny"} | recorded), encoding="utf-8"
    )
    rows = [json.dumps({"_id": one.doc_id, "text": one.text}) + "\n" for one in documents]
    (folder / "documents.jsonl").write_text("".join(rows), encoding="utf-8")
    vectors.save(folder / "vectors")


def test_a_former_index_is_read_and_continued(tiny: SentenceTransformer, tmp_path: Path) -> None:
    """Read as it is; the next build makes it one of today's, with the same vectors, and removes its files."""
    write_former(tmp_path, tiny)
    former = CorpusIndex.load(tmp_path)
    assert (former.texts, former.model) == (TEXTS, "tiny")
    queries = tiny.encode_query(["copying files", "number 7"])
    wanted = former.vectors.search(queries, 5, fingerprint=former.vectors.fingerprint)
    new = Document("new", "one line\nand another")
    assert build(tmp_path, tiny, [*DOCUMENTS, new]) == BuildReport(encoded=1, unchanged=20, removed=0)
    index = CorpusIndex.load(tmp_path)
    assert index.texts == TEXTS | {"new": new.text}
    np.testing.assert_array_equal(index.vectors.vectors(list(TEXTS)), former.vectors.vectors(list(TEXTS)))
    found = index.vectors.search(queries, 21, fingerprint=former.vectors.fingerprint)
    assert [[hit.doc_id for hit in hits if hit.doc_id != "new"][:5] for hits in found] == [
        [hit.doc_id for hit in hits] for hits in wanted
    ]
    assert not [name for name in ("vectors", "documents.jsonl", "model.json") if (tmp_path / name).exists()]


def test_a_former_index_that_is_converted_while_it_is_read(tiny, tmp_path, monkeypatch) -> None:
    """The reader finds its parts gone, and takes the converted index."""
    write_former(tmp_path, tiny)
    plain = corpus_index.read_former

    def late(folder: Path) -> object:
        build(folder, tiny)
        return plain(folder)

    monkeypatch.setattr(corpus_index, "read_former", late)
    assert CorpusIndex.load(tmp_path).texts == TEXTS


def test_a_users_own_files_beside_an_index_stay(tiny, tmp_path) -> None:
    """Also those that are called as parts of a former index were."""
    build(tmp_path, tiny, DOCUMENTS[:2])
    (tmp_path / "documents.jsonl").write_text("mine")
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / "mine").write_text("mine")
    build(tmp_path, tiny, DOCUMENTS[:3])
    assert (tmp_path / "documents.jsonl").read_text() == (tmp_path / "vectors" / "mine").read_text() == "mine"


def test_a_build_waits_for_another_if_it_is_told_to(tiny, tmp_path) -> None:
    """Without waiting the error says so."""
    (tmp_path / "index").mkdir()
    lock = FileLock(tmp_path / "index" / ".lock", thread_local=False)
    lock.acquire()
    with pytest.raises(VectorIndexError, match="Another process is writing"):
        build(tmp_path / "index", tiny, DOCUMENTS[:1])
    threading.Timer(0.5, lock.release).start()
    assert build(tmp_path / "index", tiny, DOCUMENTS[:1], wait_seconds=30).encoded == 1


def test_a_damaged_former_index_is_refused(tiny: SentenceTransformer, tmp_path: Path) -> None:
    """A vector without text, a text file that is broken or missing."""
    write_former(tmp_path, tiny)
    for content, said in (
        ('{"_id": "d0", "text": "x"}\n', "19 vectors have no text"),
        ("{broken", "damaged"),
    ):
        (tmp_path / "documents.jsonl").write_text(content)
        with pytest.raises(VectorIndexError, match=said):
            CorpusIndex.load(tmp_path)
    (tmp_path / "documents.jsonl").unlink()
    with pytest.raises(VectorIndexError, match=r"has no documents.jsonl"):
        build(tmp_path, tiny)


def test_an_old_index_that_may_hold_titles_is_refused(tiny: SentenceTransformer, tmp_path: Path) -> None:
    """Loading and building name the document and the command, and leave every file as it was."""
    folder = tmp_path / "my index"
    documents = [*DOCUMENTS[:2], Document("titled", "A title\nand its text")]
    write_former(folder, tiny, documents, format_version=1, model="/models/tiny one")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(VectorIndexError) as loading:
        CorpusIndex.load(folder)
    with pytest.raises(VectorIndexError) as building:
        build(folder, tiny, [Document("titled", "A title and its text")], prune=True)
    assert str(loading.value) == str(building.value)
    for said in (
        f"Got {folder}, an index of format 1 in which document 'titled' has a line break",
        "wanted format 2 or 3",
        f"rm -r '{folder}' && search-r3 index SOURCE '{folder}' --model '/models/tiny one'",
    ):
        assert said in str(loading.value)
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    after.pop(folder / ".lock", None)
    assert after == before
    write_former(folder, tiny, documents, format_version=1, model="default")
    with pytest.raises(VectorIndexError, match=r"search-r3 index SOURCE '[^']*'$"):  # the default model
        CorpusIndex.load(folder)


def test_an_old_index_without_line_breaks_is_upgraded(tiny: SentenceTransformer, tmp_path: Path) -> None:
    """It has no title: its vectors are kept, and what is added may hold line breaks."""
    write_former(tmp_path, tiny, DOCUMENTS[:3], format_version=1)
    old = CorpusIndex.load(tmp_path).vectors.vectors(["d0", "d1", "d2"])
    added = Document("d3", "one line\nand another")
    assert build(tmp_path, tiny, [*DOCUMENTS[:3], added]) == BuildReport(encoded=1, unchanged=3, removed=0)
    index = CorpusIndex.load(tmp_path)
    assert index.texts["d3"] == added.text
    np.testing.assert_array_equal(index.vectors.vectors(["d0", "d1", "d2"]), old)


@pytest.mark.parametrize("version", [0, 4, "2", None])
def test_an_index_of_an_unknown_format_is_refused(tiny, tmp_path: Path, version: object) -> None:
    write_former(tmp_path, tiny, DOCUMENTS[:1], format_version=version)
    with pytest.raises(VectorIndexError, match=rf"format {version!r}; wanted format 1, 2 or 3"):
        CorpusIndex.load(tmp_path)


def test_never_writes_over_other_files(tiny: SentenceTransformer, tmp_path: Path) -> None:
    """A folder with files of the user's own is refused and left as it was."""
    own = tmp_path / "documents.jsonl"
    own.write_text('{"_id": "mine", "text": "x", "meta": 1}\n')
    with pytest.raises(VectorIndexError, match="holds other files, such as documents"):
        build(tmp_path, tiny)
    assert own.read_text() == '{"_id": "mine", "text": "x", "meta": 1}\n'
