"""Documents that contain test items, so that a score measures knowledge and not memory of the test."""

from curate.decontaminate.decontaminate import Decontaminate
from curate.decontaminate.items import Item, read_items
from curate.decontaminate.matching import Hit, ItemIndex

__all__ = ["Decontaminate", "Hit", "Item", "ItemIndex", "read_items"]
