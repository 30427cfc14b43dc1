"""Publishes a model on the Hugging Face Hub: weights, code, card, scores, licence and checksums."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import HfApi

from search_r3.errors import DataError, InvalidOptionError, ModelError
from search_r3.evaluation.results import Result, read_results
from search_r3.model.default import load_model
from search_r3.model.fingerprint import fingerprint
from search_r3.model.release import stage_release, verify_release
from search_r3.model.sentence_transformer import SearchR3
from search_r3.provenance import checkout_folder, describe_environment
from search_r3.reporting.card import Release, eval_results, read_training, render_card


@dataclass(frozen=True)
class Publication:
    """What is published.

    Attributes:
        repo: ``org/name`` on the Hub.
        name: The model's name in the results.
        model: ``default``, ``embedded``, a folder, or a Hub id.
        base: The model's base on the Hub.
        results: Folder of result files.
        training: What is kept of the training runs that made the model.
        template: Template of the model card.
        licence: File of the licence's text.
        direct: Whether it is the model without thinking, in built-in modules.
    """

    repo: str
    name: str
    model: str
    base: str
    results: Path
    training: list[Path]
    template: Path
    licence: Path
    direct: bool = False


def stage_publication(publication: Publication, folder: Path) -> Path:
    """Write the files of a release into a new folder, and check them.

    Returns:
        The folder.

    Raises:
        DataError: A file is missing; the code, the results, the logs or the template are in no commit; or the
            results are not the model's.
        InvalidOptionError: The model's weights come under terms of their own.
        ModelError: The folder exists already, the release is not what its checksums say, or the model has no
            limit of tokens.
    """
    evidence = [publication.results, *publication.training, publication.template]
    _require_files([*evidence, publication.licence])
    _require_clean(describe_environment()["dirty"])
    if (checkout := checkout_folder()) is not None:
        require_committed(evidence, checkout)
    model = load_model(publication.model)
    if model.notice:
        raise InvalidOptionError(
            f"Got {publication.model}, whose weights come under terms of their own, wanted one that can be "
            "published under this project's licence. Write it with search-r3 export, and publish it under "
            f"those terms: {model.notice.splitlines()[0]}."
        )
    results = read_results(publication.results)
    _require_scored(model, [result for result in results if result.model == publication.name])
    stage_release(model, folder, _texts(publication, model, results), direct=publication.direct)
    verify_release(folder)
    return folder


def upload(folder: Path, repo: str, name: str, *, create_pr: bool = False, private: bool = False) -> str:
    """Upload the folder of a release; nothing is committed if nothing changed.

    Args:
        folder: The folder.
        repo: ``org/name`` on the Hub; it is made if it does not exist.
        name: The model's name, for the commit's message.
        create_pr: Whether it becomes a pull request.
        private: Whether a repository that is made is private.

    Returns:
        The address of the commit or pull request.

    Raises:
        OSError: The Hub refuses it or cannot be reached.
    """
    api = HfApi()
    # None leaves the visibility to the organisation's own default.
    api.create_repo(repo, private=private or None, exist_ok=True)
    commit = api.upload_folder(
        repo_id=repo,
        folder_path=folder,
        delete_patterns="*",  # what an earlier release had and this one has not
        commit_message=f"{name} at {describe_environment()['commit']}",
        create_pr=create_pr,
    )
    return str(commit.pr_url or commit.commit_url)


def require_committed(evidence: Iterable[Path], checkout: Path) -> None:
    """Refuse results, logs or a template that are inside a checkout and in no commit of it.

    A checkout counts as clean whatever its results are, or no second one could be measured; a card has to be
    made from what is committed.

    Raises:
        DataError: One of them was added or changed, or git cannot say.
    """
    inside = [str(path.resolve()) for path in evidence if path.resolve().is_relative_to(checkout)]
    if not inside:
        return
    command = ["git", "status", "--porcelain", "--", *inside]
    found = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    if found.returncode:
        raise DataError(
            f"Got no answer of git about {inside[0]} ({found.stderr.strip()}), wanted a checkout."
        )
    if changed := found.stdout.splitlines():
        raise DataError(
            f"Got uncommitted evidence, {changed[0][3:]}; wanted what a commit has. Commit it first."
        )


def _require_files(paths: Iterable[Path]) -> None:
    for path in paths:
        if not path.exists():
            raise DataError(
                f"There is no {path}. The defaults are paths in a checkout of this project: run the command "
                "in its top folder, or give other paths."
            )


def _require_clean(dirty: bool | None) -> None:
    """Refuse a checkout whose code is in no commit."""
    if dirty is not False:
        raise DataError(
            "Got a checkout with uncommitted changes, or none; wanted a commit that the release can be made "
            "from again. Commit first."
        )


def _require_scored(model: SearchR3, results: list[Result]) -> None:
    """Refuse a model that was not measured, or was changed since."""
    if not results:
        raise DataError("Got no results under this name, wanted some: evaluate the model first.")
    dtypes = {str(result.config["dtype"]) for result in results}
    copies = {dtype: fingerprint(_copy_in(model, dtype)) for dtype in dtypes}
    for result in results:
        if result.fingerprint != copies[str(result.config["dtype"])]:
            raise DataError(
                f"Got the result on {result.task} ({result.arm}) of another model, {result.fingerprint}, "
                f"wanted {copies[str(result.config['dtype'])]}: evaluate this model again."
            )


def _copy_in(model: SearchR3, dtype: str) -> SearchR3:
    """The model as it was measured; its own weights stay as they are."""
    if str(model.dtype) == f"torch.{dtype}":
        return model
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder, create_model_card=False)
        return SearchR3(folder, local_files_only=True).to(getattr(torch, dtype))


def _texts(publication: Publication, model: SearchR3, results: list[Result]) -> dict[str, str]:
    """Card, licence and scores, by their path in the release."""
    module = model.reasoning_module
    if module.max_seq_length is None:
        raise ModelError(f"Got {publication.model} without a max_seq_length, wanted a number of tokens.")
    release = Release(
        repo=publication.repo,
        model=publication.name,
        base=publication.base,
        parameters=sum(weights.numel() for weights in model.parameters()),
        max_tokens=module.max_seq_length,
        thinks=module.reasoning != "never",
        direct=publication.direct,
    )
    card = render_card(
        publication.template.read_text(encoding="utf-8"),
        release,
        results=results,
        training=[read_training(path) for path in publication.training],
    )
    arm = "never" if publication.direct else module.reasoning
    scores = eval_results(results, publication.name, arm, module.max_reasoning_tokens)
    if not scores:
        raise DataError(
            f"Got no result of mteb for {publication.name} as it is ({arm}, {module.max_reasoning_tokens} "
            "tokens, seed 0), wanted one: a release has the scores that its users get. Evaluate it so."
        )
    return {"README.md": card, "LICENSE": publication.licence.read_text(encoding="utf-8"), **scores}
