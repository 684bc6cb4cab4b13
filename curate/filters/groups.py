"""False alarms by group of people: does a classifier take harmless texts that name one group for the bad kind?

A model of words learns that a group's name is an insult where its training texts name the group mostly in insults
(Dixon et al. 2018, 10.1145/3278721.3278729). The share of false alarms of all harmless texts hides that: few of them
name a group. English only; a text that names two groups counts for both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

GROUPS = {
    "women": "women|woman|females?|girls?|mothers?",
    "men": "men|man|males?|boys?|fathers?",
    "transgender people": "trans|transgenders?|transsexuals?|non ?- ?binary|nonbinary",
    "gay and bisexual people": "gays?|lesbians?|bisexuals?|homosexuals?|queers?|lgbtq?",
    "Black people": "blacks?|africans?|african ?- ?americans?",
    "white people": "whites?|caucasians?",
    "Asian people": "asians?|chinese|japanese|koreans?|vietnamese|indians?|pakistanis?",
    "Hispanic people": "hispanics?|latin[oax]s?|mexicans?|puerto ricans?",
    "Arab people": "arabs?|arabic|middle ?- ?eastern",
    "Jewish people": "jews?|jewish|judaism",
    "Muslims": "muslims?|moslems?|islam|islamic",
    "Christians": "christians?|christianity|catholics?|protestants?|evangelicals?",
    "Buddhists, Hindus and Sikhs": "buddhis(?:ts?|m)|hindus?|hinduism|sikhs?",
    "immigrants": "immigrants?|migrants?|refugees?|foreigners?|asylum seekers?",
    "disabled people": "disabled|disabilit(?:y|ies)|blind|deaf|paraly[sz]ed|autistic|wheelchairs?",
    "old people": "elderly|seniors?|old (?:people|men|women|man|woman)|pensioners?",
}
"""Group -> the words that name it, as a pattern of whole words of a text that training has read (`in_words`). Words of
insult are left out: a text that holds one is no neutral mention."""

LEVEL = 0.01
"""How often a report whose groups are all alike may warn, over all of its groups and thresholds together."""

_NAMED = {group: re.compile(rf"\b(?:{pattern})\b") for group, pattern in GROUPS.items()}


def by_group(
    lines: Sequence[str], scores: npt.NDArray[np.float64], thresholds: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    """False alarms at each (recall asked for, threshold) among the negative `lines` that name each group.

    A group `stands_out` where its rate is above that of the other negative texts, by Fisher's exact test of
    two proportions, one-sided, at `LEVEL` divided by the number of tests of the report (Bonferroni). A bare threshold
    would warn of any group of which there are few texts, and be silent where there are many.
    """
    import numpy as np

    named = {group: np.array([bool(pattern.search(line)) for line in lines]) for group, pattern in _NAMED.items()}
    tested = [group for group, of in named.items() if 0 < of.sum() < len(lines)]
    level = LEVEL / max(1, len(tested) * len(thresholds))
    found: dict[str, Any] = {}
    for group, of in named.items():
        rows = []
        for recall, threshold in thresholds if group in tested else ():
            alarms = scores >= threshold
            mine, others = int((alarms & of).sum()), int((alarms & ~of).sum())
            p = chance_of_as_many(mine, int(of.sum()), others, int((~of).sum()))
            rows.append(
                {
                    "recall_asked": recall,
                    "threshold": threshold,
                    "false_positive_rate": round(mine / int(of.sum()), 4),
                    "of_others": round(others / int((~of).sum()), 4),
                    "p": float(f"{p:.2g}"),
                    "stands_out": p < level,
                }
            )
        found[group] = {"negative": int(of.sum()), "at_common_threshold": rows}
    return found


def chance_of_as_many(hits: int, of: int, other_hits: int, of_others: int) -> float:
    """Fisher's exact test, one-sided: how likely the first share is at least this far above the second by chance."""
    total, drawn = of + of_others, hits + other_hits
    whole = _choose(total, drawn)
    return min(
        1.0,
        math.fsum(
            math.exp(_choose(of, here) + _choose(of_others, drawn - here) - whole)
            for here in range(hits, min(of, drawn) + 1)
            if drawn - here <= of_others
        ),
    )


def standing_out(found: dict[str, Any]) -> list[str]:
    """A sentence for each group whose negative texts are taken for positive ones more often than others."""
    said = []
    for group, figures in found.items():
        rows = [row for row in figures["at_common_threshold"] if row["stands_out"]]
        if rows:
            row = min(rows, key=lambda row: row["p"])
            said.append(
                f"{group}: {row['false_positive_rate']:.0%} of {figures['negative']} negative texts that name them"
                f" score {row['threshold']:.4f} or more, {row['of_others']:.0%} of the others (p {row['p']:.1g})"
            )
    return said


def unnamed(found: dict[str, Any]) -> list[str]:
    """The groups of which nothing can be said: no negative text names them, or all do, or there is no threshold."""
    return [group for group, figures in found.items() if not figures["at_common_threshold"]]


def _choose(total: int, some: int) -> float:
    """The logarithm of the number of ways to choose `some` of `total`."""
    return math.lgamma(total + 1) - math.lgamma(some + 1) - math.lgamma(total - some + 1)
