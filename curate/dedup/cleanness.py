"""Which of two copies of a text is the better one: how much of it says something, less what frames and damages it.

Copies of a page differ in what an extractor took or left: menus, notices and lists of links around the text, its
headings, its end, and letters that were read in a wrong encoding. Words of English, structure of any language.
"""

from __future__ import annotations

import re

_SOLID = 12
"""A line of so many words that ends as sentences do is text for certain."""
_SHORT_FRAME = 6
"""So many lines or fewer before the first solid one are title, author and date."""
_TITLE = 3
"""Of more lines, the last so many."""
_NOTICE, _LINK = 45, 12
"""A line with a phrase of notices has fewer words than the one, a line with a word of links fewer than the other."""
_REPEATED = 30
_FURNITURE, _DAMAGED, _LISTED = 3, 60, 0.5

_NOTICES = (
    *("skip to", "privacy policy", "privacy notice", "cookie", "all rights", "©", "copyright", "terms of", "subscribe"),
    *("newsletter", "get started", "free trial", "your inbox", "official website", ".gov website", "internet explorer"),
    *("already have an account", "javascript", "your browser", "join our", "join the discussion", "see if you qualify"),
    *("your submission", "went wrong"),
)
_LINKS = (
    *("log in", "login", "sign in", "sign up", "privacy", "terms", "learn more", "read more", "see more", "show more"),
    *(
        "find out more",
        "contact us",
        "about us",
        "call us",
        "follow us",
        "book a",
        "book now",
        "share this",
        "share it",
    ),
    *("facebook", "twitter", "instagram", "linkedin", "youtube", "pinterest", "request demo", "request a demo"),
    *(
        "watch demo",
        "advertise",
        "related articles",
        "related posts",
        "related categories",
        "view all",
        "visit website",
    ),
    *("visit site", "visit the", "visit our", "min read", "back to top", "back to all", "back to home", "back to blog"),
    *("your email", "your e-mail", "no items found", "sitemap", "site map", " > ", "more articles", "schedule an"),
    *("schedule online", "http://", "https://", "download app", "download the app", "written by", "results", "sort by"),
)
_ALONE = frozenset(
    [
        *("home", "next", "previous", "prev", "menu", "close", "search", "share", "tweet"),
        *("follow", "loading", "more", "tags", "faq", "faqs", "career", "careers", "blog"),
        *("contact", "about", "posts", "login", "register", "print", "email", "e-mail", "sponsored"),
        *("overview", "topics"),
    ]
)
_CONTINUED = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_MISREAD = re.compile(f"[ÂÃÄÅÐÑ][{_CONTINUED}]|â[\x80€œ‚„]")
"""Two bytes of UTF-8, or the first of three, that were read as Latin-1 or as Windows-1252."""
_BROKEN = ("\ufffd", "\xad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "{{", "${")
_ENDS = tuple(".!?:;。！？…|")
_AFTER_END = "\"'”’)]»*"


def worth(text: str) -> float:
    """Characters of lines that say something, less those that frame them; of two copies the better one has more.

    A line that names itself as furniture (log in, privacy policy, share) counts against the text three times. What
    stands before the first solid line, but for a title, or after the last, and a line that was there before, count
    against it once. Each sign that was lost or read in a wrong encoding costs 60 characters.
    """
    low = text.lower()
    lines = [line for line in map(str.strip, low.split("\n")) if line]
    words = [line.count(" ") + 1 for line in lines]
    ended = [line[0] == "|" or line.rstrip(_AFTER_END).endswith(_ENDS) for line in lines]
    notices, links = ([phrase for phrase in phrases if phrase in low] for phrases in (_NOTICES, _LINKS))
    furniture = [
        (count < _NOTICE and any(phrase in line for phrase in notices))
        or (count < _LINK and (_alone(line) or any(phrase in line for phrase in links)))
        for line, count in zip(lines, words, strict=True)
    ]
    sure = zip(words, ended, furniture, strict=True)
    solid = [place for place, (count, end, junk) in enumerate(sure) if count >= _SOLID and end and not junk]
    first, last = (solid[0], solid[-1]) if solid else (0, len(lines))
    first = 0 if first <= _SHORT_FRAME else first - _TITLE
    listed = [count < _SOLID and not end for count, end in zip(words, ended, strict=True)] + [False]
    seen: set[str] = set()
    total = 0.0
    for place, line in enumerate(lines):
        if furniture[place]:
            total -= _FURNITURE * len(line)
        elif not first <= place <= last or (line in seen and words[place] < _REPEATED):
            total -= len(line)
        else:
            total += len(line) * (_LISTED if listed[place] and listed[place + 1] else 1)
        seen.add(line)
    return total - _DAMAGED * damage(text)


def damage(text: str) -> int:
    """Signs that were lost, have no width, were read in a wrong encoding, or stand for what was never filled in."""
    misread = 0 if text.isascii() else len(_MISREAD.findall(text))
    return misread + sum(map(text.count, _BROKEN))


def _alone(line: str) -> bool:
    return line.strip("-•*:. …") in _ALONE
