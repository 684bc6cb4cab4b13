"""Lines for the labelled set of `pii.py` that look like something else: identifiers in other scripts, in full-width
signs and with a mark right behind them; and code, versions, files, annotations, TeX that look like identifiers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

Trap = tuple[str, str, str]
"""Text before, the identifier, text behind; what holds none has an empty one."""

NAMES = ("jo.doe", "anna_k", "m.weber", "info", "sales+eu", "o-brien", "li.wei88", "t.sato")
SITES = ("acme.org", "north-hill.com", "atelier.fr", "kwik.nl", "uni-x.edu", "firma.pl", "azienda.it", "corp.co.uk")
INTERNATIONAL = (
    ("Пишите на {} или звоните.", "почта", "пример.рф"),
    ("Пишите: {}.", "иван.петров", "москва-дом.рф"),
    ("Вопросы на {}, спасибо", "мария-1", "почта.бел"),
    ("Звʼязок {} щодня", "олена", "київ.укр"),
    ("連絡先は {} です。", "山田", "会社.jp"),
    ("お問い合わせ：{}まで", "yamada", "例え.jp"),
    ("邮箱：{}。", "王伟", "例子.中国"),
    ("请发邮件至 {}，谢谢", "li.wei", "网络.公司"),
    ("메일 {} 로 보내 주세요", "길동", "회사.한국"),
    ("문의: {}으로", "kim", "회사.한국"),
    ("संपर्क {} पर करें।", "संपर्क", "डाटामेल.भारत"),
    ("للتواصل {} شكرا", "مدير", "موقع.امارات"),
    ("לפרטים {} תודה", "דנה", "דוגמה.קום"),
    ("Στείλτε στο {} σήμερα", "νίκος", "παράδειγμα.ελ"),
    ("ติดต่อ {} ได้", "สมชาย", "ตัวอย่าง.ไทย"),
    ("Schreiben Sie an {}!", "jürgen", "münchen-klinik.de"),
    ("Piszcie na {}, prosimy", "łukasz", "żółw.pl"),
    ("Mail {} today", "jane", "xn--e1afmkfd.xn--p1ai"),
    ("Mail {} today", "jane", "acme.xn--fiqs8s"),
)
SPELLED = (
    ("Mejl: ", "{name} (at) {site}", " tack"),
    ("Correo: ", "{name} (arroba) {site}", "."),
    ("Почта ", "{name}(собака){site}", " для связи"),
    ("メール: ", "{name}(アット){site}", "へ"),
)
BEHIND = (".", ",", ";", ":", "!", "?", ")", "]", "”", "。", "、", "’s", "...", ")."," |", "\n")  # fmt: skip


def wide(text: str) -> str:
    """In full-width signs."""
    return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)


def address(draw: random.Random) -> str:
    return f"{draw.choice(NAMES)}@{draw.choice(SITES)}"


def in_other_scripts(draw: random.Random) -> Trap:
    frame, name, site = draw.choice(INTERNATIONAL)
    before, _, after = frame.partition("{}")
    return before, f"{name}@{site}", after


def full_width(draw: random.Random) -> Trap:
    whole = wide(address(draw))
    half = address(draw).replace("@", "＠")
    return draw.choice([("連絡先：", whole, "（担当）"), ("Mail ", half, " for an answer."), ("邮箱", half, "。")])


def spelled(draw: random.Random) -> Trap:
    before, form, after = draw.choice(SPELLED)
    return before, form.format(name=draw.choice(NAMES[:4]), site=draw.choice(SITES)), after


def mail_with_a_mark(draw: random.Random) -> Trap:
    return draw.choice(["Write to ", "(", "„", "E-mail: "]), address(draw), draw.choice(BEHIND)


def wide_phone(draw: random.Random) -> Trap:
    number = f"03-{draw.randrange(3200, 3600)}-{draw.randrange(10_000):04d}"
    form = draw.choice([wide(number), wide(number).replace("－", "ー"), number, wide(number).replace("－", "−")])
    return draw.choice(["電話：", "電話", "TEL ", "お電話は"]), form, draw.choice(["", "まで", "。", "（代表）"])


def number(draw: random.Random) -> str:
    """An address of the internet that is no resolver's."""
    return ".".join(map(str, (draw.choice([93, 151, 81, 62, 104]), *(draw.randrange(20, 250) for _ in range(3)))))


def number_with_a_mark(draw: random.Random) -> Trap:
    before = draw.choice(["The requests came from ", "server ", "ping ", "(", "[", "IP:"])
    return before, number(draw), draw.choice([*BEHIND, ":8080", "/32", wide(".")])


def long_number_with_a_mark(draw: random.Random) -> Trap:
    written = f"2a00:1450:4001:{draw.randrange(4096):x}::{draw.randrange(1, 65536):x}"
    return draw.choice(["from ", "[", "("]), written, draw.choice([*BEHIND, "/64", "]:443", ".De", ".And then"])


