"""Documents that contain test items, so that a score measures knowledge and not memory of the test."""

from curate.decontaminate.index import Hit, ItemIndex
from curate.decontaminate.items import Item, read_items
from curate.decontaminate.rule import Decontaminate

__all__ = ["Decontaminate", "Hit", "Item", "ItemIndex", "read_items"]
