"""`search-r3 search`: ask an index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search_r3.cli.console import say, say_json
from search_r3.cli.index_command import progress_bar
from search_r3.cli.loading import load_model
from search_r3.cli.options import (
    MODEL_NAMES,
    ApproximateOption,
    BatchSizeOption,
    IdFieldOption,
    MaxReasoningTokensOption,
    ReasoningOption,
    StrictOption,
    TextFieldOption,
)
from search_r3.cli.reading import read_files
from search_r3.cli.server_client import KEY_VARIABLE, search_by_server
from search_r3.errors import InvalidOptionError, ModelError

if TYPE_CHECKING:
    from search_r3.retrieval.candidates import Approximation
    from search_r3.retrieval.corpus_search import Explanation


def search(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="INDEX", help="An index made by `search-r3 index`; with --server none."),
    ] = None,
    query: Annotated[str | None, typer.Argument(help="The query.")] = None,
    queries: Annotated[
        Path | None,
        typer.Option(help="A file of queries instead of QUERY, or - for JSON lines from standard input."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Hits per query.")] = 5,
    reasoning: ReasoningOption = None,
    max_reasoning_tokens: MaxReasoningTokensOption = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the thought and what it changed, or every step.")
    ] = False,
    hybrid: Annotated[
        bool, typer.Option("--hybrid", help="Join the ranking with BM25's; scores are then no cosines.")
    ] = False,
    steps: Annotated[
        int,
        typer.Option(min=1, help="Searches one after another; from the second on passages are read before."),
    ] = 1,
    read: Annotated[int, typer.Option(min=1, help="Passages that a query reads in a step.")] = 3,
    together: Annotated[
        bool, typer.Option("--together", help="Read them together and think once, not about each.")
    ] = False,
    approximate: ApproximateOption = None,
    thought_cache: Annotated[
        Path | None,
        typer.Option(help="A file that keeps thoughts, for queries that come again.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per query.")] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help=f"{MODEL_NAMES} [default: the index's own]."),
    ] = None,
    batch_size: BatchSizeOption = 16,
    strict: StrictOption = False,
    id_field: IdFieldOption = None,
    text_field: TextFieldOption = None,
    server: Annotated[
        str | None,
        typer.Option(
            help="Address of a `search-r3 serve` whose index is asked: no model is loaded here. "
            f"{KEY_VARIABLE} has its key."
        ),
    ] = None,
) -> None:
    """Search an index with one query or a file of queries."""
    if server is not None and query is None and queries is None and folder is not None:
        folder, query = None, str(folder)
    if (query is None) == (queries is None):
        raise typer.BadParameter("give either QUERY or --queries FILE")
    if (server is None) == (folder is None):
        raise typer.BadParameter("give either INDEX or --server ADDRESS")
    if server is not None and (model or thought_cache or approximate):
        raise typer.BadParameter(
            "--model, --thought-cache and --approximate are of the server; leave them out"
        )
    if explain and hybrid and steps == 1:
        raise typer.BadParameter("--explain is about the ranking of the vectors alone; leave --hybrid out")
    if query is not None:
        texts = {"query": query}
    else:
        assert queries is not None
        texts = {
            item.doc_id: item.text
            for item in read_files(
                [queries], strict=strict, id_field=id_field, text_field=text_field, as_queries=True
            ).items
        }
    how: dict[str, Any] = {
        "reasoning": reasoning,
        "max_reasoning_tokens": max_reasoning_tokens,
        "hybrid": hybrid,
        "steps": steps,
        "read": read,
        "together": together,
        "explain": explain and steps == 1,
    }
    results: Iterable[dict[str, Any]]
    if server is not None:
        results = (
            {"query_id": query_id, **search_by_server(server, text, {"k": k, **how})}
            for query_id, text in texts.items()
        )
    else:
        assert folder is not None
        options = {"batch_size": batch_size, **how}
        results = _results(folder, texts, k, model, thought_cache, approximate, options)
    for result in results:
        if as_json:
            say_json(result)
        else:
            show(result, steps=explain)


def _results(
    folder: Path,
    texts: dict[str, str],
    k: int,
    model: str | None,
    thought_cache: Path | None,
    approximate: Approximation | None,
    options: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    """Search in this process."""
    from search_r3.model.thought_cache import ThoughtCache
    from search_r3.retrieval.corpus_index import CorpusIndex

    with progress_bar("opening the index") as on_progress:
        corpus = CorpusIndex.load(folder, approximate=approximate, on_progress=on_progress)
    if not len(corpus.vectors):
        raise InvalidOptionError(f"{folder} is empty. Add documents with `search-r3 index SOURCE {folder}`.")
    if model is None and not corpus.model:
        raise InvalidOptionError(f"{folder} does not record its model: give it with --model.")
    try:
        loaded = load_model(corpus.model if model is None else model)
    except (InvalidOptionError, ModelError) as error:
        if model is not None:
            raise
        raise ModelError(
            f"{error} {folder} was built with this model: say with --model where it is now."
        ) from error
    cache = None if thought_cache is None else ThoughtCache(loaded, thought_cache)
    found = corpus.search_with_thoughts(list(texts.values()), k, loaded, cache=cache, **options)
    for (query_id, text), explanation in zip(texts.items(), found, strict=True):
        yield result_of(query_id, text, corpus.texts, explanation)


def result_of(
    query_id: str, query: str, texts: Mapping[str, str], explanation: Explanation
) -> dict[str, Any]:
    """One query's result as plain data, with what the thought changed and the steps, if there are any."""
    thought = explanation.thought
    result: dict[str, Any] = {
        "query_id": query_id,
        "query": query,
        "thought": {"text": thought.text, "tokens": thought.length, "ending": thought.ending},
        "hits": [
            {"rank": hit.rank, "doc_id": hit.doc_id, "score": round(hit.score, 6), "text": texts[hit.doc_id]}
            for hit in explanation.hits
        ],
    }
    if explanation.direct is not None:
        result["cosine_to_direct"] = round(explanation.direct.cosine, 6)
        for hit, rank in zip(result["hits"], explanation.direct.ranks, strict=True):
            hit["direct_rank"] = rank
    if explanation.steps:
        result["steps"] = [
            [
                {
                    "read": list(search.read),
                    "thought": {"text": search.thought.text, "ending": search.thought.ending},
                    "found": [hit.doc_id for hit in search.hits[: len(explanation.hits)]],
                }
                for search in searches
            ]
            for searches in explanation.steps
        ]
    return result