def code_like_mail(draw: random.Random) -> Trap:
    n, site, name = draw.randrange, draw.choice(SITES), draw.choice(NAMES[:4])
    text = draw.choice([
        f"npm install lodash@{n(9)}.{n(9)}.{n(30)}", f"torch@{n(1, 9)}.{n(9)}.{n(9)}.dev", f"pkg@{n(1, 30)}.dev",
        f"icon@{n(2, 4)}x.png", f"logo@{n(2, 4)}x.ai", f"sprite@{n(2, 4)}x.app", f"backup@{n(2000, 2026)}.zip",
        f"trailer@final{n(9)}.mov", "@app.route('/x')", "@pytest.fixture", "@org.junit.Test", "@Inject this@Main.name",
        "return@forEach.to", "super@Outer.call()", f"y = W{n(9)}@x.to(device)", "scores = q_1 @ k.to(torch.half)",
        "z = A@B.dot(C)", "np.allclose(a@b.top(), c)", "<b>Hello@Model.Name</b>", "x@Html.Raw(body)",
        "\\makeatletter \\bbl@main.is", "{\\hyper@link.to}", " \\c@page.at", f"ssh -p 22 root@db{n(9)}.{site}",
        f"ssh deploy@{site}", f"scp -r deploy@{site}:/srv x", f"rsync -a -z root@{site} .", f"git@{site}:acme/x.git",
        f"hg@{site}", f"https://user@{site}/x", f"postgres://app:secret@db.{site}:5432/x",
        f"Message-ID: <{n(10**9)}.{n(10**6)}@mail.{site}>", f"In-Reply-To: <{n(10**9)}@{site}>", f"${name[:2]}@{site}",
        "someone@example.com", "jane＠example.org", "почта@example.net", f"@{name}@{site}", f"{name}@localhost",
        "java.lang.Object@1b6d3586", f"actions/checkout@v{n(1, 6)}.{n(9)}.{n(9)}", "@media (min-width: 3em)",
        "foo@bar.service", "see @jo_writes.", "p{3cm}@{}l", "price 5 @ 3.50", "@types/node@20.11.5",
    ])  # fmt: skip
    return text, "", ""


def code_like_numbers(draw: random.Random) -> Trap:
    n, version = draw.randrange, number(draw)
    text = draw.choice([
        f"AssemblyVersion(\"{version}\")", f"pip install acme=={version}", f"acme>={version}", f"tool-{version}.jar",
        f"setup {version}.exe", f"lib {version}-SNAPSHOT", f"acme {version}-1ubuntu2", f"version = \"{version}\"",
        f"<version>{version}</version>", f"'version': '{version}'", f"libz.so.{n(9)}.{n(9)}.{n(90)}",
        f"driver: {version}",
        f"Chrome/{n(90, 140)}.0.{n(9999)}.{n(200)}", f"OID 1.3.6.1.4.1.{n(9999)}.{n(9)}", f"build {version}",
        f"text({n(2_120_000_000, 2_129_999_999)}, 12)", f"call({n(4_150_000_000, 4_159_999_999)})",
        f"dial({n(4_150_000_000, 4_159_999_999)}, x)", f"id={n(10**9, 10**10)}", f"0x{n(16**9, 16**10):x}",
        f"sections {version} and {number(draw)}", f"\\label{{eq:{n(9)}.{n(9)}.{n(9)}.{n(9)}}}", f"std::{n(9)}::x",
        f"{n(2000, 2026)}:0{n(1, 9)}:1{n(9)} 10:20:3{n(9)}", f"the network 192.0.2.{n(256)}", f"2001:db8::{n(65536):x}",
        f"cite[{n(100, 999)}-{n(100, 999)}]{{x}}", f"sha256:{n(16**15):016x}", f"x86_64-{n(9)}.{n(9)}.{n(99)}-{n(99)}",
        f"{version}, {version} or later", f"uuid {n(16**8):08x}-0141-4601-8138-{n(16**12):012x}",
    ])  # fmt: skip
    return text, "", ""


MAKERS: tuple[tuple[str | None, int, Callable[[random.Random], Trap]], ...] = (
    ("email", 50, in_other_scripts),
    ("email", 25, full_width),
    ("email", 10, spelled),
    ("email", 25, mail_with_a_mark),
    ("phone", 20, wide_phone),
    ("ipv4", 25, number_with_a_mark),
    ("ipv6", 15, long_number_with_a_mark),
    (None, 80, code_like_mail),
    (None, 50, code_like_numbers),
)
"""Kind, lines of 300, maker."""


def trap_set(seed: int) -> list[dict[str, Any]]:
    """300 rows, as `pii.labelled_set` has them."""
    draw = random.Random(seed)
    rows = []
    for kind, count, make in MAKERS:
        for _ in range(count):
            before, identifier, after = make(draw)
            labels = [(len(before), len(before) + len(identifier), kind)] if kind else []
            rows.append({"text": before + identifier + after, "labels": labels, "country": "JP"})
    return rows
