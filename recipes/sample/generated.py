"""The generated pages of the sample crawl: boilerplate, spam, an unsafe host, a leaked question.

Written for this project. `page` makes HTML of a title and paragraphs; every list is (address, HTML).
"""

from __future__ import annotations

import random

NAVIGATION = [
    "Home",
    "Products",
    "Services",
    "Gallery",
    "Prices",
    "Contact",
    "Imprint",
    "Sitemap",
    "Login",
    "Register",
    "Search",
    "Help",
]
WARES = [
    "watches",
    "shoes",
    "handbags",
    "sunglasses",
    "printers",
    "toner",
    "tyres",
    "curtains",
    "mattresses",
    "drills",
    "vitamins",
    "ringtones",
]
PITCHES = [
    "cheap",
    "discount",
    "wholesale",
    "original",
    "best-price",
    "top-rated",
    "limited",
    "exclusive",
    "genuine",
    "clearance",
]
NIGHTS = [
    "The roulette wheel in the red hall starts at eight and does not stop before the last guest has gone home.",
    "Whoever joins this week finds a welcome gift on the account, to be spent on slots or at any poker table.",
    "Blackjack is dealt by people who smile, and they will show you how to double when the cards are good.",
    "A jackpot of nine hundred coins fell on Tuesday, and the winner bought a round for everybody in the room.",
    "Our casino has been voted the friendliest by readers of three magazines that write about gambling.",
    "Betting on horses opens in the morning, long before the coffee is ready and the first race is called.",
    "You need no code and no card: type your name, take a seat, and the casino takes care of the rest.",
    "On Fridays the poker tournament is free for ladies, students and everyone who brings an old friend.",
    "There are one hundred and twelve slots by the window, and each of them has a jackpot of its own.",
    "Gambling should be fun, they say, and that is what our hosts remember when the night grows long.",
    "If you lose your first evening of roulette, half of what you paid comes back before breakfast.",
    "The betting desk speaks eleven languages and answers on the telephone in less than a minute.",
    "Players who know blackjack from films will be surprised how quickly the real game is learned.",
    "Every birthday in the club is marked with a spin of the golden wheel and a plate of cake.",
    "Members may try new slots for a month before anyone else hears the music that they play.",
    "High rollers have a lounge upstairs, where poker is played with chips made of black wood.",
    "The casino sends a car to the station when three or more of you arrive on the same train.",
    "What happens at the roulette table is written down by nobody, as the house has always promised.",
    "A calm voice reads the betting odds aloud at noon, so that you can plan the afternoon with care.",
    "The jackpot clock above the bar counts upwards until somebody in the crowd makes it start again.",
    "Those who prefer to stay at home find the same gambling on their phone, with the same kind dealers.",
    "Take the bonus tonight, because tomorrow another casino will offer you less and ask for more.",
]

QUESTIONS = [
    {
        "id": "sample-1",
        "question": "A lighthouse keeper fills 7 lamps with 3 litres of oil each every evening; how many litres of oil "
        "does the keeper need for a week?",
        "answer": "147",
    },
    {
        "id": "sample-2",
        "question": "Which of the two ferries that leave the harbour of Norderholm at noon reaches the island first "
        "when the tide is falling?",
        "answer": "the smaller one",
    },
    {
        "id": "sample-3",
        "question": "If a bakery sells 45 loaves before nine o'clock and twice as many in the hour after, how many "
        "loaves has it sold by ten?",
        "answer": "135",
    },
    {
        "id": "sample-4",
        "question": "What does a bell founder add to molten copper so that the finished bell rings clearly and does "
        "not crack in winter?",
        "answer": "tin",
    },
    {
        "id": "sample-5",
        "question": "Why did the surveyors of the Valtin canal place every seventh milestone on the eastern bank "
        "instead of the western one?",
        "answer": "because the western bank floods",
    },
]

QUIZ = [
    "The museum on the old harbour has kept the papers of the coast service since the last lamp was put out, and a "
    "small room on the first floor now shows what the work of a single night looked like.",
    "Visitors see the copper cans that were carried up the stairs, the brushes that kept the glass clean, and the "
    "ledger in which each keeper wrote the weather, the ships that passed and the oil that was used.",
    "School classes are given a sheet with small problems, which the guide goes through with them at the end of the "
    "tour. The first one is the one that most children like best.",
    QUESTIONS[0]["question"],
    "The guide lets them write the sum on the blackboard before the ledger is opened, because the answer stands there "
    "in the hand of a man who had to carry that weight up the stairs himself.",
    "After the tour there is time to climb to the gallery, from which the whole bay can be seen when the air is clear. "
    "The wind is strong up there, and the staff ask that hats be left in the room below.",
    "The museum is open on four days of the week from spring to autumn. Groups of more than ten people should write "
    "to the office in advance, so that a guide who knows the ledgers can be found for them.",
]


def page(title: str, paragraphs: list[str], tag: str = "p") -> bytes:
    body = "\n".join(f"<{tag}>{text}</{tag}>" for text in paragraphs)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>\n'
        f"<body><main><h1>{title}</h1>\n{body}\n</main></body></html>\n"
    ).encode()


def boilerplate() -> list[tuple[str, bytes]]:
    """Pages without content: menus, consent banners, terms of use, placeholders."""
    pages = []
    for number in range(8):
        shop = f"shop-{number}.example"
        menu = [" | ".join(NAVIGATION[number % 4 :]), "Copyright 2024. All rights reserved.", "Back to top"]
        pages.append((f"https://www.{shop}/", page(f"Welcome to shop {number}", menu, "div")))
        consent = [
            "We use cookies to give you the best experience.",
            "By using this site you agree to our cookie policy.",
            "Accept all",
            "Reject all",
            f"Shop {number} is not responsible for the content of other sites. Read our terms of use.",
        ]
        pages.append((f"https://www.{shop}/legal/cookies", page("Cookies", consent)))
    for number in range(8):
        soon = ["This page is under construction.", "Please come back later."]
        pages.append((f"http://site-{number}.example/index.php?id={number}", page("Coming soon", soon)))
    return pages


def spam(draw: random.Random) -> list[tuple[str, bytes]]:
    """Keyword stuffing, and pages that repeat one line."""
    pages = []
    for number in range(12):
        ware, pitch = WARES[number], PITCHES[number % len(PITCHES)]
        stuffed = [
            " ".join(
                f"{draw.choice(PITCHES)} {ware} {draw.choice(['online', 'shop', 'sale', 'buy'])}" for _ in range(60)
            )
            for _ in range(4)
        ]
        pages.append((f"http://{pitch}-{ware}.example/buy.html", page(f"{pitch} {ware}", stuffed)))
        line = f"Buy {pitch} {ware} online today and save money on every order you place with our shop."
        pages.append((f"http://deals.{ware}-outlet.example/?p={number}", page(f"{ware} outlet", [line] * 40)))
    return pages


def unsafe(draw: random.Random) -> list[tuple[str, bytes]]:
    """Readable advertising of one gambling host, for a blocklist or a list of words to find."""
    pages = []
    for number in range(8):
        paragraphs = [" ".join(chunk) for chunk in zip(*[iter(draw.sample(NIGHTS, 16))] * 4, strict=True)]
        pages.append((f"https://casino-bonus.example/night/{number}", page(f"Bonus night {number}", paragraphs)))
    return pages


def leaked() -> list[tuple[str, bytes]]:
    return [("https://harbour-museum.example/visit/lamp-room", page("The lamp room", QUIZ))]
