"""Documents in, clean documents out: sources, rules, edits, deduplication, shards and the engine that runs them.

Importing this package is light: heavy libraries load when the step that needs them is opened.
"""

from curate.document import Document, Drop, Skipped, Unreadable
from curate.step import Check, CorpusStep, Edit, Record, Round, Rule, Step, Verdict, param

__all__ = [
    "Check",
    "CorpusStep",
    "Document",
    "Drop",
    "Edit",
    "Record",
    "Round",
    "Rule",
    "Skipped",
    "Step",
    "Unreadable",
    "Verdict",
    "param",
]
