"""Write the report of an evaluation: `search-r3 report` as a script.

python benchmarks/report.py --runs benchmarks/results/runs --output benchmarks/results
python benchmarks/report.py --project            # also README's table, the model card and docs/assets
python benchmarks/report.py --project --check    # writes nothing; fails if a file is out of date
"""

from search_r3.cli.report_command import report
from search_r3.cli.running import run

if __name__ == "__main__":
    run(report)
