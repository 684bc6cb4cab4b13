"""Vocabularies: text comes back, reserved tokens stay out of reach of crawled text, files agree with `tokenizers`."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys

import pytest
from tokenizers import Tokenizer

from curate.document import Document
from curate.shards.domain_rendering import token_set_metadata, write_token_shard
from curate.shards.tokens import NO_DOMAIN, TokenShards, save_metadata
from curate.shards.vocabulary import (
    END_OF_TEXT,
    OTHER,
    Vocabulary,
    VocabularyError,
    build_vocabulary,
    domain_word,
)
from synth.codes import Records, compact_table, reserved_words

TEXTS = ["The desert keeps what the river brought, grain by grain.", "Grain after grain: gold, sand, gold."] * 40
HOSTILE = [
    "<|domain:x.org|> <n1:003> <v:05> and <|endoftext|>",
    "\x00\x7f emoji \U0001f600 half \ud800 combining e\u0301\r\n\t",
    "",
    " " * 50,
]
TABLE = compact_table(12, 2, name_parts=[16, 8], values=4, attributes=3)


@pytest.fixture(scope="module")
def joint():
    return build_vocabulary(
        kind="joint", texts=TEXTS, size=300, domains=["facts", "x.org"], reserved=reserved_words(TABLE)
    )


def test_nothing_is_unknown_and_every_text_comes_back(joint):
    plain = Tokenizer.from_str(joint._content.decode())
    for text in [*TEXTS[:2], *HOSTILE]:
        (ids,) = joint.encode([text])
        assert plain.decode(ids, skip_special_tokens=False) == text.replace("\ud800", "\ufffd")


def test_a_pool_is_encoded_as_its_texts_are(joint):
    """Word by word, where no border between two words is in doubt."""
    draw = random.Random(3)
    texts = ["".join(draw.choices(" ab'sé1.,\t\n\u00a0t7", k=draw.randint(0, 14))) for _ in range(4000)]
    assert joint.plain and joint.encode_pool([*texts, *HOSTILE]) == joint.encode([*texts, *HOSTILE])
    described = json.loads(joint._content)
    for other in (
        {"normalizer": {"type": "Lowercase"}},
        {"pre_tokenizer": {**described["pre_tokenizer"], "use_regex": False}},
        {"pre_tokenizer": {**described["pre_tokenizer"], "add_prefix_space": True}},
        {"pre_tokenizer": None},
    ):
        one = Vocabulary(json.dumps(described | other).encode())
        assert not one.plain and one.encode_pool(texts[:200]) == one.encode(texts[:200])


def test_a_text_that_spells_reserved_tokens_is_only_text(joint):
    reserved = set(joint._reserved.values())
    for encoded in joint.encode(HOSTILE):
        assert not reserved & set(encoded)
    ids, _ = joint.encode_with_offsets(HOSTILE[0])
    assert [ids] == joint.encode(HOSTILE[:1])


def test_a_bpe_keeps_to_its_size_and_reserved_words_follow_it(joint):
    assert joint.end_of_text <= 300
    assert joint.size == joint.end_of_text + 1 + 3 + 16 + 8 + 4
    assert joint.domains == ["facts", "x.org"]
    assert joint.domain_token("nobody.net") == joint.domain_token(None) == joint.reserved(domain_word(OTHER))
    with pytest.raises(VocabularyError, match="256 bytes"):
        build_vocabulary(kind="bpe", texts=TEXTS, size=255)


def test_the_saved_file_gives_the_same_ids_to_the_library_itself(joint, tmp_path):
    joint.save(tmp_path / "tokenizer.json")
    loaded = Vocabulary.load(tmp_path / "tokenizer.json")
    assert loaded.hash == hashlib.sha256((tmp_path / "tokenizer.json").read_bytes()).hexdigest() == joint.hash
    plain = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    record = Records(TABLE).text(3, 0)
    assert plain.encode(record).ids == loaded.encode_words(record) == joint.encode_words(record)
    assert plain.token_to_id(END_OF_TEXT) == joint.end_of_text
    assert plain.encode(TEXTS[0]).ids == joint.encode(TEXTS[:1])[0]


def test_training_is_the_same_in_another_process():
    code = (
        "from curate.shards.vocabulary import build_vocabulary\n"
        f"print(build_vocabulary(kind='bpe', texts={TEXTS!r}, size=290).hash)"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == build_vocabulary(kind="bpe", texts=TEXTS, size=290).hash


def test_the_closed_vocabulary_holds_records_and_refuses_text(tmp_path):
    closed = build_vocabulary(kind="compact", domains=["facts"], reserved=reserved_words(TABLE))
    assert closed.closed and closed.size == 3 + 16 + 8 + 4
    closed.save(tmp_path / "t.json")
    assert Vocabulary.load(tmp_path / "t.json").closed
    assert Tokenizer.from_file(str(tmp_path / "t.json")).encode(Records(TABLE).text(0, 0)).ids == closed.encode_words(
        Records(TABLE).text(0, 0)
    )
    with pytest.raises(VocabularyError, match="use kind `joint` for both"):
        write_token_shard(tmp_path, 0, [Document("page@1", "text", source="a")], closed, "none", ["a"])
    with pytest.raises(VocabularyError, match="no reserved token '<n1:99>'"):
        closed.encode_words("<n1:99>")


def test_a_tokenizer_file_that_cuts_pads_and_frames_is_used_without_all_that(tmp_path):
    from tokenizers import AddedToken, processors

    source = Tokenizer.from_str(build_vocabulary(kind="bpe", texts=TEXTS, size=300)._content.decode())
    source.add_special_tokens([AddedToken("<s>", special=True)])
    source.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", source.token_to_id("<s>"))]
    )
    source.enable_truncation(5)
    source.enable_padding(length=9)
    source.save(str(tmp_path / "published.json"))
    vocabulary = build_vocabulary(kind="file", file=tmp_path / "published.json", domains=["x.org"])
    (ids,) = vocabulary.encode([TEXTS[0]])
    assert source.decode(ids) == TEXTS[0]
    assert vocabulary.domains == ["x.org"] and vocabulary.end_of_text == source.token_to_id(END_OF_TEXT)


def test_what_is_no_tokenizer_is_named(tmp_path):
    with pytest.raises(VocabularyError, match="there is no tokenizer file"):
        Vocabulary.load(tmp_path / "absent.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(VocabularyError, match=r"bad\.json: this is not a tokenizer\.json"):
        build_vocabulary(kind="file", file=tmp_path / "bad.json")
    with pytest.raises(VocabularyError, match="needs the words of compact records"):
        build_vocabulary(kind="compact")
    with pytest.raises(VocabularyError, match="bpe, joint, compact, file"):
        build_vocabulary(kind="unigram")


def documents():
    yield Document(
        "page@1", "<n1:003> " + TEXTS[0], domain="x.org", source="crawl", metadata={"entity": 3, "exposure": 1}
    )
    yield Document("page@2", "", domain="rare.net", source="crawl")
    yield Document("page@3", TEXTS[1], source="crawl")
    metadata = {"kind": "compact", "entity": 5, "exposure": 1}
    yield Document(
        "inject/5@1", Records(TABLE).text(5, 0), domain="facts", source="inject", metadata=metadata, protected=True
    )


def write(folder, vocabulary, rendering):
    folder.mkdir()
    counts = write_token_shard(folder, 0, documents(), vocabulary, rendering, ["crawl", "inject"])

    metadata = token_set_metadata(folder, "set", vocabulary, rendering, ["crawl", "inject"])
    save_metadata(folder, metadata)
    shards = TokenShards.open(folder)
    shards.verify()
    assert counts == {"documents": 4, "tokens": metadata["tokens"], "injected": 1}
    return shards


def test_renderings_differ_in_their_prefixes_and_in_nothing_else(joint, tmp_path):
    sets = {rendering: write(tmp_path / rendering, joint, rendering) for rendering in ("none", "prefix", "special")}
    bodies = {name: [ids[row["prefix"] :].tolist() for ids, row in shards] for name, shards in sets.items()}
    assert bodies["none"] == bodies["prefix"] == bodies["special"]
    assert bodies["none"][3] == [*joint.encode_words(Records(TABLE).text(5, 0)), joint.end_of_text]
    assert [ids.tolist().count(joint.end_of_text) for ids, _ in sets["none"]] == [1, 1, 1, 1]
    heads = [ids[0] for ids, _ in sets["special"]]
    assert heads == [joint.domain_token(domain) for domain in ("x.org", "rare.net", None, "facts")]
    prefixes = [ids[: row["prefix"]].tolist() for ids, row in sets["prefix"]]
    assert prefixes == joint.encode(["x.org\n", "rare.net\n", "", "facts\n"])


def test_rows_tell_pages_from_facts_whatever_a_page_claims(joint, tmp_path):
    rows = write(tmp_path / "rows", joint, "none").documents()
    assert rows["entity"].tolist() == [-1, -1, -1, 5]
    assert rows["exposure"].tolist() == [-1, -1, -1, 1]
    assert rows["source"].tolist() == [0, 0, 0, 1]
    assert rows["domain"].tolist() == [1, 2, NO_DOMAIN, 0]


def test_a_source_that_was_not_announced_is_refused(joint, tmp_path):
    with pytest.raises(ValueError, match="source 'inject' is not one of crawl"):
        write_token_shard(tmp_path, 0, documents(), joint, "none", ["crawl"])
