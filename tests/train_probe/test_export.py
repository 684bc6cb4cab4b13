"""Models of ours as classes of transformers, logit for logit, and models of others scored on facts."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from probe_world import END_OF_TEXT, TAG, World

from train_probe import export as module
from train_probe.architecture import architecture
from train_probe.export import ExportError, HubModel, export, load_hf, main, score_hf, target
from train_probe.inputs import read_facts
from train_probe.model import Transformer
from train_probe.plan import plan_of
from train_probe.records import read_checkpoint
from train_probe.score import score
from train_probe.train import run_plan

transformers = pytest.importorskip("transformers")

MOE = {"inner": 24, "experts": 4, "gated": True}
KINDS = [
    ("gpt2", {}, "gpt_neox"),
    ("gpt2_quarter", {}, "gpt_neox"),
    ("gpt2_no_mlp", {}, "gpt_neox"),
    ("gpt2", {"tied": False, "bias": False, "activation": "silu", "rotary_share": 1.0}, "gpt_neox"),
    ("llama", {}, "llama"),
    ("llama", {"tied": True, "bias": True, "kv_heads": 2, "activation": "gelu"}, "llama"),
    ("llama", {"inner": 0}, "llama"),
    ("llama_plain", {}, "arcee"),
    ("llama_plain", {"bias": True, "kv_heads": 1}, "arcee"),
    ("mistral", {"kv_heads": 2, "rotary_base": 500.0}, "mistral"),
    ("llama", MOE | {"top_k": 2}, "mixtral"),
    ("llama", MOE | {"top_k": 3, "kv_heads": 2}, "mixtral"),
    ("llama", MOE | {"top_k": 1}, "qwen2_moe"),
]


def built(name, changes, vocabulary=50, context=16, seed=1):
    """A model whose every parameter counts: biases and norms drawn too, logits of the order of 1."""
    model = Transformer(architecture(name, 2, 4, 32, **changes), vocabulary, context, seed)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = 0.2 * noise + (1.0 if name.endswith("norm.weight") else 0.0)
    return model


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(("name", "changes", "kind"), KINDS)
def test_logits_stay_through_export_and_import(name, changes, kind, tmp_path):
    model = built(name, changes)
    assert export(model, tmp_path) == kind
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.config.model_type == kind
    rows = torch.randint(0, 50, (3, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = model.eval()(rows), loaded.eval()(rows).logits
    assert ours.abs().max() > 1
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    if kind in ("llama", "arcee", "mistral", "mixtral") and model.architecture.inner:
        # Nothing was added and nothing doubled: a tied head counts once.
        assert sum(parameter.numel() for parameter in loaded.parameters()) == model.architecture.parameters(50)
    if kind == "gpt_neox" and model.architecture.bias and model.architecture.inner:
        assert HubModel(loaded).parameters_used(45) == model.architecture.parameters(45)


def test_weights_keep_their_type(tmp_path):
    export(built("mistral", {}).bfloat16(), tmp_path)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, torch_dtype="auto")
    assert loaded.dtype == torch.bfloat16
    assert load_hf(tmp_path).model.dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("gpt2_gated", {}, "a gated MLP behind a layer norm"),
        ("moe", {}, "experts behind a layer norm"),
        ("gpt2", {"kv_heads": 2}, "grouped queries behind a layer norm"),
        ("llama", {"rotary_share": 0.5}, "rotary positions on 4 of 8 dimensions behind an RMS norm"),
        ("llama_plain", {"experts": 4, "inner": 8}, "plain experts"),
        ("llama", MOE | {"bias": True}, "experts with biases"),
    ],
)
def test_what_no_class_can_hold_is_refused(name, changes, message, tmp_path):
    with pytest.raises(ExportError, match=message):
        export(Transformer(architecture(name, 1, 4, 32, **changes), 20, 8, 0), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ExportError, match="gpt2_quarter"):
        target(architecture(name, 1, 4, 32, **changes))


def test_a_wrong_export_is_noticed(tmp_path, monkeypatch):
    """Heads written in our order, not in that of GPT-NeoX."""
    original = module._neox_state

    def broken(model, state):
        name = "gpt_neox.layers.0.attention.query_key_value.weight"
        return original(model, state) | {name: state["blocks.0.qkv.weight"]}

    monkeypatch.setattr(module, "_neox_state", broken)
    with pytest.raises(ExportError, match="logits differ by"):
        export(built("gpt2", {}), tmp_path)


def test_the_tokenizer_comes_along(tmp_path):
    from curate.shards.vocabulary import build_vocabulary

    vocabulary = build_vocabulary(kind="bpe", texts=["Alma Berg was born in Oslo."] * 3, size=280, domains=["a.org"])
    vocabulary.save(tmp_path / "tokenizer.json")
    export(built("llama", {}, vocabulary.size), tmp_path / "out", tmp_path / "tokenizer.json")
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    text = "Alma Berg was born in Oslo; not in Bergen."
    assert loaded(text)["input_ids"] == vocabulary.encode([text])[0]
    assert loaded.eos_token_id == vocabulary.end_of_text
    config = transformers.AutoConfig.from_pretrained(tmp_path / "out")
    assert config.eos_token_id == vocabulary.end_of_text
    with pytest.raises(ExportError, match=r"none\.json is not a tokenizer\.json"):
        export(built("llama", {}), tmp_path / "other", tmp_path / "none.json")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"), people=20, exposures=60)


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    """A model of ours that has learnt the world's facts."""
    plan = plan_of(
        world.plan(
            [{"arm": "a", "exposures": 60}],
            model={"layers": 1, "heads": 2, "width": 16},
            training={"learning_rate": 1e-2, "batch": 4},
            save=True,
        )
    )
    folder = tmp_path_factory.mktemp("trained")
    (result,) = run_plan(plan, folder)
    model = read_checkpoint(folder / "runs" / result["run"] / "checkpoints" / "60")
    return model


