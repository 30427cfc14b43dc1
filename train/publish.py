"""Publish a model on the Hugging Face Hub: weights, code, card, scores, licence and checksums.

    of=benchmarks/results/training/smollm2-135m
    made="--name search-r3-smollm2-135m --training $of-sft.json $of-own-thoughts.json $of-abstracts.json"
    python train/publish.py org/search-r3-smollm2-135m $made --dry-run
    python train/publish.py org/search-r3-smollm2-135m $made --create-pr
    python train/publish.py org/search-r3-smollm2-135m-direct $made --direct

Refuses a checkout with uncommitted changes, and a model that the results in --results are not of. A second
run commits nothing if nothing changed; --create-pr opens a pull request each time. The token is that of
`hf auth login` or HF_TOKEN.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from search_r3 import SearchR3, fingerprint
from search_r3.errors import DataError, SearchR3Error
from search_r3.evaluation.results import Result, read_results
from search_r3.model.default import load_model
from search_r3.model.release import sha256_of_files, stage_release, verify_release
from search_r3.provenance import describe_environment
from search_r3.reporting.card import Release, eval_results, read_training, render_card

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Publish what the command line says."""
    arguments = parse()
    try:
        require_clean(describe_environment()["dirty"])
        require_committed([arguments.results, *arguments.training, arguments.template])
        model = load_model(arguments.model)
        results = read_results(arguments.results)
        require_scored(model, [result for result in results if result.model == arguments.name])
        with tempfile.TemporaryDirectory() as parent:
            folder = stage_release(
                model, Path(parent) / "release", texts(arguments, model, results), direct=arguments.direct
            )
            verify_release(folder)
            for name, digest in sha256_of_files(folder).items():
                print(f"{(folder / name).stat().st_size:>12,}  {digest[:12]}  {name}")
            if arguments.dry_run:
                print(f"would go to {arguments.repo}; nothing was uploaded")
            else:
                print(upload(folder, arguments))
    except (SearchR3Error, OSError, HfHubHTTPError) as error:
        sys.exit(f"error: {error}")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("repo", help="org/name on the Hub")
    parser.add_argument("--name", required=True, help="the model's name in the results")
    parser.add_argument("--model", default="default", help="default, a folder, or a Hub id")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "runs")
    parser.add_argument(
        "--training", nargs="+", type=Path, required=True, help="what training_curve.py kept of its runs"
    )
    parser.add_argument("--base", default="HuggingFaceTB/SmolLM2-135M-Instruct", help="its base on the Hub")
    parser.add_argument("--template", type=Path, default=ROOT / "model_cards" / "template.md")
    parser.add_argument("--direct", action="store_true", help="the direct exit alone, in built-in modules")
    parser.add_argument("--dry-run", action="store_true", help="show what would be uploaded")
    parser.add_argument("--create-pr", action="store_true", help="as a pull request")
    parser.add_argument("--private", action="store_true", help="if the repository does not exist yet")
    return parser.parse_args()


def require_clean(dirty: bool | None) -> None:
    """Refuse a checkout whose code is in no commit.

    Raises:
        DataError: There are changes, or there is no checkout.
    """
    if dirty is not False:
        raise DataError(
            "Got a checkout with uncommitted changes, or none; wanted a commit that the release can be made "
            "from again. Commit first."
        )


def require_committed(evidence: list[Path]) -> None:
    """Refuse results, logs or a template that lie in the checkout and are in no commit.

    A checkout counts as clean whatever its results are, or no second one could be measured; a card has to be
    made from what is committed.

    Raises:
        DataError: One of them was added or changed, or git cannot say.
    """
    inside = [str(path.resolve()) for path in evidence if path.resolve().is_relative_to(ROOT)]
    if not inside:
        return
    command = ["git", "status", "--porcelain", "--", *inside]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        raise DataError(
            f"Got no answer of git about {inside[0]} ({found.stderr.strip()}), wanted a checkout."
        )
    if changed := found.stdout.splitlines():
        raise DataError(
            f"Got uncommitted evidence, {changed[0][3:]}; wanted what a commit has. Commit it first."
        )


def require_scored(model: SearchR3, results: list[Result]) -> None:
    """Refuse a model that was not measured, or was changed since.

    Raises:
        DataError: There are no results, or they are another model's.
    """
    if not results:
        raise DataError("Got no results under this name, wanted some: evaluate the model first.")
    dtypes = {str(result.config["dtype"]) for result in results}
    copies = {dtype: fingerprint(copy_in(model, dtype)) for dtype in dtypes}
    for result in results:
        if result.fingerprint != copies[str(result.config["dtype"])]:
            raise DataError(
                f"Got the result on {result.task} ({result.arm}) of another model, {result.fingerprint}, "
                f"wanted {copies[str(result.config['dtype'])]}: evaluate this model again."
            )


def copy_in(model: SearchR3, dtype: str) -> SearchR3:
    """The model as it was measured; its own weights stay as they are."""
    if str(model.dtype) == f"torch.{dtype}":
        return model
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder, create_model_card=False)
        return SearchR3(folder, local_files_only=True).to(getattr(torch, dtype))


def texts(arguments: argparse.Namespace, model: SearchR3, results: list[Result]) -> dict[str, str]:
    """Card, licence and scores, by their path in the release."""
    module = model.reasoning_module
    release = Release(
        repo=arguments.repo,
        model=arguments.name,
        base=arguments.base,
        parameters=sum(weights.numel() for weights in model.parameters()),
        max_tokens=module.max_seq_length,
        direct=arguments.direct,
    )
    card = render_card(
        arguments.template.read_text(encoding="utf-8"),
        release,
        results=results,
        training=[read_training(path) for path in arguments.training],
    )
    arm = "never" if arguments.direct else module.reasoning
    scores = eval_results(results, arguments.name, arm, module.max_reasoning_tokens)
    if not scores:
        raise DataError(
            f"Got no result of mteb for {arguments.name} as it is ({arm}, {module.max_reasoning_tokens} "
            "tokens, seed 0), wanted one: a release has the scores that its users get. Evaluate it so."
        )
    return {
        "README.md": card,
        "LICENSE": (ROOT / "LICENSE").read_text(encoding="utf-8"),
        **scores,
    }


def upload(folder: Path, arguments: argparse.Namespace) -> str:
    """Upload a release; returns the address of the commit or pull request."""
    api = HfApi()
    # None leaves the visibility to the organisation's own default.
    api.create_repo(arguments.repo, private=arguments.private or None, exist_ok=True)
    commit = api.upload_folder(
        repo_id=arguments.repo,
        folder_path=folder,
        delete_patterns="*",  # what an earlier release had and this one has not
        commit_message=f"{arguments.name} at {describe_environment()['commit']}",
        create_pr=arguments.create_pr,
    )
    return str(commit.pr_url or commit.commit_url)


if __name__ == "__main__":
    main()
