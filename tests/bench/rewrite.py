"""Rewrites biographies with a model of transformers and prints one JSON line: what the gate accepted and rejected.

python tests/bench/rewrite.py path/to/model --people 6 --styles diary profile -o rewrites.jsonl
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from synth.people import MONTHS, people_table
from synth.rewrite.rewriter import FactGate, RewriteError, Statement, TransformersModel, rewrite_file, styles
from synth.sentences import Sentences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a folder, a .gguf file or the id of a model on the hub")
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--styles", nargs="+", default=list(styles()))
    parser.add_argument("--temperature", type=float, default=0.5)
    parser.add_argument("--max-new-tokens", type=int, default=160)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    table = people_table(options.people, 1, seed=3)
    statements = []
    for entity, text in enumerate(Sentences(table).texts(range(options.people), [0] * options.people)):
        facts = {name: value for name, value in table.facts(entity).items() if name != "pronoun"}
        statements.append(Statement(f"{entity}", text, table.names([entity])[0], facts))
    pools = {name: table.pools[name] for name in ("university", "major", "employer", "working_city")}
    dates = re.compile(rf"(?:{'|'.join(MONTHS)}) \d+, \d{{4}}")
    gate = FactGate({**pools, "birth_city": table.pools["city"], "birth_date": dates})
    try:
        model = TransformersModel(options.model, max_new_tokens=options.max_new_tokens, temperature=options.temperature)
        start = time.perf_counter()
        report = rewrite_file(
            statements, options.output, model, options.styles, gate=gate, batch=options.batch, seed=options.seed
        )
    except RewriteError as error:
        parser.exit(2, f"{error}\n")
    spent = time.perf_counter() - start
    start = time.perf_counter()
    for statement in statements * 20:
        gate(statement, statement.text)
    judged = len(statements) * 20 / (time.perf_counter() - start)
    figures = {"model": model.name, "seconds": round(spent, 1), "judged_per_second": round(judged), **report.as_dict()}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
