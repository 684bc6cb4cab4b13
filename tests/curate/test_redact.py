"""Personal identifiers: what is found, what stands in its place, and that it is accounted for."""

from __future__ import annotations

import ipaddress
import json
import random
import re
import time
from pathlib import Path

import pytest

from curate.document import Document, Drop
from curate.redact.identifiers import KINDS, _mod97, find, luhn
from curate.redact.redact import Redact, stand_in

KEY = b"sixteen bytes and more"


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    (tmp_path / "pii.key").write_bytes(KEY)
    return str(tmp_path / "pii.key")


def seen(text: str, *regions: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.start : one.end]) for one in find(text, regions=regions or ("US",))]


@pytest.mark.parametrize(
    ("text", "address", "canonical"),
    [
        ("Write to Jo.Doe@Acme.com.", "Jo.Doe@Acme.com", "jo.doe@acme.com"),
        ("<o'brien+list@mail.acme.co.uk>", "o'brien+list@mail.acme.co.uk", "o'brien+list@mail.acme.co.uk"),
        ("mailto:a_b@müller.de?subject=x", "a_b@müller.de", "a_b@xn--mller-kva.de"),
        ("'jo@acme.io'", "jo@acme.io", "jo@acme.io"),
        ("Contact.....jo@acme.com,", "jo@acme.com", "jo@acme.com"),
        ("jo@acme.com.Then", "jo@acme.com", "jo@acme.com"),
        ("jo@acme.comSupport", "jo@acme.com", "jo@acme.com"),
        ("(206) 735-3750jo@acme.com", "jo@acme.com", "jo@acme.com"),
        ("â¨jo@acme.orgâ©", "jo@acme.org", "jo@acme.org"),
        ("邮箱jo@acme.com谢谢", "jo@acme.com", "jo@acme.com"),
        ("jo [at] acme [dot] co [dot] uk", "jo [at] acme [dot] co [dot] uk", "jo@acme.co.uk"),
        ("jo(at)acme.com", "jo(at)acme.com", "jo@acme.com"),
        ("https://acme.com/mail?to=jo@acme.com", "jo@acme.com", "jo@acme.com"),
        ("jo&#64;acme.com or", "jo&#64;acme.com", "jo@acme.com"),
        ("jo&#x40;acme&#46;co&#x2E;uk.", "jo&#x40;acme&#46;co&#x2E;uk", "jo@acme.co.uk"),
        ("jo&commat;acme&period;com", "jo&commat;acme&period;com", "jo@acme.com"),
        ("Write to jo AT acme DOT co DOT uk now", "jo AT acme DOT co DOT uk", "jo@acme.co.uk"),
        ("JO.DOE AT ACME DOT COM", "JO.DOE AT ACME DOT COM", "jo.doe@acme.com"),
        ("jo\u00a0[ at ]\u00a0acme [ dot ] com", "jo\u00a0[ at ]\u00a0acme [ dot ] com", "jo@acme.com"),
        ("jo@acme [dot] com", "jo@acme [dot] com", "jo@acme.com"),
        ("jo@acme . com", "jo@acme . com", "jo@acme.com"),
        ("E-mail: jo @ acme . com", "jo @ acme . com", "jo@acme.com"),
        ("jo.doe @ acme.com", "jo.doe @ acme.com", "jo.doe@acme.com"),
        ("contact jo@ acme.com", "jo@ acme.com", "jo@acme.com"),
        ("jo [at] acme [dot] org [dot] Then", "jo [at] acme [dot] org", "jo@acme.org"),
    ],
)
def test_addresses_of_mail(text: str, address: str, canonical: str) -> None:
    found = find(text, ["email"])
    assert [(text[one.start : one.end], one.canonical) for one in found] == [(address, canonical)]