def show(result: dict[str, Any], *, steps: bool = False) -> None:
    """Print one query's result for a person, and what each step read, thought and found if asked for."""
    say(f"\n{result['query']}", style="bold")
    if steps:
        show_steps(result.get("steps", []))
    thought = result["thought"]
    explain = "cosine_to_direct" in result
    if explain:
        shown = " ".join(thought["text"].split()) or "(nothing)"
        say(f"  thought: {shown}", style="italic")
        say(
            f"  {thought['tokens']} tokens, ended by {thought['ending']}; "
            f"cosine to the direct vector {result['cosine_to_direct']:.3f}"
        )
    for hit in result["hits"]:
        moved = ""
        if explain:
            change = hit["direct_rank"] - hit["rank"]
            moved = (
                "  (same rank)"
                if change == 0
                else f"  ({'up' if change > 0 else 'down'} from {hit['direct_rank']})"
            )
        text = " ".join(hit["text"].split())
        say(f"  {hit['rank']:>2}. {hit['score']:.3f}  {hit['doc_id']}{moved}")
        say(f"      {text[:110] + ('...' if len(text) > 110 else '')}", style="dim")


def show_steps(steps: list[list[dict[str, Any]]]) -> None:
    """Print the searches of every step: what was read and thought, and which documents it brought in."""
    known: set[str] = set()
    for number, searches in enumerate(steps, start=1):
        for search in searches:
            if search["read"]:
                thought = " ".join(search["thought"]["text"].split()) or "(nothing)"
                say(f"  step {number}: read {', '.join(search['read'])}; thought: {thought}", style="italic")
            new = [doc_id for doc_id in search["found"] if doc_id not in known]
            first = "found" if number == 1 else "brought in"
            searched = f"{first} {', '.join(new) or 'nothing new'}" if search["found"] else "no search"
            say(f"  step {number}: {searched}", style="dim")
        known.update(doc_id for search in searches for doc_id in search["found"])
