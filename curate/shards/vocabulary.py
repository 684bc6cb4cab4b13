"""A vocabulary: a tokenizer, and beside it tokens that no text of a page can ever become.

Reserved tokens are the end of text, one for each frequent domain (`<|domain:example.org|>`), one for every other domain
(`<|domain:other|>`), or a few that domains are hashed to (`<|domain:#0|>`), and one for each word of compact records.
They are written into an ordinary `tokenizer.json` as special tokens, so ids agree wherever it is loaded; crawled text
is encoded with special tokens disabled.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from curate.errors import Refused
from curate.shards.text import well_formed

END_OF_TEXT = "<|endoftext|>"
OTHER = "other"
KINDS = ("bpe", "joint", "compact", "file")
RENDERINGS = ("none", "prefix", "special", "hashed", "url")
"""What precedes a document: no prefix; the domain as text; its own token, with the rarer domains in one token or
hashed; all domains hashed; the whole URL as text."""
LONGEST_TOKEN = 32
"""Most characters of a trained token, so that rows of dashes in a crawl do not become tokens."""

LONGEST_PIECE = 1024
"""Most bytes of a piece that a vocabulary is trained on: a longer run of letters, digits, marks or spaces is cut, since
training grows with the square of a piece. Longer pieces than this are in no text that people write."""

BUCKET = "#"
"""The prefix, in a token's name, of a bucket that domains are hashed to; no domain begins with it."""

PARALLEL = "TOKENIZERS_PARALLELISM"
"""What tells tokenizers whether it may use all cores."""

_DOMAIN = "<|domain:"
_PIECE = re.compile(r"\w+|[^\w\s]")


class VocabularyError(Refused):
    """A vocabulary that cannot be built, read or used as asked."""


def domain_word(domain: str) -> str:
    return f"{_DOMAIN}{domain}|>"


