"""A corpus as Croissant 1.1 (MLCommons, 2026): files with checksums, record sets, and where each is from, by PROV-O.

The context is that of mlcroissant 1.1.1, with PROV-O's names. What a run does not know (a citation, who publishes it
and when) is left out, though the format recommends it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from curate.places.store import Place
from recipes.app.papers.about import About
from recipes.app.papers.hub_card import Config, licence_of_all

VERSION = "http://mlcommons.org/croissant/1.1"
_CR = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty"),
    *("fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
    *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator"),
    *("source", "subField", "transform"),
)
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{name: f"cr:{name}" for name in _CR},
}
_FORMATS = {".parquet": "application/vnd.apache.parquet", ".zst": "application/jsonlines+zstd"}
_TYPES = {
    "string": "sc:Text",
    "bool": "sc:Boolean",
    "int64": "sc:Integer",
    "int32": "sc:Integer",
    "float64": "sc:Float",
}


def croissant(about: About, configs: Sequence[Config], root: Place) -> dict[str, Any]:
    """The JSON-LD of a corpus whose files lie below `root` as the configs say."""
    said = f"{about.counted.documents:,} documents, curated by goldsand {about.made.get('goldsand', '')}"
    licence = licence_of_all(about)
    distribution: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    for config in configs:
        files = [_file(root, place) for place in sorted(root.glob(config.files), key=str)]
        distribution += [*files, _file_set(config)]
        records.append(_records(config))
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "@id": "corpus",
        "conformsTo": VERSION,
        "name": about.name,
        "description": said,
        # (By document where it is none of all: the column `license` of the record set `text`.)
        **({"license": f"https://spdx.org/licenses/{licence}"} if licence else {}),
        **({"inLanguage": codes} if (codes := sorted(code for code in about.counted.languages if code)) else {}),
        **({"temporalCoverage": f"{about.counted.first}/{about.counted.last}"} if about.counted.first else {}),
        "prov:wasDerivedFrom": [
            {"@id": f"source-{number}", "@type": "prov:Entity", "name": name, "description": f"{size} bytes of text"}
            for number, (name, size) in enumerate(about.counted.sources.most_common())
        ],
        "prov:wasGeneratedBy": {
            "@id": "run",
            "@type": "prov:Activity",
            "name": about.name,
            "prov:wasAssociatedWith": {
                "@id": "goldsand",
                "@type": "prov:SoftwareAgent",
                "name": f"goldsand {about.made.get('goldsand', '')}",
            },
            "prov:used": [
                {"@id": f"recipe-{about.made['recipe']['sha256']}", "@type": "prov:Plan", "name": "recipe.yaml"},
                *(
                    {
                        "@id": f"step-{number}",
                        "@type": "prov:Activity",
                        "name": step["step"],
                        "description": f"{step['documents_in']} documents in, {step['documents_out']} out,"
                        f" {step['documents_dropped']} dropped",
                    }
                    for number, step in enumerate(about.summary["steps"])
                ),
            ],
        },
        "distribution": distribution,
        "recordSet": records,
    }


def _file(root: Place, place: Place) -> dict[str, Any]:
    name = str(place)[len(str(root)) :].strip("/")
    with place.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{place.stat().st_size} B",
        "encodingFormat": _FORMATS.get(place.suffix, "application/octet-stream"),
        "sha256": digest,
    }


def _file_set(config: Config) -> dict[str, Any]:
    kind = next((kind for ending, kind in _FORMATS.items() if config.files.endswith(ending)), "")
    return {
        "@type": "cr:FileSet",
        "@id": f"files-of-{config.name}",
        "name": f"files of {config.name}",
        "encodingFormat": kind,
        "includes": config.files,
    }


def _records(config: Config) -> dict[str, Any]:
    fields = []
    for feature in config.features:
        listed = "list" in feature or "sequence" in feature
        field: dict[str, Any] = {
            "@type": "cr:Field",
            "@id": f"{config.name}/{feature['name']}",
            "name": feature["name"],
            "dataType": _TYPES.get(feature.get("dtype", ""), "sc:Text"),
            "source": {"fileSet": {"@id": f"files-of-{config.name}"}, "extract": {"column": feature["name"]}},
        }
        fields.append({**field, "isArray": True, "arrayShape": "-1"} if listed else field)
    return {"@type": "cr:RecordSet", "@id": config.name, "name": config.name, "field": fields}
