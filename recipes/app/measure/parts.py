"""The held-out texts as a text reading shows them: whole, and of the first corpus's what each arm keeps and drops."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from recipes.app.measure.coins import Arm
from recipes.app.measure.held_out import HeldOutText

PageNats = Mapping[str, Mapping[int, Mapping[str, Sequence[float]]]]
"""The summed loss in nats of each page, by arm, seed and text."""
Role = Literal["given", "all", "kept", "dropped"]


@dataclass(frozen=True)
class Part:
    """Pages of a held-out text, by their numbers: all of them, or those that `arm` keeps, or drops."""

    name: str
    text: HeldOutText
    numbers: tuple[int, ...]
    role: Role
    arm: str | None = None

    @property
    def key(self) -> str:
        return self.name if self.arm is None else f"{self.text.name}, {self.role} by {self.arm}"

    def losses(self, nats: PageNats) -> dict[str, dict[int, float]]:
        """Bits a byte, by arm and seed."""
        size = sum(self.text.sizes[number] for number in self.numbers)
        return {
            arm: {
                seed: sum(texts[self.text.name][number] for number in self.numbers) / math.log(2) / size
                for seed, texts in by_seed.items()
            }
            for arm, by_seed in nats.items()
        }


def parts_of(texts: Sequence[HeldOutText], arms: Sequence[Arm]) -> list[Part]:
    """The texts as they are shown: whole, and of the first corpus's also what an arm keeps, in the arm's own form, and
    what it drops."""
    first = texts[0]
    edited = {text.form_of: text for text in texts if text.form_of is not None}
    parts = []
    for text in texts:
        every = tuple(range(len(text.pages)))
        if text.given:
            parts.append(Part(text.name, text, every, "given"))
        elif text.form_of is None:
            parts.append(Part(f"the {len(every)} held-out pages of '{text.name}'", text, every, "all"))
    for arm in arms:
        kept = first.kept.get(arm.corpus, ())
        if arm.against is None or not kept:
            continue
        words = f"the {len(kept)} held-out pages of '{first.name}' that it keeps"
        form = edited.get(arm.corpus)
        if form is not None:
            parts.append(Part(f"{words}, as it has them", form, tuple(range(len(kept))), "kept", arm.name))
        elif len(kept) < len(first.pages):
            parts.append(Part(words, first, kept, "kept", arm.name))
        dropped = tuple(number for number in range(len(first.pages)) if number not in kept)
        if dropped:
            parts.append(Part(f"the {len(dropped)} that it drops", first, dropped, "dropped", arm.name))
    return parts