class Vocabulary:
    """A tokenizer and its reserved tokens, from the bytes of a `tokenizer.json`.

    `size` is one more than the largest id, `hash` the SHA-256 of the file, `domains` the domains that have a token of
    their own, in the order of their ids, `buckets` the number of tokens that domains can be hashed to. `closed`
    vocabularies hold reserved words only.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._tokenizer = _tokenizer_from(content)
        added = self._tokenizer.get_added_tokens_decoder()
        self._reserved = {token.content: number for number, token in sorted(added.items()) if token.special}
        if END_OF_TEXT not in self._reserved:
            raise VocabularyError(f"the tokenizer has no special token {END_OF_TEXT}: write it with build_vocabulary")
        self.hash = hashlib.sha256(content).hexdigest()
        self.size = max(self._tokenizer.get_vocab().values()) + 1
        self.end_of_text = self._reserved[END_OF_TEXT]
        named = [word[len(_DOMAIN) : -2] for word in self._reserved if word.startswith(_DOMAIN)]
        self.domains = [domain for domain in named if domain != OTHER and not domain.startswith(BUCKET)]
        self.buckets = sum(domain.startswith(BUCKET) for domain in named)
        self.closed = type(self._tokenizer.model).__name__ == "WordLevel" and self.size == len(self._reserved)

    @classmethod
    def load(cls, path: Path | str) -> Vocabulary:
        """Read a saved vocabulary. Raises VocabularyError when the file is missing or not a tokenizer."""
        try:
            return _opened(Path(path).read_bytes())
        except FileNotFoundError:
            raise VocabularyError(f"there is no tokenizer file {path}") from None
        except VocabularyError as error:
            raise VocabularyError(f"{path}: {error}") from None

    @property
    def encoder(self) -> str:
        """The SHA-256 of all that shapes the ids of a text or a record: the whole file but the tokens of domains."""
        described = json.loads(self._content)
        words = described.pop("added_tokens")
        described["others"] = [word for word in words if not word["content"].startswith(_DOMAIN)]
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()

    def bare_tokenizer(self) -> Any:
        """The tokenizer as it was trained, before any token was reserved."""
        return _tokenizer_from(json.dumps({**json.loads(self._content), "added_tokens": []}).encode())

    @cached_property
    def plain(self) -> bool:
        """Whether this is plain byte-level BPE, as GPT-2's and that of kind `bpe`. Then the ids of a text spell its
        bytes, and a space between two words begins a token."""
        from tokenizers import pre_tokenizers

        described = json.loads(self._content)
        pieces, model = described["pre_tokenizer"] or {}, described["model"]
        return (
            described["normalizer"] is None
            and pieces.get("type") == "ByteLevel"
            and not pieces["add_prefix_space"]
            and pieces.get("use_regex", True)
            and model["type"] == "BPE"
            and not any(model.get(name) for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"))
            and all(word["special"] for word in described["added_tokens"])
            and model["vocab"].keys() >= set(pre_tokenizers.ByteLevel.alphabet())
        )

    def save(self, path: Path | str) -> None:
        Path(path).write_bytes(self._content)

    def reserved(self, word: str) -> int:
        """The id of a reserved word. Raises VocabularyError when it has none."""
        try:
            return self._reserved[word]
        except KeyError:
            raise VocabularyError(f"the vocabulary has no reserved token {word!r}") from None

    def has(self, words: Iterable[str]) -> bool:
        """Whether every word is reserved."""
        return all(word in self._reserved for word in words)

    def domain_token(self, domain: str | None) -> int:
        """The token of a domain: its own; or that of its bucket, where there are buckets; or that of all other domains,
        which also holds for no domain. Raises VocabularyError when the vocabulary was built without domain tokens.
        """
        own = self._reserved.get(domain_word(domain)) if domain else None
        if own is not None:
            return own
        return self.bucket_token(domain) if domain and self.buckets else self.reserved(domain_word(OTHER))

    def bucket_token(self, domain: str | None) -> int:
        """The token that a domain is hashed to; for no domain, that of all others. Raises VocabularyError without
        buckets."""
        if not self.buckets:
            raise VocabularyError("the vocabulary has no buckets to hash domains to: build it with `buckets`")
        if not domain:
            return self.reserved(domain_word(OTHER))
        number = int.from_bytes(hashlib.blake2b(domain.encode(), digest_size=8).digest(), "little") % self.buckets
        return self.reserved(domain_word(f"{BUCKET}{number}"))

    def domain_table(self) -> list[dict[str, Any]]:
        """The `domains` of shard metadata: those with a token of their own, then `other`."""
        return [{"name": name, "token": self.domain_token(name)} for name in [*self.domains, OTHER]]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of texts. A text that spells a reserved token stays text."""
        if self.closed:
            raise VocabularyError("the closed vocabulary of compact records holds no text; use kind `joint` for both")
        encodings = self._tokenizer.encode_batch_fast([well_formed(text) for text in texts], add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Texts of ids, reserved tokens written out. A character that is cut is U+FFFD; ids beyond the vocabulary are
        left out."""
        return self._tokenizer.decode_batch([list(one) for one in ids], skip_special_tokens=False)

    def encode_pool(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids that `encode` gives, sooner where texts share their words, as the values of a pool do."""
        if not self.plain:
            return self.encode(texts)
        apart = [_words_of(text) for text in texts]
        words = list(dict.fromkeys(word for some in apart for word in some))
        known = dict(zip(words, self.encode(words), strict=True))
        return [[one for word in some for one in known[word]] for some in apart]

    def encode_words(self, text: str) -> list[int]:
        """The ids of a text of reserved words separated by single spaces."""
        return [self.reserved(word) for word in text.split(" ")]

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids that `encode` gives, and for each the characters [start, end) of the text that it covers."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.offsets


@lru_cache(maxsize=1)
def _opened(content: bytes) -> Vocabulary:
    """One for all units of a process: tokenizers 0.23 keeps some megabytes of each that has encoded texts, and each is
    slower than the one before."""
    return Vocabulary(content)


def _words_of(text: str) -> list[str]:
    """The words of a text with the space in front of each; the whole text, where there is other white space."""
    first, *rest = text.split(" ")
    if text.split() != ([first, *rest] if first else rest):
        return [text]
    return [*([first] if first else []), *[f" {word}" for word in rest]]


def token_counter(tokenizer: Path | str | None) -> Callable[[str], int]:
    """A function that counts the tokens of a text: by a tokenizer.json, or else its words and marks (of a record: its
    words)."""
    if tokenizer is None:
        return lambda text: text.count(" ") + 1 if text.startswith("<") else sum(1 for _ in _PIECE.finditer(text))
    vocabulary = Vocabulary.load(tokenizer)
    return lambda text: len(vocabulary.encode([text])[0])


def build_vocabulary(
    *,
    kind: str,
    texts: Iterable[str] = (),
    size: int = 1024,
    file: Path | str | None = None,
    domains: Sequence[str] = (),
    buckets: int = 0,
    reserved: Sequence[str] = (),
    trained: Vocabulary | None = None,
) -> Vocabulary:
    """A vocabulary of one of four kinds, with tokens for the end of text, `domains`, all other domains, `buckets` and
    `reserved` words added.

    `bpe` trains byte-level BPE of at most `size` tokens on `texts`; all 256 bytes are in it, so no text is unknown.
    `joint` is `bpe` with reserved words. `compact` holds reserved words only. `file` takes any `tokenizer.json`.
    The same texts in the same order give the same bytes; `trained` is an earlier vocabulary that was trained on them,
    and saves doing so again.
    """
    if kind not in KINDS:
        raise VocabularyError(f"the kind of a vocabulary must be one of {', '.join(KINDS)}, not {kind!r}")
    if kind == "compact" and not reserved:
        raise VocabularyError("a compact vocabulary needs the words of compact records: give `reserved`")
    own = [domain for domain in dict.fromkeys(domains) if domain and domain != OTHER]
    hashed = [f"{BUCKET}{number}" for number in range(buckets)]
    special = [END_OF_TEXT, *map(domain_word, [*own, OTHER, *hashed])]
    words = [*special, *(reserved if kind != "bpe" else ())]
    if kind == "file":
        if file is None:
            raise VocabularyError("a vocabulary of kind `file` needs the path of a tokenizer.json")
        try:
            tokenizer = _tokenizer_from(Path(file).read_bytes())
        except OSError as error:
            raise VocabularyError(f"cannot read the tokenizer file {file}: {error.strerror}") from None
        except VocabularyError as error:
            raise VocabularyError(f"{file}: {error}") from None
    elif kind == "compact":
        tokenizer = _closed(words)
    else:
        tokenizer = _trained(texts, size) if trained is None else trained.bare_tokenizer()
    _reserve(tokenizer, words)
    return Vocabulary(tokenizer.to_str(pretty=True).encode())


def _tokenizer_from(content: bytes) -> Any:
    # The engine starts one process for each core; threads inside each would compete with them.
    os.environ.setdefault(PARALLEL, "false")
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(content.decode())
    except Exception as error:
        # tokenizers raises bare Exceptions.
        raise VocabularyError(f"this is not a tokenizer.json ({error})") from None
    # A published file may truncate or pad; a corpus needs every token and no others.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _trained(texts: Iterable[str], size: int) -> Any:
    if size < 256:
        raise VocabularyError(f"a byte-level vocabulary holds at least its 256 bytes; size {size} is too small")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    pieces = pre_tokenizers.ByteLevel(add_prefix_space=False)
    # Each byte is one printable character here.
    cut = pre_tokenizers.FixedLength(LONGEST_PIECE)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pieces, cut])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=LONGEST_TOKEN,
        show_progress=False,
    )
    before = os.environ.get(PARALLEL)
    os.environ[PARALLEL] = "true"  # nothing else of a run is worked on meanwhile
    try:
        tokenizer.train_from_iterator((well_formed(text) for text in texts), trainer)
    finally:
        if before is None:
            del os.environ[PARALLEL]
        else:
            os.environ[PARALLEL] = before
    tokenizer.pre_tokenizer = pieces
    return tokenizer


def _closed(words: Sequence[str]) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def _reserve(tokenizer: Any, words: Sequence[str]) -> None:
    from tokenizers import AddedToken

    # The space before a word belongs to it, so that the saved file encodes a record as it was written here.
    tokenizer.add_special_tokens(
        [AddedToken(word, special=True, normalized=False, lstrip=not word.startswith("<|")) for word in words]
    )
