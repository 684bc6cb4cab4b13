"""Settings that dataclasses of other packages declare, as pydantic models."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model


class Strict(BaseModel):
    """A model that refuses unknown keys and cannot be changed."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, arbitrary_types_allowed=True, allow_inf_nan=False
    )


def model_of(
    *kinds: type,
    only: Collection[str] | None = None,
    leave_out: Collection[str] = (),
    optional: Collection[str] = (),
    **changed: Mapping[str, Any],
) -> Any:
    """A pydantic model of the fields that dataclasses document (with `doc` in their metadata, as `param` and `setting`
    put it there): their types, defaults, limits and choices. Limits of a tuple hold for each of its members.

    Of two fields with the same name the first is used. `optional` fields default to None; `changed` replaces parts of
    a field's declaration.
    """
    members: dict[str, Any] = {}
    for kind in kinds:
        hints = get_type_hints(kind)
        for item in dataclasses.fields(kind):
            name = item.name
            if "doc" not in item.metadata or name in (*members, *leave_out) or (only is not None and name not in only):
                continue
            hint, declared = hints[name], {"default": item.default, **item.metadata, **changed.get(name, {})}
            if name in optional:
                hint, declared["default"] = hint | None, None
            members[name] = _member(hint, declared, item.default_factory)
    return create_model(kinds[0].__name__, __base__=Strict, **members)


def _member(hint: Any, declared: Mapping[str, Any], factory: Any) -> Any:
    """A field of a model: its type, and its pydantic `Field`."""
    said = {key: declared[key] for key in ("ge", "gt", "le", "lt", "pattern", "alias") if declared.get(key) is not None}
    default = declared["default"]
    if declared.get("choices"):
        one_of: Any = Literal[tuple(declared["choices"])]
        if get_origin(hint) is tuple:
            hint = tuple[one_of, ...]
        else:
            hint = one_of | None if type(None) in get_args(hint) else one_of
    if get_origin(hint) is tuple:
        member: Any = Annotated[get_args(hint)[0], Field(**said)]
        hint, said, default = list[member], {}, list(default)
    if default is not dataclasses.MISSING:
        said["default"] = default
    elif factory is not dataclasses.MISSING:
        said["default_factory"] = factory
    return hint, Field(description=declared["doc"], **said)
