"""The rules as a step of a datatrove pipeline: `from curate.adapters.datatrove import RulesFilter`.

The only module here that imports another tool at once: users who build datatrove pipelines have it installed.
"""

from __future__ import annotations

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from curate.adapters import Rules
from curate.step import Step


class RulesFilter(BaseFilter):
    """Drops what the rules drop, with reasons in `metadata["filter_reason"]` and the statistics; edits rewrite texts.

    A dropped document carries `goldsand_value` and `goldsand_threshold` in its metadata, for the exclusion writer.
    """

    name = "goldsand rules"

    def __init__(self, *steps: str | Step, exclusion_writer: DiskWriter | None = None) -> None:
        super().__init__(exclusion_writer)
        self.rules = Rules(*steps)

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        verdict = self.rules(doc.text, url=doc.metadata.get("url"))
        if verdict.keep:
            if verdict.text is not None:
                doc.text = verdict.text
            return True
        doc.metadata |= {"goldsand_value": verdict.value, "goldsand_threshold": verdict.threshold}
        return False, f"{verdict.step}.{verdict.rule}"
