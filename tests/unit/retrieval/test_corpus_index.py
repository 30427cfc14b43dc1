"""CorpusIndex: consistent on disk at every moment, resumable, refuses another model."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest

from search_r3 import SentenceTransformer
from search_r3.errors import VectorIndexError
from search_r3.retrieval.corpus_index import CorpusIndex
from search_r3.retrieval.documents import Document
from search_r3.retrieval.index_building import BuildReport, build_index

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


def test_text_without_vector_is_encoded_again(tiny: SentenceTransformer, tmp_path: Path) -> None:
    """A kill between the two files of a save leaves texts without vectors; the next build mends it."""
    build(tmp_path, tiny, DOCUMENTS[:8])
    lines = (tmp_path / "documents.jsonl").read_text(encoding="utf-8")
    (tmp_path / "documents.jsonl").write_text(lines + json.dumps({"_id": "d9", "text": TEXTS["d9"]}) + "\n")
    assert build(tmp_path, tiny, DOCUMENTS[:10]) == BuildReport(encoded=2, unchanged=8, removed=0)


def test_refuses_what_is_not_its_own(tiny: SentenceTransformer, tmp_path: Path) -> None:
    """No folder, a vector without text, and another model are errors that say what to do."""
    with pytest.raises(VectorIndexError, match="search-r3 index"):
        CorpusIndex.load(tmp_path / "nothing")
    build(tmp_path, tiny, DOCUMENTS[:3])
    (tmp_path / "documents.jsonl").write_text('{"_id": "d0", "text": "x"}\n')
    with pytest.raises(VectorIndexError, match="2 vectors have no text"):
        CorpusIndex.load(tmp_path)
    (tmp_path / "documents.jsonl").write_text("{broken")
    with pytest.raises(VectorIndexError, match="damaged"):
        CorpusIndex.load(tmp_path)


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


@pytest.mark.parametrize("part", ["vectors", "texts", "model"])
def test_a_kill_at_any_write_is_mended_by_the_next_build(
    tiny: SentenceTransformer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Killed before any one write of a rebuild, with changed and pruned documents, or of a first build."""
    from search_r3.retrieval import corpus_index

    changed = [Document("d3", "another text"), *DOCUMENTS[4:]]
    for name, before in (("rebuild", DOCUMENTS), ("first", [])):
        for survives in range(6):
            folder = tmp_path / f"{name}{survives}"
            if before:
                build(folder, tiny, before)
            left = [survives]

            def killed(write, left=left):
                def wrapper(*args):
                    if left[0] == 0:
                        raise SystemExit("killed")
                    left[0] -= 1
                    return write(*args)

                return wrapper

            with monkeypatch.context() as patch:
                if part == "vectors":
                    patch.setattr(corpus_index.VectorIndex, "save", killed(corpus_index.VectorIndex.save))
                else:
                    writer = "write_lines" if part == "texts" else "write_text"
                    patch.setattr(corpus_index, writer, killed(getattr(corpus_index, writer)))
                with contextlib.suppress(SystemExit):
                    build(folder, tiny, changed, prune=True)
            build(folder, tiny, changed, prune=True)
            index = CorpusIndex.load(folder)
            assert set(index.vectors.doc_ids) == {document.doc_id for document in changed}
            np.testing.assert_allclose(
                index.vectors.vectors(["d3"])[0], tiny.encode_document("another text"), atol=1e-5
            )


def test_a_build_records_what_the_model_is_called_now(tiny, tmp_path):
    """An index is continued under another name of the same model; without a name it keeps its own."""
    documents = [Document("a", "red sea")]
    for name, recorded in (("default", "default"), ("smollm2-135m", "smollm2-135m"), ("", "smollm2-135m")):
        build_index(tmp_path / "index", tiny, documents, model_name=name)
        assert CorpusIndex.load(tmp_path / "index").model == recorded


def make_old(folder: Path, model: str = "default") -> None:
    """Write `model.json` as version 0.1 did, without a format."""
    (folder / "model.json").write_text(json.dumps({"model": model}) + "\n", encoding="utf-8")


def test_the_format_is_recorded(tiny: SentenceTransformer, tmp_path: Path) -> None:
    build(tmp_path, tiny, DOCUMENTS[:1])
    assert json.loads((tmp_path / "model.json").read_text()) == {"format_version": 2, "model": "tiny"}


def test_an_old_index_that_may_hold_titles_is_refused(tiny: SentenceTransformer, tmp_path: Path) -> None:
    """Loading and building name the document and the command, and leave every file as it was."""
    folder = tmp_path / "my index"
    build(folder, tiny, [*DOCUMENTS[:2], Document("titled", "A title\nand its text")])
    make_old(folder, "/models/tiny one")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(VectorIndexError) as loading:
        CorpusIndex.load(folder)
    with pytest.raises(VectorIndexError) as building:
        build(folder, tiny, [Document("titled", "A title and its text")], prune=True)
    assert str(loading.value) == str(building.value)
    for said in (
        f"Got {folder}, an index of format 1 in which document 'titled' has a line break",
        "wanted format 2",
        f"rm -r '{folder}' && search-r3 index SOURCE '{folder}' --model '/models/tiny one'",
    ):
        assert said in str(loading.value)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    make_old(folder)
    with pytest.raises(VectorIndexError, match=r"search-r3 index SOURCE '[^']*'$"):  # the default model
        CorpusIndex.load(folder)


def test_an_old_index_without_line_breaks_is_upgraded(tiny: SentenceTransformer, tmp_path: Path) -> None:
    """It has no title: its vectors are kept, and what is added may hold line breaks."""
    build(tmp_path, tiny, DOCUMENTS[:3])
    make_old(tmp_path, "tiny")
    old = CorpusIndex.load(tmp_path).vectors.vectors(["d0", "d1", "d2"])
    added = Document("d3", "one line\nand another")
    assert build(tmp_path, tiny, [*DOCUMENTS[:3], added]) == BuildReport(encoded=1, unchanged=3, removed=0)
    assert json.loads((tmp_path / "model.json").read_text())["format_version"] == 2
    index = CorpusIndex.load(tmp_path)
    assert index.texts["d3"] == added.text
    np.testing.assert_array_equal(index.vectors.vectors(["d0", "d1", "d2"]), old)


@pytest.mark.parametrize("version", [0, 3, "2", None])
def test_an_index_of_an_unknown_format_is_refused(tiny, tmp_path: Path, version: object) -> None:
    build(tmp_path, tiny, DOCUMENTS[:1])
    (tmp_path / "model.json").write_text(json.dumps({"format_version": version, "model": "tiny"}))
    with pytest.raises(VectorIndexError, match=rf"format {version!r}; wanted format 1 or 2"):
        CorpusIndex.load(tmp_path)


def test_never_writes_over_other_files(tiny: SentenceTransformer, tmp_path: Path) -> None:
    """A folder with files of the user's own is refused and left as it was."""
    own = tmp_path / "documents.jsonl"
    own.write_text('{"_id": "mine", "text": "x", "meta": 1}\n')
    with pytest.raises(VectorIndexError, match="holds other files, such as documents"):
        build(tmp_path, tiny)
    assert own.read_text() == '{"_id": "mine", "text": "x", "meta": 1}\n'
