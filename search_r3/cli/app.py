"""Assembles the commands of `search-r3`; `running` says what its exit codes mean."""

from __future__ import annotations

from search_r3.cli.data_command import data
from search_r3.cli.demo_command import demo
from search_r3.cli.doctor_command import doctor
from search_r3.cli.embed_command import embed
from search_r3.cli.evaluate_command import evaluate
from search_r3.cli.export_command import export
from search_r3.cli.import_pairs_command import import_pairs
from search_r3.cli.import_questions_command import import_questions
from search_r3.cli.index_command import index
from search_r3.cli.info_command import info
from search_r3.cli.mine_command import mine
from search_r3.cli.mteb_command import mteb
from search_r3.cli.publish_command import publish
from search_r3.cli.report_command import report
from search_r3.cli.running import make_app, run_app
from search_r3.cli.search_command import search
from search_r3.cli.serve_command import serve
from search_r3.cli.thoughts_command import thoughts
from search_r3.cli.train_command import train

app = make_app(
    name="search-r3",
    help="Embedding models that can think before they embed: search, train, evaluate.",
    no_args_is_help=True,
)
app.command(name="demo")(demo)
app.command(name="index")(index)
app.command(name="search")(search)
app.command(name="serve")(serve)
app.command(name="embed")(embed)
app.command(name="export")(export)
app.command(name="info")(info)
app.command(name="doctor")(doctor)
app.command(name="data")(data)
app.command(name="import-pairs")(import_pairs)
app.command(name="import-questions")(import_questions)
app.command(name="mine")(mine)
app.command(name="thoughts")(thoughts)
app.add_typer(train, name="train")
app.command(name="evaluate")(evaluate)
app.command(name="mteb")(mteb)
app.command(name="report")(report)
app.command(name="publish")(publish)


def main() -> None:
    """Run the command line."""
    run_app(app)
