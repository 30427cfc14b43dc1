"""Ansible modules: a task in words finds the YAML that does it, a summary finds the module's description."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, group_neighbours, sampled, training_pairs, unambiguous
from search_r3.data.sources.markup import one_line, shortened
from search_r3.errors import DataError
from search_r3.extras import needs_extra

with needs_extra("eval"):
    import yaml

_TASKS_OF_A_MODULE = 6
_TASKS_OF_A_COLLECTION = 600
_MODULES_OF_A_COLLECTION = 200
_LINES = range(2, 41)
_LEAST_WORDS = 3
_CONSTANT = re.compile(r"^(DOCUMENTATION|EXAMPLES)\s*=\s*[ru]?('''|\"\"\")(.*?)\2", re.DOTALL | re.MULTILINE)
_TASK = re.compile(r"^( *)- name: *(.+?)$\n((?:^(?!\1-)(?:\1 .*)?$\n?)+)", re.MULTILINE)
_MARKUP = re.compile(r"\b([BCEFIMOPRV])\(((?:[^()\\]|\\.)*)\)")
_LINK = re.compile(r"\b([UL])\(([^(),]*)(?:,\s*([^()]*))?\)")
_FIRST_LINE = re.compile(r"[a-z_]\w+(?:\.\w+)*:")
# How to reach a device is the same in all tasks of a collection.
_CONNECTION = re.compile(
    r"^\s+(?:\w*(?:host(?:name)?|user(?:name)?|password|validate_certs|ca_path|api_key|base_url|server|server_port)|"
    r"\w*_(?:verify|port|version|debug|timeout|path|proxy|time|error|retries|limit)):\s+[\"']?(?:\{\{|<|https?:"
    r"|[\"']?\d+\.\d+\.\d+\.\d+|password|admin|secret|no\b|false\b)",
    re.IGNORECASE,
)
# Their modules differ in the name of a table only.
_GENERATED = ("fortinet/",)
_OPTION_OF = re.compile(r"^[\w.]+#\w+:")


@dataclass(frozen=True)
class AnsibleModule:
    """What a module's file says about it.

    Attributes:
        path: Of its file in the package, unique.
        collection: Such as community/general.
        name: Such as git.
        summary: Its short description.
        description: Its description, all paragraphs on one line.
        tasks: Names of the example tasks, and what they do, in YAML.
    """

    path: str
    collection: str
    name: str
    summary: str
    description: str
    tasks: tuple[tuple[str, str], ...]


def read_ansible_modules(folder: Path, pattern: str) -> list[AnsibleModule]:
    """Read the modules below a folder, by path.

    Args:
        folder: ansible_collections of ansible, or the folder above ansible/modules of ansible-core.
        pattern: Of the paths of modules inside.

    Raises:
        DataError: There is none with documentation.
    """
    modules: list[AnsibleModule] = []
    for path in sorted(folder.glob(pattern)):
        inside = path.relative_to(folder)
        if inside.as_posix().startswith(_GENERATED):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        constants = {found[1]: found[3] for found in _CONSTANT.finditer(text)}
        if "DOCUMENTATION" in constants and (about := _header(constants["DOCUMENTATION"])):
            tasks = tuple(
                (one_line(name.strip("'\"")), _block(block, len(indent)))
                for indent, name, block in _TASK.findall(constants.get("EXAMPLES", ""))
            )
            collection = "/".join(inside.parts[:2])
            modules.append(AnsibleModule(inside.as_posix(), collection, path.stem, *about, tasks))
    if not modules:
        raise DataError(f"{folder} holds no documented module; wanted {pattern} of Ansible.")
    return modules


def _header(documentation: str) -> tuple[str, str] | None:
    """Summary and description; the long list of options after them is not parsed, to be quick."""
    kept: list[str] = []
    for line in documentation.split("\n"):
        if re.match(r"[a-z_]+:", line):
            wanted = line.startswith(("short_description:", "description:"))
        elif not kept:
            continue
        if wanted:
            kept.append(line)
    try:
        table = yaml.safe_load("\n".join(kept))
    except yaml.YAMLError:
        return None  # a few are no YAML without what comes before them
    if not isinstance(table, dict) or not table.get("short_description") or not table.get("description"):
        return None
    given = table["description"]
    paragraphs = given if isinstance(given, list) else [given]
    text = " ".join(str(paragraph) for paragraph in paragraphs)
    return _plain(str(table["short_description"])).strip(" ."), _plain(text)


def _plain(text: str) -> str:
    """Without the markup of Ansible's documentation: C(code), L(text, link), O(option) and so on."""
    text = _LINK.sub(lambda found: (found[3] and found[2]) or "", text)
    return one_line(_MARKUP.sub(lambda found: _OPTION_OF.sub("", found[2]).replace("\\", ""), text))


def _block(block: str, indent: int) -> str:
    """The lines of a task after its name, without comments, empty lines and indentation."""
    lines = [line[indent + 2 :].rstrip() for line in block.split("\n")]
    return "\n".join(
        line
        for line in lines
        if line.strip() and not line.lstrip().startswith("#") and not _CONNECTION.match(line)
    )


def ansible_tasks_pairs(modules: Sequence[AnsibleModule]) -> list[TrainingPair]:
    """Pair the names of example tasks with their YAML.

    Six of a module and 600 of a collection at most are taken, chosen by a hash: a few collections of network
    devices make up most of the package. Negatives are other tasks of the module and its neighbours.

    Raises:
        DataError: No module has an example.
    """
    by_collection: dict[str, list[Entry]] = {}
    for module in modules:
        found = [
            Entry(f"{module.path}/{number}", f"{module.path}/{number}", name, block)
            for number, (name, block) in enumerate(module.tasks)
            if len(name.split()) >= _LEAST_WORDS
            and block.count("\n") + 1 in _LINES
            and _FIRST_LINE.match(block)
        ]
        by_collection.setdefault(module.collection, []).extend(sampled(found, _TASKS_OF_A_MODULE))
    chosen = [entry for found in by_collection.values() for entry in sampled(found, _TASKS_OF_A_COLLECTION)]
    entries = sampled(unambiguous(chosen))
    return training_pairs("ansible_tasks", entries, group_neighbours(entries, _collection))


def ansible_modules_pairs(modules: Sequence[AnsibleModule]) -> list[TrainingPair]:
    """Pair summaries with module name and description (120 words at most), 200 of a collection at most.

    Negatives are the modules beside it in its collection.

    Raises:
        DataError: No module is left.
    """
    by_collection: dict[str, list[Entry]] = {}
    for module in modules:
        text = module.description.removeprefix(module.summary).lstrip(" .")
        if len(text.split()) > len(module.summary.split()) >= _LEAST_WORDS:
            entry = Entry(module.path, module.path, module.summary, shortened(f"{module.name}: {text}"))
            by_collection.setdefault(module.collection, []).append(entry)
    chosen = [entry for found in by_collection.values() for entry in sampled(found, _MODULES_OF_A_COLLECTION)]
    entries = unambiguous(chosen)
    return training_pairs("ansible_modules", entries, group_neighbours(entries, _collection))


def _collection(entry: Entry) -> str:
    return "/".join(entry.entry_id.split("/")[:2])
