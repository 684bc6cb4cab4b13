"""Models that somebody sent, for `mutants.py`: fastText files, folders of transformers, vocabularies. Nobody wrote down
what they were, so another answer is no fault; a process that dies, hangs or ends in a traceback is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mutation import Format

SUNNY = ["sun", "light", "summer", "warm", "beach", "holiday", "bright", "yellow", "day", "garden"]
GLOOMY = ["rain", "cloud", "winter", "cold", "storm", "thunder", "dark", "grey", "night", "frost"]


FASTTEXT = ("plain.bin", "tree.bin", "small.ftz")


def write_fasttext(folder: Path, seed: int) -> None:
    """Two models: of plain and of hierarchical softmax, the second with a pruned and quantized table."""
    import random

    import fasttext

    draw = random.Random(seed)
    lines = [
        f"__label__{label} " + " ".join(draw.choices(words, k=8))
        for label, words in (("a", SUNNY), ("b", GLOOMY), ("c", SUNNY[:5] + GLOOMY[:5]))
        for _ in range(60)
    ]
    (folder / "lines.txt").write_text("\n".join(lines))
    common: dict[str, Any] = {"dim": 8, "bucket": 600, "minn": 2, "maxn": 3, "thread": 1, "verbose": 0, "seed": seed}
    plain = fasttext.train_supervised(str(folder / "lines.txt"), loss="softmax", **common)
    plain.save_model(str(folder / "plain.bin"))
    tree = fasttext.train_supervised(str(folder / "lines.txt"), loss="hs", **common)
    tree.save_model(str(folder / "tree.bin"))
    plain.quantize(input=str(folder / "lines.txt"), cutoff=300, retrain=False, qnorm=True)
    plain.save_model(str(folder / "small.ftz"))
    (folder / "lines.txt").unlink()


def scores_of(name: str) -> Any:
    def read(work: Path) -> Any:
        from curate.filters.fasttext_model import load
        from curate.places.stamp import stamp

        model = load(stamp(work / name))
        return [
            model.labels,
            model.scores("a warm day in the garden", 3),
            model.scores("", 1),
            model.scores("x" * 99, 3),
        ]

    return read


KINDS = ("gpt2", "llama")


def write_exported(folder: Path, seed: int) -> None:
    """Models of ours as classes of transformers, and facts in their vocabulary."""
    from synth.corpus import facts_corpus
    from synth.inject import Inject
    from train_probe.export import export
    from train_probe.inputs import read_facts
    from train_probe.model import Transformer
    from train_probe.plan import ModelPlan

    facts_corpus(folder / "corpus", Inject(kind="people", people=4, exposures=1))
    vocabulary = read_facts(folder / "corpus" / "facts").vocabulary
    for name in KINDS:
        model = Transformer(ModelPlan(layers=1, heads=2, width=8, architecture=name).built(), vocabulary, 192, seed)
        export(model, folder / name, folder / "corpus" / "tokens" / "tokenizer.json", check=False)


def bits_of(name: str) -> Any:
    def read(work: Path) -> Any:
        from train_probe.export import load_hf, score_hf
        from train_probe.inputs import read_facts

        return score_hf(load_hf(work / name), read_facts(work / "corpus" / "facts"))

    return read


def write_vocabularies(folder: Path, seed: int) -> None:
    from curate.shards.vocabulary import build_vocabulary

    texts = [" ".join(SUNNY + GLOOMY)] * 20
    build_vocabulary(kind="bpe", texts=texts, size=300 + seed, domains=["a.example"], buckets=2).save(
        folder / "bpe.json"
    )
    words = [f"<{word}>" for word in SUNNY]
    build_vocabulary(kind="joint", texts=texts, size=300, reserved=words).save(folder / "joint.json")


def tokens_of(name: str) -> Any:
    def read(work: Path) -> Any:
        from curate.shards.vocabulary import build_vocabulary

        one = build_vocabulary(kind="file", file=work / name, domains=["b.example"], buckets=3)
        texts = ["A warm day, in the garden.", "", "\ud800 \x00 é 漢字 " + "x" * 3000]
        return [one.size, one.hash, one.domains, one.encode(texts), one.encode_with_offsets(texts[0])]

    return read


def counted_by(work: Path) -> Any:
    from curate.shards.vocabulary import token_counter

    return token_counter(work / "bpe.json")("A warm day, in the garden.")


def counted_by_profile(work: Path) -> Any:
    from curate.run.profile import _token_counter

    return _token_counter(str(work / "bpe.json"))("A warm day, in the garden.")


FORMATS = {
    "fasttext": Format(
        write_fasttext,
        ("*.bin", "*.ftz"),
        {name: scores_of(name) for name in FASTTEXT},
        foreign=True,
        of={name: (name,) for name in FASTTEXT},
        imports=("curate.filters.fasttext_model", "fasttext"),
    ),
    "transformers": Format(
        write_exported,
        tuple(f"{name}/*" for name in KINDS),
        {name: bits_of(name) for name in KINDS},
        foreign=True,
        of={name: (f"{name}/config.json", f"{name}/*.safetensors") for name in KINDS},
        imports=(
            "train_probe.export", "transformers", "safetensors.torch", "transformers.models.llama.modeling_llama",
            "transformers.models.gpt_neox.modeling_gpt_neox",
        ),
    ),
    "vocabularies": Format(
        write_vocabularies,
        ("*.json",),
        {
            "bpe": tokens_of("bpe.json"), "joint": tokens_of("joint.json"), "counted": counted_by,
            "profile": counted_by_profile,
        },
        foreign=True,
        of={"joint": ("joint.json",), **dict.fromkeys(("bpe", "counted", "profile"), ("bpe.json",))},
        imports=("curate.shards.vocabulary", "curate.run.profile", "tokenizers"),
    ),
}  # fmt: skip
