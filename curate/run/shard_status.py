"""How shards stand, for whoever looks at the folder: each says it in a pulse and a status of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import orjson

from curate.places import claims
from curate.places.manifest import is_sealed
from curate.places.store import Place
from curate.run.session import open_session


@dataclass(frozen=True)
class ShardState:
    """One process of a session: whether it lives (None: nobody can say yet), and what it has in hand, each unit with
    its attempt and the seconds since it began."""

    shard: str
    host: str
    lives: bool | None
    ended: bool
    at: str
    done: int
    memory: int
    in_hand: dict[str, tuple[int, float]]


def shards_in(out: Place) -> tuple[dict[str, Any] | None, list[ShardState]]:
    """The status of the shard that knows most of the open session in a folder, and the state of each; nothing where no
    session is open. Waits for a beat of those on other machines."""
    session = open_session(out)
    if session is None:
        return None, []
    places = list(session.pulses())
    until = time.monotonic() + 1.2 * claims.BEAT
    known = {place: session.watch.knows(place) for place in places}
    while any(lives is None for lives in known.values()) and time.monotonic() < until:
        time.sleep(min(0.2, claims.BEAT / 4))
        known |= {place: session.watch.knows(place) for place, lives in known.items() if lives is None}
    states, statuses = [], []
    for place in places:
        row = session.watch.row(place) or {}
        states.append(_state(place, row, known[place]))
        if (status := _status(place)) is not None:
            statuses.append(status)
    best = max(statuses, key=lambda one: sum(row["finished"] for row in one["progress"].values()), default=None)
    return best, states


def _state(place: Place, row: dict[str, Any], lives: bool | None) -> ShardState:
    number, _, part = place.name.removeprefix("pulse-").removesuffix(".json").partition(".")
    name = str(int(number)) if part == "1" else f"{int(number)} (start {part})"
    now = row.get("clock", 0.0)
    in_hand = {unit: (attempt, max(0.0, now - since)) for unit, (attempt, since) in row.get("units", {}).items()}
    ended = bool(row.get("ended"))
    given = row.get("host", "?"), lives, ended, row.get("at", "beginning"), row.get("done", 0), row.get("memory", 0)
    return ShardState(name, *given, {} if ended else in_hand)


def _status(pulse: Place) -> dict[str, Any] | None:
    place = pulse.with_name(pulse.name.replace("pulse", "status"))
    try:
        status = orjson.loads(place.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return status if isinstance(status, dict) and is_sealed(status) else None