@pytest.mark.parametrize("tagged", [False, True])
def test_a_model_scores_the_same_in_both_forms(world, trained, tagged, tmp_path):
    facts = read_facts(world.folder / "facts")
    export(trained, tmp_path)
    ours = score(trained, facts, facts.begins(tagged))
    theirs = score_hf(load_hf(tmp_path), facts, tagged)
    assert theirs["name_nats"] == pytest.approx(ours.name, rel=1e-5)
    assert theirs["value_nats"] == pytest.approx(ours.value, rel=1e-5)
    assert theirs["parameters"] == trained.architecture.parameters(facts.used_vocabulary)
    if not tagged:
        assert theirs["value_bits"] > 0.5 * 20 * 6  # it knows most of 6 bits of each
        assert theirs["value_bits_per_parameter"] == pytest.approx(theirs["value_bits"] / theirs["parameters"])


@pytest.mark.parametrize("kind", ["gpt2", "bloom"])
def test_a_model_that_is_none_of_ours_is_scored(world, kind, tmp_path):
    """GPT-2 has learnt positions, BLOOM has none; spans are added up by hand from their own loss."""
    facts = read_facts(world.folder / "facts")
    torch.manual_seed(0)
    size = {"n_layer": 1, "n_head": 2, "vocab_size": world.vocabulary, "bos_token_id": 0, "eos_token_id": 0}
    width = {"n_embd": 8, "n_positions": 16} if kind == "gpt2" else {"hidden_size": 8}
    config = transformers.AutoConfig.for_model(kind, **size, **width)
    theirs = transformers.AutoModelForCausalLM.from_config(config).eval()
    theirs.save_pretrained(tmp_path)
    got = score_hf(load_hf(tmp_path), facts)
    value = 0.0
    for body in world.bodies.tolist():
        row = torch.tensor([[END_OF_TEXT, *body]])
        labels = row.clone()
        labels[:, :3] = -100
        value += 3 * theirs(row, labels=labels).loss.item()
    assert got["value_nats"] == pytest.approx(value / 20, rel=1e-5)
    assert got["architecture"] == kind


