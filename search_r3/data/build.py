"""One command's work: fetch every package, build every set, prove that nothing leaks.

Every step writes its files atomically and notes them in ``manifest.json``; a step whose files are there and
are the noted ones is not done again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from search_r3.data.beir import read_beir, write_beir
from search_r3.data.bridge_sets import BRIDGE_TESTS
from search_r3.data.catalogue import SIZES, TASKS, Size, expected_hash
from search_r3.data.dev_tasks import DEV_TASKS, DevCard, dev_folder, expected_dev_hash
from search_r3.data.full_tasks import full_task
from search_r3.data.leaks import LeakCheck
from search_r3.data.mini import mini_of
from search_r3.data.names_task import NAMES
from search_r3.data.pairs import TrainingPair, pairs_hash, read_pairs, write_pairs
from search_r3.data.parsed import Sources
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.thought_records import read_thoughts, thoughts_path, write_thoughts
from search_r3.data.training_set import TrainingSet
from search_r3.data.training_sets import GRADED_SETS, TRAINING_SETS
from search_r3.errors import DataError
from search_r3.files import bytes_sha256, file_sha256, write_text

_BUILD = 1
"""Raise it when a change to the code changes what is built: sets of an older build are then made again.

So are sets that were built from other packages, or kept apart from other evaluation or dev tasks.
"""

_MINED_PAIRS = 5000
"""Pairs of a source without structure that get mined negatives; mining takes a minute per thousand."""

MineNegatives = Callable[[list[TrainingPair]], list[TrainingPair]]


class Builder:
    """Builds the data in a folder, step by step.

    Args:
        folder: Where packages, sets and the manifest are kept.
        mine: Gives pairs their mined negatives.
        on_step: Told what is being done, for a progress display.
    """

    def __init__(self, folder: Path, mine: MineNegatives, on_step: Callable[[str], None]) -> None:
        self._folder = folder
        self._mine = mine
        self._on_step = on_step
        self._sources = Sources(folder / "packages")
        self._check: LeakCheck | None = None
        self._dev_names: list[str] | None = None
        self.manifest = self._read_manifest()

    def build_evaluation(self) -> None:
        """Build the six tasks in both sizes and hold them against their pinned hashes.

        Raises:
            DataError: A package cannot be had, or the data is not the pinned one.
        """
        for name in TASKS:
            folder = self._folder / "evaluation" / name
            if all(_is_built(folder / size, expected_hash(name, size)) for size in SIZES):
                self._on_step(f"evaluation task {name}: built before")
            else:
                self._on_step(f"evaluation task {name}")
                full = full_task(name, self._sources)
                self._write_task(name, "full", full)
                self._write_task(name, "mini", mini_of(name, full))
            for size in SIZES:
                self._note("evaluation", f"{name}/{size}", _describe(read_beir(folder / size)))

    def build_dev(self) -> dict[str, str]:
        """Build the dev tasks and the test of names; training sets are then kept apart from these.

        Returns:
            What could not be built, by name, with the reason; see :meth:`build_training`.
        """
        failed = self._try_all([(name, self._build_dev_task) for name in _dev_cards()])
        self._check = self._dev_names = None
        return failed

    def build_training(self) -> dict[str, str]:
        """Build the training pairs and the graded sets without anything that leaks.

        Returns:
            What could not be built, by name, with the reason: a Debian package, for example, is not to be had
            on another system, which is no reason to go without the other sets.
        """
        for part, known in (("training", TRAINING_SETS), ("graded", GRADED_SETS)):
            for name in set(self.manifest.get(part, {})) - set(known):
                self._forget(part, name)
        steps = [(name, self._build_pairs) for name in TRAINING_SETS]
        return self._try_all([*steps, *((name, self._build_graded) for name in GRADED_SETS)])

    def _try_all(self, steps: list[tuple[str, Callable[[str], None]]]) -> dict[str, str]:
        failed: dict[str, str] = {}
        for name, step in steps:
            try:
                step(name)
            except DataError as error:
                self._on_step(f"{name} FAILED: {error}")
                failed[name] = str(error)
        return failed

    def count_leaks(self) -> int:
        """Hold the finished files against the finished evaluation tasks, once more and from the disk.

        Returns:
            0, the number of leaking texts.

        Raises:
            DataError: A text leaks; the message shows the first.
        """
        self._on_step("looking for evaluation texts in the training files")
        self._check = None  # built anew from the files, so that it owes nothing to the filter's state
        check = self._leak_check()
        for name, text in self._training_texts():
            if check.leaks(text):
                raise DataError(
                    f"{name} holds a text that is, or quotes, a text of an evaluation or dev task: "
                    f"{text[:200]!r}. Delete the file and build again; if it comes back, the filter in "
                    "build.py has a hole."
                )
        self._note("leaks", "found", {"count": 0})
        return 0

    def _build_dev_task(self, name: str) -> None:
        folder, wanted = dev_folder(self._folder, name), expected_dev_hash(name)
        if _is_built(folder, wanted):
            self._on_step(f"dev task {name}: built before")
        else:
            self._on_step(f"dev task {name}")
            self._write_pinned(name, _dev_cards()[name].build(self._sources), wanted, folder)
        facts = {**_describe(read_beir(folder)), "licence": _dev_cards()[name].licence}
        self._note("dev", name, facts)

    def _build_pairs(self, name: str) -> None:
        path = self._folder / "training" / f"{name}.parquet"
        described = TRAINING_SETS[name]
        about = thoughts_path(self._folder, name)
        files = [path] if described.thoughts is None else [path, about]
        if self._is_noted("training", name, files):
            self._on_step(f"training pairs {name}: built before")
            return
        self._on_step(f"training pairs {name}")
        self._forget("training", name)
        self._sources.missing.clear()
        made = described.make(self._sources)
        missing = dict(self._sources.missing)
        for package, reason in missing.items():
            self._on_step(f"training pairs {name}: goes without {package}: {reason}")
        pairs, dropped = self._without_leaks(made)
        if described.mined:
            self._on_step(f"training pairs {name}: mining negatives for {min(len(pairs), _MINED_PAIRS)}")
            # By a hash, so that the sample is spread over the source and does not depend on its order.
            order = sorted(pairs, key=lambda pair: hashlib.sha256(pair.query_id.encode()).digest())
            mined = {pair.query_id: pair for pair in self._mine(order[:_MINED_PAIRS])}
            pairs = [mined.get(pair.query_id, pair) for pair in pairs]
        write_pairs(pairs, path)
        thoughts = [] if described.thoughts is None else described.thoughts(self._sources)
        if thoughts:
            check, kept = self._leak_check(), {pair.query_id for pair in pairs}
            thoughts = [
                record
                for record in thoughts
                if record.query_id in kept and not any(map(check.leaks, record.evidence))
            ]
            write_thoughts(thoughts, about, {})
        self._note(
            "training",
            name,
            {
                "pairs": len(pairs),
                **({"thoughts": len(thoughts)} if thoughts else {}),
                "with_negatives": sum(bool(pair.negatives) for pair in pairs),
                "dropped_as_leaks": dropped,
                "data_hash": pairs_hash(pairs),
                "licence": described.licence,
                **({"missing_packages": sorted(missing)} if missing else {}),
                **self._unpinned(described),
                **self._stamp(files),
            },
        )

    def _build_graded(self, name: str) -> None:
        folder = self._folder / "graded" / name
        files = [folder / "corpus.jsonl", folder / "queries.jsonl", folder / "qrels" / "train.tsv"]
        if self._is_noted("graded", name, files):
            self._on_step(f"graded set {name}: built before")
            return
        self._on_step(f"graded set {name}")
        self._forget("graded", name)
        check = self._leak_check()
        made = GRADED_SETS[name].make(self._sources)
        kept_documents = {doc_id for doc_id, text in made.corpus.items() if not check.leaks(text)}
        kept_queries = {
            query_id
            for query_id, text in made.queries.items()
            if not check.leaks(text) and self._keeps_best(made.qrels[query_id], kept_documents)
        }
        task = made.subset(kept_queries, kept_documents)
        write_beir(task, folder, split="train")
        dropped = len(made.queries) - len(task.queries) + len(made.corpus) - len(task.corpus)
        self._note(
            "graded",
            name,
            {
                **_describe(task),
                "dropped_as_leaks": dropped,
                "licence": GRADED_SETS[name].licence,
                **self._stamp(files),
            },
        )

    def _unpinned(self, described: TrainingSet) -> dict[str, Any]:
        """The hash of a source that has no pin, so that a result can at least name what it was."""
        if described.unpinned is None:
            return {}
        return {"source_sha256": file_sha256(described.unpinned(self._sources))}

    @staticmethod
    def _keeps_best(grades: dict[str, int], kept: set[str]) -> bool:
        """A query without its best answers would teach that the second best are right."""
        best = max(grades.values())
        return all(doc_id in kept for doc_id, grade in grades.items() if grade == best)

    def _without_leaks(self, pairs: list[TrainingPair]) -> tuple[list[TrainingPair], int]:
        check = self._leak_check()
        kept = [
            replace(pair, negatives=tuple(text for text in pair.negatives if not check.leaks(text)))
            for pair in pairs
            if not check.leaks(pair.query) and not check.leaks(pair.positive)
        ]
        return kept, len(pairs) - len(kept)

    def _leak_check(self) -> LeakCheck:
        if self._check is None:
            tasks = [read_beir(self._folder / "evaluation" / name / "full") for name in TASKS]
            tasks += [read_beir(dev_folder(self._folder, name)) for name in self._dev_built()]
            self._check = LeakCheck(
                text for task in tasks for text in (*task.queries.values(), *task.corpus.values())
            )
        return self._check

    def _dev_built(self) -> list[str]:
        if self._dev_names is None:
            folders = ((name, dev_folder(self._folder, name)) for name in _dev_cards())
            self._dev_names = [name for name, path in folders if _is_built(path, expected_dev_hash(name))]
        return self._dev_names

    def _training_texts(self) -> Iterator[tuple[str, str]]:
        for name in self.manifest.get("training", {}):
            for pair in read_pairs(self._folder / "training" / f"{name}.parquet"):
                for text in (pair.query, pair.positive, *pair.negatives):
                    yield name, text
            about = thoughts_path(self._folder, name)
            for record in read_thoughts(about) if about.is_file() else ():
                for text in record.evidence:
                    yield name, text
        for name in self.manifest.get("graded", {}):
            task = read_beir(self._folder / "graded" / name, split="train")
            for text in (*task.queries.values(), *task.corpus.values()):
                yield name, text

    def _write_task(self, name: str, size: Size, task: RetrievalTask) -> None:
        folder = self._folder / "evaluation" / name / size
        self._write_pinned(f"{name} ({size})", task, expected_hash(name, size), folder)

    @staticmethod
    def _write_pinned(name: str, task: RetrievalTask, wanted: str, folder: Path) -> None:
        if (got := task.data_hash()) != wanted:
            raise DataError(
                f"{name} came out with the data hash {got[:16]}, wanted {wanted[:16]}: the code "
                "that builds it, or a library that parses it, gives other data than the results were "
                "made with."
            )
        write_beir(task, folder)

    def _read_manifest(self) -> dict[str, dict[str, Any]]:
        try:
            manifest: dict[str, dict[str, Any]] = json.loads(
                (self._folder / "manifest.json").read_text(encoding="utf-8")
            )
        except (OSError, ValueError):
            return {}  # made anew from the files
        return manifest

    def _note(self, part: str, name: str, facts: dict[str, Any]) -> None:
        self.manifest.setdefault(part, {})[name] = facts
        write_text(self._folder / "manifest.json", json.dumps(self.manifest, indent=2) + "\n")

    def _forget(self, part: str, name: str) -> None:
        """Take a set out of the manifest, so that a file of another build is used by nothing."""
        if self.manifest.get(part, {}).pop(name, None) is not None:
            write_text(self._folder / "manifest.json", json.dumps(self.manifest, indent=2) + "\n")

    def _is_noted(self, part: str, name: str, files: list[Path]) -> bool:
        noted = self.manifest.get(part, {}).get(name, {})
        if noted.get("missing_packages"):
            return False  # perhaps the network was down: they are asked for again
        present = all(path.is_file() for path in files)
        return present and {key: noted.get(key) for key in ("build", "sha256")} == self._stamp(files)

    def _stamp(self, files: list[Path]) -> dict[str, Any]:
        """What the files are, and what they were made of and kept apart from."""
        pins = [
            resources("search_r3.data").joinpath(name).read_bytes()
            for name in ("packages.toml", "hashes.json", "dev_hashes.json")
        ]
        made_with = bytes_sha256(b"".join([*pins, *(name.encode() for name in self._dev_built())]))
        sums = (bytes.fromhex(file_sha256(path)) for path in files)
        return {"build": f"{_BUILD}-{made_with[:12]}", "sha256": bytes_sha256(b"".join(sums))}


def _dev_cards() -> dict[str, DevCard]:
    """What is built like a dev task: the tests of names and of two hops too."""
    return {**DEV_TASKS, NAMES.name: NAMES, **BRIDGE_TESTS}


def _is_built(folder: Path, wanted: str) -> bool:
    if not folder.is_dir():
        return False
    try:
        return read_beir(folder).data_hash() == wanted
    except DataError:
        return False  # damaged: built again


def _describe(task: RetrievalTask) -> dict[str, Any]:
    return {
        "queries": len(task.queries),
        "documents": len(task.corpus),
        "judgements": task.judgements,
        "data_hash": task.data_hash(),
    }
