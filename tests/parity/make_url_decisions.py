"""datatrove's decisions on addresses: `PYTHON_WITH_DATATROVE make_url_decisions.py > url_decisions.tsv`.

Lists and addresses are made here, so that nothing of the peer's own lists is stored. A row: address, decision, reason.
"""

from __future__ import annotations

import random

DOMAINS = ["bad.example.com", "casino.net", "spam.co.uk", "tracker.info", "blog.host.org"]
HARD = ["casino", "xxxvideo"]
SOFT = ["bet", "win", "free", "hot"]
SUBWORDS = ["freepoker", "badsite"]


def addresses() -> list[str]:
    draw = random.Random(0)
    hosts = [
        *DOMAINS, *(f"www.{name}" for name in DOMAINS), "good.org", "news.good.org", "example.com", "host.org",
        "mycasino.net", "casino.org", "xxxvideo.io", "win.bet.com", "192.0.2.7", "localhost",
    ]  # fmt: skip
    words = [*HARD, *SOFT, "free-poker", "badsite7", "bad_site", "news", "2025", "about", "index.html", "a b", "%20"]
    found = []
    for _ in range(700):
        path = "/".join(draw.choices(words, k=draw.randrange(4)))
        joined = draw.choice(["/", "-", "_", "."]).join(draw.choices(words, k=draw.randrange(3)))
        query = draw.choice(["", "", "?q=" + draw.choice(words)])
        found.append(f"{draw.choice(['http', 'https'])}://{draw.choice(hosts)}/{path}{joined}{query}")
    return sorted(set(found))


def main() -> None:
    from datatrove.data import Document
    from datatrove.pipeline.filters.url_filter import URLFilter

    peer = URLFilter(
        extra_domains=DOMAINS, banned_words=HARD, soft_banned_words=SOFT, banned_subwords=SUBWORDS,
        use_integrated_lists=False,
    )  # fmt: skip
    for url in addresses():
        result = peer.filter(Document(text="", id="", metadata={"url": url}))
        print(url, *(("keep", "") if result is True else ("drop", result[1])), sep="\t")


if __name__ == "__main__":
    main()