def test_a_model_without_the_facts_end_of_text_begins_with_its_own(world, trained, tmp_path):
    facts = read_facts(world.folder / "facts")
    export(trained, tmp_path)
    model = load_hf(tmp_path)
    elsewhere = dataclasses.replace(facts, end_of_text=10**6)
    with pytest.raises(ExportError, match="name one"):
        score_hf(model, elsewhere)
    model.config.bos_token_id = TAG
    named = score_hf(model, elsewhere)
    assert named["begin"] == TAG
    assert named["value_nats"] == score_hf(model, facts, tagged=True)["value_nats"]
    assert score_hf(model, elsewhere, begin=0)["value_nats"] == score_hf(model, facts)["value_nats"]


def test_facts_for_another_model_are_refused(world, tmp_path):
    facts = read_facts(world.folder / "facts")
    export(built("llama", {}, vocabulary=world.vocabulary - 1), tmp_path / "small")
    with pytest.raises(ExportError, match=rf"hold token {world.vocabulary - 1}, the model has {world.vocabulary - 1}"):
        score_hf(load_hf(tmp_path / "small"), facts)
    export(built("llama", {}, vocabulary=world.vocabulary, context=4), tmp_path / "short")
    with pytest.raises(ExportError, match="have up to 5 tokens, the model reads 4"):
        score_hf(load_hf(tmp_path / "short"), facts)


def test_the_command_line_prints_what_a_model_knows(world, trained, tmp_path, capsys):
    export(trained, tmp_path / "model")
    assert main([str(tmp_path / "model"), str(world.folder / "facts")]) == 0
    printed = json.loads(capsys.readouterr().out)
    facts = read_facts(world.folder / "facts")
    assert printed == score_hf(load_hf(tmp_path / "model"), facts)
    assert main([str(tmp_path / "none"), str(world.folder / "facts")]) == 2
    assert "there is no model in" in capsys.readouterr().err
    assert main([str(tmp_path / "model"), str(tmp_path)]) == 2
    assert "facts.json is missing" in capsys.readouterr().err


def test_facts_written_with_the_tokenizer_of_another_model_score_it(tmp_path):
    """A tokenizer without our end of text, and a model that knows its tokens alone: it guesses, so its losses are those
    of a uniform guess over its vocabulary at every token of a span."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    from curate.shards.vocabulary import build_vocabulary
    from synth.corpus import facts_corpus
    from synth.inject import Inject

    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    theirs.train_from_iterator([], trainers.BpeTrainer(special_tokens=["<s>"], initial_alphabet=alphabet))
    theirs.save(str(tmp_path / "tokenizer.json"))
    size = theirs.get_vocab_size()
    inject = Inject(kind="people", people=10, exposures=2)
    vocabulary = build_vocabulary(kind="file", file=tmp_path / "tokenizer.json", domains=[inject.domain])
    facts_corpus(tmp_path / "corpus", inject, vocabulary=vocabulary)
    facts = read_facts(tmp_path / "corpus" / "facts")
    assert facts.end_of_text >= size
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=size,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        bos_token_id=theirs.token_to_id("<s>"),
    )
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    got = score_hf(load_hf(tmp_path / "model"), facts)
    assert got["begin"] == theirs.token_to_id("<s>")
    spans = facts.spans[facts.spans[:, 1] >= 0]
    tokens = (spans[:, 3] - spans[:, 2]).sum() / len(facts.rows)
    assert got["value_nats"] == pytest.approx(tokens * torch.tensor(size).log().item(), rel=0.01)
    assert got["value_bits"] < 0
    assert got["all_parameters"] == sum(one.numel() for one in load_hf(tmp_path / "model").parameters())
    # Rows of tokens that no text of the corpus holds are no parameters, in the embedding and in the head.
    assert got["all_parameters"] - got["parameters"] == 2 * 8 * (size - facts.used_vocabulary) > 0
    with pytest.raises(ExportError, match="name one that it was trained with"):
        score_hf(load_hf(tmp_path / "model"), facts, tagged=True)