@pytest.mark.parametrize(
    "text",
    [
        "icon@2x.png", "@jo on the net", "jo @ acme.com", "git@github.com:jo/x", "jo@server:/home", "jo@acme.com:~/x",
        "https://jo:secret@acme.com/", "someone@example.com", "x@sub.example.org", "a@b.example", "a@string.service",
        "photo by me @ flickr.com", "MEET US AT ACME.COM", "look at acme dot com", "we met AT home. In May",
        "jo@home. In May", "jo@home . In May", "someone AT example DOT com", "jo&#64;example.org", "R&#64;D.",
        "npm install react@19.2", "@jo@mastodon.social", "jo@localhost", "@app.route", "5 @ 3.50", "a@.com", "@",
    ],
)  # fmt: skip
def test_what_is_no_address_of_mail(text: str) -> None:
    assert find(text, ["email"]) == []


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("(415) 555-2671", "+14155552671"),
        ("415.555.2671", "+14155552671"),
        ("1-415-555-2671", "+14155552671"),
        ("1\u2011415\u2011555\u20112671", "+14155552671"),
        ("Tel. 4155552671", "+14155552671"),
        ("call us at 415 555 2671 24/7", "+14155552671"),
        ("USA+1 (415) 555-2671PO Box", "+14155552671"),
        ("Phone (415) 555-2671) and", "+14155552671"),
        ("+44 20 7946 0958", "+442079460958"),
        ("+49 (0)30 901820", "+4930901820"),
        ("0049 30 901820", "+4930901820"),
        ("+ 33 176420228", "+33176420228"),
        ("+91 - 96 07 01 03 05", "+919607010305"),
    ],
)
def test_phone_numbers(text: str, canonical: str) -> None:
    assert [one.canonical for one in find(text, ["phone"])] == [canonical]


@pytest.mark.parametrize(
    "text",
    [
        "2019-11-20 10:30", "1990-2005 2010", "12/11/2025", "ISBN 978-3-16-148410-0", "Order number: 4155552671",
        "4155552671", "46, 425-442 (2000)", "400 /600/800/1000 ml", "$415.555.2671", "3.14159265", "1,415,555,2671",
        "415 555 2671 300 212 555 1234 200", "123-456-7890", "0.415.555.2671", "uuid 4e196aa4-0141-4601-8138-7aa33db0",
        "20 7946 0958", "#4155552671", "9780306406157", "2024 344 5678901", "10.1.2.3", "1 2 3 4 5 6 7 8 9 10 11 12",
    ],
)  # fmt: skip
def test_what_is_no_phone_number(text: str) -> None:
    assert find(text, ["phone"]) == []


