"""What a finished run set aside because it ended its workers: documents, and whole files."""

from __future__ import annotations

from curate.audit.verify import intact, read_manifests
from curate.places.store import Place
from curate.run.folder import read_kills
from curate.run.ledger import read_ledger


def set_aside(out: Place) -> set[str]:
    """The keys of what ended workers of a run and is a loss in its ledger; a kill of a file that was changed since, or
    that another version reads, is none.

    Raises RunError for a folder without a finished run, NotAsWritten where its ledger is not what the run wrote.
    """
    manifests = read_manifests(out)
    killed = {(kill.key, kill.reason) for kill in read_kills(out)}
    if not killed:
        return set()
    return {
        row["key"]
        for name, manifest in manifests.items()
        if name.startswith("ledger/")
        for row in read_ledger(intact(out, out / f"{name}.parquet", manifest), ("event", "key", "error"))
        if row["event"] == "unreadable" and (row["key"], row["error"]) in killed
    }
