"""Data sets of the Hugging Face hub, and folders that `datasets` can load or has saved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from errno import EIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import xxhash

from curate.document import Document, Unreadable
from curate.places.address import InputError, need, reason_of
from curate.places.patience import passes, patiently
from curate.places.store import checksum
from curate.sources.arrow import columns_of, left_out
from curate.sources.jsonl import row_document
from curate.sources.meter import Reached
from curate.sources.partition import HubSet, Input, Partition, Piece
from curate.sources.rows import Told

if TYPE_CHECKING:
    from datasets import IterableDataset

_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_STATE, _INFO, _SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
MAX_STATE = 16 << 20


def saved_partitions(item: Input) -> list[Partition] | None:
    """The Arrow files of a folder that `save_to_disk` wrote, or None when the input is not such a folder.

    Of several splits, one is read. Raises InputError for a missing split and an unreadable state.
    """
    root = folder = Path(item.path).expanduser()
    if (root / _SPLITS).is_file():
        there = sorted(one.name for one in root.iterdir() if (one / _STATE).is_file())
        if item.split not in there:
            splits = ", ".join(there) or "none"
            raise InputError(
                f"input '{item.name}': the saved data set '{root}' has no split '{item.split}'; it has: {splits}"
            )
        folder = root / item.split
    if not ((folder / _STATE).is_file() and (folder / _INFO).is_file()):
        return None
    need("pyarrow", f"input '{item.name}': '{root}'")
    return [
        Partition(item.name, one, one.relative_to(root).as_posix(), "arrow", item.text_field, item.id_field)
        for one in _saved_files(folder)
    ]


def _saved_files(folder: Path) -> list[Path]:
    try:
        with (folder / _STATE).open("rb") as stream:
            state = orjson.loads(stream.read(MAX_STATE))
        names = [one["filename"] for one in state["_data_files"]]
        if not all(isinstance(name, str) and Path(name).name == name for name in names):
            raise ValueError("a file name in it is a path")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the saved data set '{folder}' has an unreadable {_STATE}: {reason_of(error)}") from None
    return [folder / name for name in names]


def hub_partition(item: Input) -> Partition:
    """An input `format: hub` as one partition, named `NAME/SPLIT` (`NAME/SUBSET/SPLIT`). The hub is not contacted
    yet."""
    need("datasets", f"input '{item.name}': a data set of the hub")
    folder = Path(item.path).expanduser()
    local = folder.is_dir()
    if not local and (len(Path(item.path).parts) > 2 or item.path.startswith((".", "~", "/"))):
        raise InputError(
            f"input '{item.name}': there is no folder '{item.path}', and it is not an id of the hub (OWNER/NAME)"
        )
    wanted = HubSet(str(folder) if local else item.path, item.subset, item.split, item.streaming, item.revision)
    name = folder.resolve().name if local else item.path
    relative = "/".join(part for part in (name, item.subset, item.split) if part)
    return Partition(item.name, folder, relative, "hub", item.text_field, item.id_field, dataset=wanted)


def hub_content(wanted: HubSet) -> str:
    """Identity of a data set's content: for a folder, the bytes of all its files; for the hub, the commit of the
    revision (a pinned commit is itself); where the hub cannot be reached, the hash that `datasets` gives to its cached
    copy.

    Raises InputError when none of them is available.
    """
    folder = Path(wanted.path)
    if folder.is_dir():
        digest = xxhash.xxh3_128()
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            digest.update(
                f"{path.relative_to(folder).as_posix()}\0{patiently(checksum, path)}\n".encode("utf-8", "surrogatepass")
            )
        return digest.hexdigest()
    if wanted.revision and _COMMIT.match(wanted.revision):
        return f"commit:{wanted.revision}"
    need("datasets", f"the data set '{wanted.path}'")
    try:
        from huggingface_hub import HfApi

        return f"commit:{HfApi().dataset_info(wanted.path, revision=wanted.revision).sha}"
    except Exception as error:
        reason = reason_of(error)
    try:
        from datasets import load_dataset_builder

        return f"cached:{load_dataset_builder(wanted.path, wanted.subset, revision=wanted.revision).hash}"
    except Exception:
        raise InputError(f"the data set '{wanted.path}' of the hub cannot be read: {reason}") from None


def read_hub(partition: Partition, piece: Piece, reached: Reached | None) -> Iterator[Document | Unreadable]:
    """Every row of a split; keys count rows. A row without a string is one loss; an error that ends the stream is one
    loss too.

    Raises InputError, with the reason, when the data set cannot be loaded, and OSError when the hub is lost later.
    """
    if partition.dataset is None:
        raise InputError(f"'{partition.path}' is not a data set of the hub: `find_inputs` makes such a partition")
    loaded, left = _loaded(partition.dataset, partition)
    rows = iter(loaded)
    number = 0
    while True:
        key = f"{partition.prefix}@{number}"
        try:
            row: dict[str, Any] = next(rows)
        except StopIteration:
            return
        except Exception as error:
            if passes(error):
                raise OSError(EIO, reason_of(error), partition.dataset.path) from None
            # A loader raises whatever its format's library raises.
            yield Unreadable(key, f"the data set is broken: {reason_of(error)}")
            return
        fields = (partition.source, partition.text_field, partition.id_field)
        item = row_document(dict(row), key, *fields, None, partition.url_field)
        if isinstance(item, Document):
            item.notes += left
        yield item
        number += 1


def _loaded(wanted: HubSet, partition: Partition) -> tuple[IterableDataset, Told]:
    need("datasets", f"the data set '{wanted.path}'")
    import datasets

    # A library's progress bars would mix with the run's own.
    datasets.disable_progress_bars()
    left = Told()
    try:
        loaded = datasets.load_dataset(
            wanted.path, wanted.subset, split=wanted.split, streaming=wanted.streaming, revision=wanted.revision
        )
        # Columns that are not fields of a document (images, audio) would be decoded in vain.
        if loaded.features:
            schema = loaded.features.arrow_schema
            names = columns_of(schema, partition.text_field, partition.id_field, partition.url_field)
            left = left_out(schema.names, names)
            loaded = loaded.select_columns(names)
    except Exception as error:
        raise InputError(f"the data set '{wanted.path}' cannot be loaded: {reason_of(error)}") from None
    return loaded, left
