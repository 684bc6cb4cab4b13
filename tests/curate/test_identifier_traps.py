"""Identifiers in other scripts, in full-width signs and with a mark behind; and code that looks alike."""

import runpy
from pathlib import Path

import pytest

from curate.errors import Refused
from curate.redact import Redact
from curate.redact.identifiers import find, plain


@pytest.mark.parametrize(
    ("text", "address", "canonical"),
    [
        ("Пишите на почта@пример.рф или", "почта@пример.рф", "почта@xn--e1afmkfd.xn--p1ai"),
        ("jane@xn--e1afmkfd.xn--p1ai", "jane@xn--e1afmkfd.xn--p1ai", "jane@xn--e1afmkfd.xn--p1ai"),
        ("иван.petrov2@пример.рф.", "иван.petrov2@пример.рф", "иван.petrov2@xn--e1afmkfd.xn--p1ai"),
        ("連絡先は山田@会社.jpです", "山田@会社.jp", "山田@xn--6oq404h.jp"),
        ("邮箱是li@例子.中国，", "li@例子.中国", "li@xn--fsqu00a.xn--fiqs8s"),
        ("메일은 jo@회사.한국으로", "jo@회사.한국", "jo@xn--vf4b131b.xn--3e0b707e"),
        ("x@例え。jp", "x@例え。jp", "x@xn--r8jz45g.jp"),
        ("संपर्क@डाटामेल.भारत पर", "संपर्क@डाटामेल.भारत", "संपर्क@xn--c2bd4bq1db8d.xn--h2brj9c"),
        ("连接 ＪＯ＠ａｃｍｅ．ｊｐ", "ＪＯ＠ａｃｍｅ．ｊｐ", "jo@acme.jp"),
        ("山田(アット)会社.jp", "山田(アット)会社.jp", "山田@xn--6oq404h.jp"),
        ("jo (arroba) acme (punto) es", "jo (arroba) acme (punto) es", "jo@acme.es"),
        ("jo@163.com, jo", "jo@163.com", "jo@163.com"),
        ("C:\\Users\\jo@acme.com", "jo@acme.com", "jo@acme.com"),
        ("ssh access: write to jo@acme.com", "jo@acme.com", "jo@acme.com"),
    ],
)
def test_mail_in_any_script(text: str, address: str, canonical: str) -> None:
    assert [(text[one.start : one.end], one.canonical) for one in find(text, ["email"])] == [(address, canonical)]


@pytest.mark.parametrize(
    "text",
    [
        "torch@1.0.0.dev", "pkg@2.dev", "logo@2x.ai", "backup@home.zip", "return@forEach.to", "W@x.to(device)",
        "q_1 @ k.to(half)", "A@B.dot(C)", "<b>Hi@Model.Name</b>", "{\\hyper@link.to}", "ssh -p 22 root@db.acme.com",
        "scp -r a root@db.acme.com", "Message-ID: <1.2@mail.acme.com>", "hg@acme.com", "$jo@acme.com",
        "почта@example.com", "jane＠example.org",
    ],
)  # fmt: skip
def test_code_is_no_mail(text: str) -> None:
    assert find(text, ["email"]) == []


def test_numbers_in_full_width_signs_and_other_digits() -> None:
    for text in ("電話０３－３２２４－５０００。", "お電話は０３ー３２２４ー５０００まで", "電話：٠٣-٣٢٢٤-٥٠٠٠"):
        assert [one.canonical for one in find(text, ["phone"], ["JP"])] == ["+81332245000"]
    assert [one.canonical for one in find("联系电话13812345678", ["phone"], ["CN"])] == ["+8613812345678"]
    assert [one.canonical for one in find("サーバー９３．１８４．２１６．３４。")] == ["93.184.216.34"]
    text = "Ａ１。٣²½ｱ"
    assert plain(text) == "A1.3²½ｱ"


@pytest.mark.parametrize(
    "text",
    [
        "0) + 98172488\n", "s**3 + 390625000*p", "6.24192142+3.76879835j", "2.817 940 2894",
        "x 10.1111/0081-1750.00098",
        "text(4155552671, 3)", "call(4155552671)", "(pp. 480-487). 1998", "14.249322787E-1",
    ],
)  # fmt: skip
def test_what_programs_compute_is_no_number_to_call(text: str) -> None:
    assert find(text, ["phone"]) == []


def test_numbers_beside_sums_are_still_found() -> None:
    text = "+1 (929) 214-1690+1 (929) 214-1690, +1.4155552671 or (206) 735-3750 +1 415 555 2671; Tel(415) 555-2671"
    assert len(find(text, ["phone"])) == 6


def test_cards_among_code_points_and_arguments() -> None:
    assert find("5210 5211 5212 5213 5214 5215 rng(4111111111111111) [4111111111111111]", ["card"]) == []
    for text in ("4111 1111 1111 1111 1225", "(4111111111111111)", "card 4111-1111-1111-1111."):
        assert len(find(text, ["card"])) == 1


@pytest.mark.parametrize(
    "mark", [".", ",", ";", ":", "!", ")", "]", "…", "。", "、", "’s", "...", "\n", " |", ".\n", ".Then"]
)
def test_a_mark_right_behind(mark: str) -> None:
    for text in ("server 8.8.8.8", "jo@acme.com", "2001:4860:4860::8888", "(415) 555-2671", "DE89370400440532013000"):
        found = find(f"see {text}{mark}")
        assert len(found) == 1
        assert f"see {text}{mark}"[found[0].start : found[0].end] == text.removeprefix("server ")


@pytest.mark.parametrize(
    "text",
    [
        'AssemblyVersion("93.184.216.34")', "acme==93.184.216.34", "tool-93.184.216.34", "tool 93.184.216.34.jar",
        "93.184.216.34-SNAPSHOT", "93.184.216.34-1ubuntu2", '"version": "93.184.216.34"', 
        "<version>93.184.216.34</version>",
    ],
)  # fmt: skip
def test_versions_are_no_addresses(text: str) -> None:
    assert find(text, ["ipv4"]) == []


def test_addresses_that_identify_nobody_stay_or_go_by_a_switch() -> None:
    text = "ask jo@example.com, or the servers 8.8.8.8, 2001:4860:4860::8888, 192.0.2.1, 2001:db8::1 and 93.184.216.34"
    assert [one.kind for one in find(text)] == ["ipv4", "ipv6", "ipv4"]
    assert [one.canonical for one in find(text, leave=["examples", "resolvers"])] == ["93.184.216.34"]
    assert [one.kind for one in find(text, leave=[])] == ["email", "ipv4", "ipv6", "ipv4", "ipv6", "ipv4"]
    assert Redact(leave=["examples", "resolvers"])("the servers 8.8.8.8 and 93.184.216.34").text == (
        "the servers 8.8.8.8 and [ipv4]"
    )
    with pytest.raises(Refused, match="no 'dns'; there are: examples, resolvers"):
        Redact(leave=["dns"])


def test_the_traps_of_the_labelled_set() -> None:
    """The 300 lines of docs/results/pii.md, from another seed."""
    bench = runpy.run_path(str(Path(__file__).parents[1] / "bench" / "pii.py"))
    rows = bench["trap_set"](3)
    assert len(rows) == 300
    figures = bench["score"](rows, bench["ours"](rows)[0], ("email", "phone", "ipv6"))
    assert {tuple(one.values())[1:] for one in figures.values()} == {(1.0, 1.0, 1.0)}
