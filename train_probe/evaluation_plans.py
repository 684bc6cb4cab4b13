"""What the evaluations of a plan ask for, each in a part of its own."""

from __future__ import annotations

from dataclasses import dataclass

from train_probe.checked import Checked
from train_probe.settings import setting

KEYS = ("mlp", "final")
"""What a key of retrieval is (`train_probe/knn.py`)."""
TUNINGS = ("full", "lora")
"""How a model is tuned to questions: all weights, or low-rank changes of matrices (`train_probe/tuning.py`)."""


@dataclass(frozen=True)
class RetrievalPlan(Checked):
    """How `retrieval` mixes a model with the texts nearest to what it reads: every k, temperature and lambda (`shares`)
    is tried on half of the people, for the other half (docs/retrieval.md)."""

    neighbours: tuple[int, ...] = setting((8, 64), "numbers k of neighbours that are tried", ge=1)
    temperatures: tuple[float, ...] = setting((0.3, 1.0, 3.0, 10.0, 30.0), "temperatures that are tried", gt=0)
    shares: tuple[float, ...] = setting(
        (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95),
        "shares lambda of the neighbours that are tried; 0 is the model alone",
        ge=0,
        le=1,
    )
    keys: str = setting("mlp", "what is compared: the input of the last MLP, or the final state", choices=KEYS)
    stores: tuple[str, ...] = setting(("facts",), "what is searched: facts, the run's own texts, or token sets by name")
    most: int = setting(400, "most people that are scored", ge=2)
    texts: int = setting(2, "new sentences about each of them, at most: of those that bits are measured on", ge=1)

    def _fits_together(self) -> None:
        if not self.neighbours or not self.temperatures or not self.stores:
            raise self._error("neighbours, temperatures and stores name at least one each")
        if 0 not in self.shares:
            raise self._error("a share of 0, the model alone, is what retrieval is compared with", ".shares")


@dataclass(frozen=True)
class QuestionsPlan(Checked):
    """How `questions` asks: of a model as it is, and after it was tuned to the questions about half of the people.

    Arxiv 2309.14316 tunes attention with a rank of 2 to 16 and the embedding with one of 128.
    """

    tune: tuple[str, ...] = setting((), "also ask after tuning: full, lora", choices=TUNINGS)
    passes: int = setting(20, "passes over the questions of the one half, in tuning", ge=1)
    batch: int = setting(16, "questions of each step of tuning", ge=1)
    rate: float = setting(1e-3, "learning rate of tuning; it falls to 0", gt=0)
    rank: int = setting(8, "rank of lora's changes of attention's and the MLP's matrices", ge=1)
    embedding_rank: int = setting(32, "rank of lora's change of the embedding", ge=1)