def test_numbers_without_country_code_are_those_of_the_regions_and_of_the_pages_own() -> None:
    text = "Bureau : 01 45 84 83 75 ou 020 7946 0958"
    assert seen(text) == []
    assert seen(text, "FR") == [("phone", "01 45 84 83 75")]
    assert seen(text, "FR", "GB") == [("phone", "01 45 84 83 75"), ("phone", "020 7946 0958")]
    page = Document(key="k", text=text, url="https://site.co.uk/x", domain="site.co.uk")
    assert [one.canonical for one in Redact().found(page)] == ["+442079460958"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8.8.8.8 is no version: IP 8.8.8.8", ["8.8.8.8"]),
        ("from 93.184.216.34, and http://93.184.216.34:80/", ["93.184.216.34"] * 2),
        ("93.184.216.34/24 93.184.216.345 93.184.216", ["93.184.216.34"]),
        ("10.0.0.1 192.168.1.1 127.0.0.1 172.16.0.1 169.254.1.1 192.0.2.1 224.0.0.1 255.255.255.255 0.0.0.0", []),
        ("version 93.184.216.34, v93.184.216.34, Chrome/120.0.0.0, Lucee 5.3.6.61, 1.3.6.1.4.1.343", []),
        ("see sections 22.14.31.9, 41.101.3.44 and 93.184.216.34, clause 93.184.216.35", []),
        ("Figure 93.184.216.34: x; table no. 93.184.216.34; upgrade from 93.184.216.34 to 93.184.216.35", []),
        ("93.184.216.34 or later; 93.184.216.34 beta; (93.184.216.34) release; driver: 93.184.216.34", []),
        ("22.14.3.1 The valve, 45.3.2.12", []),
        ("routing table: 93.184.216.34", ["93.184.216.34"]),
        ("the server 22.14.3.1 answers", ["22.14.3.1"]),
        ("3fff::1 3fff:fff:ffff::1 2002:c000:0204::1 2001:2::1 198.51.100.7 203.0.113.9 198.18.0.1 233.252.0.1", []),
        ("4000::1 2002:5db8:d822::1", ["2002:5db8:d822::1"]),
        ("2606:4700:4700::1111 and 2a00:1450:4001:81b::200e.", ["2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]),
        ("fe80::1 ::1 2001:db8::1 std::vector 10:20:30 2020:10:20 aa:bb:cc:dd:ee:ff fd00::1", []),
    ],
)
def test_addresses_of_the_internet(text: str, expected: list[str]) -> None:
    assert [one.canonical for one in find(text, ["ipv4", "ipv6"])] == expected


# Examples of SWIFT's registry of IBANs.
IBANS = """
AD1200012030200359100100 AE070331234567890123456 AT611904300234573201 BE68539007547034
BR1800360305000010009795493C1 CH9300762011623852957 CY17002001280000001200527600 CZ6508000000192000145399
DE89370400440532013000 DK5000400440116243 EE382200221020145685 ES9121000418450200051332 FI2112345600000785
FR1420041010050500013M02606 GB29NWBK60161331926819 GR1601101250000000012300695 HR1210010051863000160
HU42117730161111101800000000 IE29AIBK93115212345678 IL620108000000099999999 IT60X0542811101000000123456
LT121000011101001000 LU280019400644750000 LV80BANK0000435195001 MT84MALT011000012345MTLCAST001S
NL91ABNA0417164300 NO9386011117947 PL61109010140000071219812874 PT50000201231234567890154
RO49AAAA1B31007593840000 SE4550000000058398257466 SI56263300012039086 SK3112000000198742637541
TR330006100519786457841326 UA213223130000026007233566001
""".split()  # noqa: SIM905


@pytest.mark.parametrize("iban", IBANS)
def test_ibans_in_groups_and_in_one_piece(iban: str) -> None:
    grouped = " ".join(iban[place : place + 4] for place in range(0, len(iban), 4))
    assert seen(f"IBAN: {iban}, BIC") == [("iban", iban)]
    assert seen(f"({grouped} please)") == [("iban", grouped)]
    # One changed figure is always noticed (ISO 7064).
    wrong = iban[:-2] + str((int(iban[-2]) + 1) % 10 if iban[-2].isdigit() else 0) + iban[-1]
    assert find(wrong, ["iban"]) == [] and find(iban + "7", ["iban"]) == [] and find("X" + iban, ["iban"]) == []


# Numbers that the issuers publish for tests.
CARDS = """
4111111111111111 4012888888881881 4222222222222 5555555555554444 5105105105105100 2223003122003222
378282246310005 371449635398431 6011111111111117 6011000990139424 3530111333300000 3566002020360505
30569309025904 38520000023237 6200000000000005
""".split()  # noqa: SIM905


def test_ibans_in_small_letters() -> None:
    for iban in IBANS:
        for text in (iban.lower(), " ".join(re.findall(".{1,4}", iban.lower())), iban.capitalize()):
            assert [(one.kind, one.canonical) for one in find(f"to {text}.", ["iban"])] == [("iban", iban)], text
    assert find("de89370400440532013001 and de8937040044053201300 and xde89370400440532013000", ["iban"]) == []
    # Digits alone are an account in Germany: of pieces of hexadecimal numbers nearly none remains.
    draw = random.Random(3)
    pieces = " ".join(f"{draw.getrandbits(96):024x} {draw.getrandbits(128):032x}" for _ in range(20_000))
    assert len(find(pieces, ["iban"])) <= 2


@pytest.mark.parametrize("card", CARDS)
def test_cards(card: str) -> None:
    assert seen(f"card {card}.") == [("card", card)]
    if len(card) == 16:
        for mark in " -":
            grouped = mark.join(card[place : place + 4] for place in range(0, 16, 4))
            assert seen(f"card {grouped}, valid") == [("card", grouped)]
    assert find(card[:-1] + str((int(card[-1]) + 1) % 10), ["card"]) == []
    assert find(f"x{card}", ["card"]) == find(f"{card}0", ["card"]) == find(f"0.{card}", ["card"]) == []


def test_luhn_is_that_of_the_standard() -> None:
    assert luhn("79927398713") and not any(luhn(f"7992739871{digit}") for digit in "012456789")


TEXT = "Jo: jo@acme.com or (415) 555-2671, JO@ACME.COM, +1 415 555 2671; 93.184.216.34 GB29NWBK60161331926819"


def test_masks_cuts_and_drops() -> None:
    assert Redact()(TEXT).text == "Jo: [email] or [phone], [email], [phone]; [ipv4] [iban]"
    assert Redact(kinds=["email"], action="cut")(TEXT).text.startswith("Jo:  or (415) 555-2671, , +1")
    assert Redact(action="drop")("nothing here")
    dropped = Redact(action="drop")(TEXT)
    assert (dropped.rule, dropped.value, dropped.threshold) == ("too_many_identifiers", 6, 0)
    assert Redact(max_found=6)(TEXT) and not Redact(max_found=5)(TEXT)


def test_the_same_address_gets_the_same_stand_in_in_any_text_and_order(key_file: str) -> None:
    rule = Redact(action="pseudonym", key_file=key_file)
    text = rule(TEXT).text
    assert text is not None
    mails, numbers = re.findall(r"\S+@example\.com", text), re.findall(r"\+999 \d{3} \d{3} \d{4}", text)
    assert len(mails) == len(numbers) == 2 and len(set(mails)) == len(set(numbers)) == 1
    other = rule("+1.415.555.2671 came before jo@acme.com, and jo [at] acme [dot] com").text
    assert other == f"{numbers[0]} came before {mails[0]}, and {mails[0]}"
    (Path(key_file).parent / "other.key").write_bytes(KEY[::-1])
    again = Redact(action="pseudonym", key_file=str(Path(key_file).parent / "other.key"))(TEXT).text
    assert again is not None and mails[0] not in again and numbers[0] not in again
    assert rule.resources() == [Path(key_file)]


def test_stand_ins_are_addresses_that_nobody_has_and_no_second_pass_finds(key_file: str) -> None:
    rule = Redact(action="pseudonym", key_file=key_file)
    for number in range(300):
        key, canonical = b"k" * 32, f"address {number}"
        made = {kind: stand_in(kind, canonical, key) for kind in KINDS}
        text = "Call {phone}, write {email}, pay {iban} or {card}, see {ipv4} {ipv6}".format(**made)
        assert find(text, regions=("US", "GB", "DE", "FR")) == []
        assert rule(text).text == text
        assert ipaddress.ip_address(made["ipv4"]).is_reserved
        assert ipaddress.ip_address(made["ipv6"]) in ipaddress.ip_network("2001:db8::/32")
        assert _mod97(made["iban"]) == 1 and luhn(made["card"]) and len(made["card"]) == 16
    masked = Redact()(TEXT).text
    assert masked is not None and Redact()(masked).text == masked


def test_stand_ins_of_many_addresses_differ() -> None:
    for kind, most in {"email": 0, "ipv6": 0, "iban": 0, "card": 1, "phone": 1, "ipv4": 3}.items():
        made = {stand_in(kind, str(number), b"k" * 32) for number in range(5000)}
        assert len(made) >= 5000 - most


def test_what_was_changed_is_accounted_for(key_file: str) -> None:
    document = Document(key="k", text=TEXT, metadata={})
    (kept,) = Redact(action="pseudonym", key_file=key_file).apply([document])
    assert isinstance(kept, Document)
    assert kept.edits == [("redact", len(TEXT), len(kept.text))]
    assert kept.notes == [("redact", "email", 2), ("redact", "iban", 1), ("redact", "ipv4", 1), ("redact", "phone", 2)]
    protected = Document(key="p", text=TEXT, protected=True)
    assert list(Redact().apply([protected])) == [protected] and protected.text == TEXT
    (dropped,) = Redact(action="drop").apply([Document(key="d", text=TEXT)])
    assert isinstance(dropped, Drop) and "acme" not in str((dropped.rule, dropped.value, dropped.threshold))


def test_a_run_balances_and_its_ledger_names_no_address(tmp_path: Path, key_file: str) -> None:
    from curate.audit.verify import verify
    from curate.run.corpus import CorpusRun
    from curate.sources import Input, find_inputs

    rows = [
        {"id": str(number), "text": f"Page {number}. " + (TEXT if number % 2 else "Nobody.")} for number in range(20)
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    summary = CorpusRun(
        name="redacted",
        steps=[Redact(action="pseudonym", key_file=key_file)],
        partitions=find_inputs([Input("a", str(tmp_path / "in.jsonl"))]),
        out=out,
        workers=1,
    ).execute()
    step = next(step for step in summary["steps"] if step["step"] == "redact")
    before = sum(len(row["text"]) for row in rows)
    assert step["characters_in"] == before and step["characters_edited"] == before - step["characters_out"] != 0
    assert list(verify(out)) == []
    for path in [*out.glob("ledger/*"), out / "summary.json"]:
        assert b"acme" not in path.read_bytes()


@pytest.mark.parametrize(
    "text",
    ["", "\ud800@acme.com \ud800", "@" * 200_000, "a" * 200_000 + "@", "1 " * 200_000, "1" * 200_000, "(" * 200_000,
     "1-" * 200_000, "a.b@" * 100_000, "2001:" * 100_000, "DE89 " * 100_000, "jo[at]" * 60_000,
     "555-123-4567 " * 10_000, "+1 415 555 26 " * 10_000, "Tel. " * 100_000, "1.1.1." * 100_000, "4111 " * 100_000],
)  # fmt: skip
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    find(text)
    assert time.process_time() - started < 8


def test_any_text_is_covered_by_what_is_found_and_what_is_not() -> None:
    draw = random.Random(0)
    alphabet = "jo@acme.com 415-5+(26)71:[]dotABDE89\n"
    for _ in range(3000):
        text = "".join(draw.choices(alphabet, k=draw.randrange(60)))
        place = 0
        for one in find(text):
            assert place <= one.start < one.end <= len(text) and one.kind in KINDS
            place = one.end


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kinds": ["mail"]}, "no kind 'mail'; there are: email"),
        ({"kinds": []}, "at least one"),
        ({"action": "pseudonym"}, "go together"),
        ({"key_file": "absent"}, "go together"),
        ({"action": "pseudonym", "key_file": "absent.key"}, r"no file absent\.key; `head"),
        ({"regions": ["UK"]}, "'UK' is not a country of ISO 3166"),
        ({"regions": ["usa"]}, "'usa'"),
    ],
)
def test_wrong_parameters_are_told_with_their_remedy(parameters: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Redact(**parameters)


def test_a_short_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "short.key").write_bytes(b"secret")
    with pytest.raises(ValueError, match="holds 6 bytes, at least 16"):
        Redact(action="pseudonym", key_file=str(tmp_path / "short.key"))


def test_the_labelled_set_is_found_and_its_look_alikes_are_not() -> None:
    """The set of docs/results/pii.md, made by tests/bench/pii.py from another seed."""
    import runpy

    bench = runpy.run_path(str(Path(__file__).parents[1] / "bench" / "pii.py"))
    rows = bench["labelled_set"](7, each=150)
    assert rows == bench["labelled_set"](7, each=150) and sum(len(row["labels"]) for row in rows) == 1050
    for kind, figures in bench["score"](rows, bench["ours"](rows)[0], KINDS).items():
        assert figures["recall"] >= 0.99 and figures["precision"] >= 0.98, (kind, figures)
        assert figures["exact"] >= 0.98, (kind, figures)
