"""Language models that rewrite: what a runtime must offer, and the one that runs any causal model of transformers."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import xxhash

from synth.rewrite.gate import RewriteError

Message = dict[str, str]


@dataclass(frozen=True)
class Prompt:
    """One request in two forms: `messages` ({"role", "content"}) for a chat model, `plain` for others to continue."""

    messages: tuple[Message, ...]
    plain: str


class LanguageModel(Protocol):
    """Any runtime. `name` must change with whatever changes its answers: weights, settings, number format."""

    @property
    def name(self) -> str: ...

    def generate(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[str]:
        """One answer for each prompt. Sampling draws answer i from seeds[i] (64 bits), whatever its neighbours are."""
        ...


class TransformersModel:
    """A causal language model of transformers: a folder, a GGUF file, or the id of a model on the hub.

    Greedy at `temperature` 0, else sampled, from the tokens that make up `top_p` of the probability. Weights are bf16
    on a GPU and float32 elsewhere; they are read from safetensors or GGUF, never unpickled, and no code of theirs is
    run. They load when the object is made. The tokenizer's chat template is used if it has one.

    Raises RewriteError that says what was tried and what would help.
    """

    def __init__(
        self,
        path_or_id: str | Path,
        device: str | None = None,
        *,
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
    ) -> None:
        if max_new_tokens < 1 or temperature < 0 or not 0 < top_p <= 1:
            raise RewriteError(
                "max_new_tokens must be at least 1, temperature at least 0, and top_p above 0 and at most 1: "
                f"{max_new_tokens}, {temperature}, {top_p}"
            )
        _need("torch", "probe")
        _need("transformers", "hub")
        import torch
        from transformers import GenerationConfig

        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._limit, self._temperature, self._top_p = max_new_tokens, temperature, top_p
        dtype = torch.bfloat16 if self._device.startswith("cuda") else torch.float32
        self._tokenizer, self._model, identity = _load(str(path_or_id))
        try:
            self._model.to(self._device, dtype)
        except (RuntimeError, AssertionError) as error:
            raise RewriteError(f"{path_or_id} cannot be put on {self._device!r}: {_reason(error)}") from None
        self._model.eval()
        self._tokenizer.padding_side = "left"
        ends = self._model.generation_config.eos_token_id
        ends = {*(ends if isinstance(ends, list) else [ends]), self._tokenizer.eos_token_id} - {None}
        if self._tokenizer.pad_token_id is None:
            # Padding is masked, so any token will do.
            self._tokenizer.pad_token = self._tokenizer.convert_ids_to_tokens(min(ends, default=0))
        # What the model's own configuration would add (penalties, top_k, ...) stays out: the name has every setting.
        self._model.generation_config = GenerationConfig(
            max_new_tokens=max_new_tokens,
            do_sample=False,
            pad_token_id=self._tokenizer.pad_token_id,
            eos_token_id=sorted(ends) or None,
        )
        how = f"temperature {temperature:g}, top_p {top_p:g}" if temperature else "greedy"
        self.name = f"{identity}, {how}, at most {max_new_tokens} tokens, {str(dtype).removeprefix('torch.')}"

    def generate(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[str]:
        """Answers to a batch of prompts.

        Raises RewriteError when one is too long for the model, or the batch for memory.
        """
        import torch
        from transformers import LogitsProcessorList

        chat = self._tokenizer.chat_template is not None
        texts = [self._chat(prompt) if chat else prompt.plain for prompt in prompts]
        # A chat template writes the special tokens itself.
        batch = self._tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=not chat)
        longest = batch["input_ids"].shape[1]
        context = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        if context is not None and longest + self._limit > context:
            raise RewriteError(
                f"a prompt of {longest} tokens and {self._limit} new ones do not fit into the {context} tokens that "
                "the model can read: shorten the statement, or lower max_new_tokens"
            )
        processors = LogitsProcessorList([self._sampling(seeds)] if self._temperature else [])
        try:
            with torch.inference_mode():
                answers = self._model.generate(
                    input_ids=batch["input_ids"].to(self._device),
                    attention_mask=batch["attention_mask"].to(self._device),
                    logits_processor=processors,
                )
        except torch.OutOfMemoryError:
            raise RewriteError(
                f"{len(prompts)} prompts of {longest} tokens and {self._limit} new ones each do not fit into the "
                f"memory of {self._device!r}: use a smaller batch"
            ) from None
        return self._tokenizer.batch_decode(answers[:, longest:], skip_special_tokens=True)

    def _chat(self, prompt: Prompt) -> str:
        return self._tokenizer.apply_chat_template(list(prompt.messages), tokenize=False, add_generation_prompt=True)

    def _sampling(self, seeds: Sequence[int]) -> Any:
        """Adds Gumbel noise to the scores, so that the best token is a sample: each row from a generator of its own.

        (Gumbel-max: Yellott, J. Math. Psychology 15, 1977.) A sampler of transformers draws for the whole batch at
        once, and an answer would depend on the others in it.
        """
        import torch
        from transformers import LogitsProcessor, TopPLogitsWarper

        # Not every device has doubles or generators.
        source = self._device if self._device.startswith("cuda") else "cpu"
        generators = [torch.Generator(source).manual_seed(seed & (2**63 - 1)) for seed in seeds]
        temperature = self._temperature
        nucleus = TopPLogitsWarper(self._top_p) if self._top_p < 1 else None

        class Sampling(LogitsProcessor):
            def __call__(self, input_ids: Any, scores: Any) -> Any:
                scores = scores.float() / temperature
                if nucleus is not None:
                    scores = nucleus(input_ids, scores)
                noise = torch.empty(scores.shape[-1], device=source, dtype=torch.float64)
                for row, generator in zip(scores, generators, strict=True):
                    row -= noise.exponential_(generator=generator).log().float().to(row.device)
                return scores

        return Sampling()


def _need(package: str, extra: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise RewriteError(
            f"rewriting with a model of transformers needs {package}, which is not installed: "
            f"pip install 'goldsand[{extra}]'"
        )


def _load(address: str) -> tuple[Any, Any, str]:
    """Tokenizer, model, and what identifies them: the name and a hash of the files, or the id and its commit."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = Path(address).expanduser()
    options: dict[str, Any] = {"trust_remote_code": False}
    folder = address
    if path.is_file():
        if path.suffix != ".gguf":
            raise RewriteError(f"{path} is not a .gguf file: give that, or the folder that holds the config.json")
        missing = [name for name in ("gguf", "accelerate") if importlib.util.find_spec(name) is None]
        if missing:
            raise RewriteError(f"{path.name} needs {' and '.join(missing)}: pip install {' '.join(missing)}")
        options["gguf_file"] = path.name
        folder, identity = str(path.parent), f"{path.name} ({_fingerprint([path])})"
    elif path.is_dir():
        if not (path / "config.json").is_file():
            inside = sorted(one.name for one in path.glob("*.gguf"))
            hint = f" (it holds {inside[0]}: give that file)" if inside else ""
            raise RewriteError(
                f"{path} is not a model: it holds no config.json{hint}. A model's folder is what save_pretrained writes"
            )
        files = sorted(one for one in path.iterdir() if one.suffix in {".json", ".safetensors", ".jinja", ".model"})
        folder, identity = str(path), f"{path.resolve().name} ({_fingerprint(files)})"
    elif address.startswith((".", "/", "~")) or address.count("/") > 1 or address.endswith(".gguf"):
        raise RewriteError(f"no model at {path}: there is no such file or folder")
    else:
        identity = ""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        stored = {} if "gguf_file" in options else {"use_safetensors": True}
        model = AutoModelForCausalLM.from_pretrained(folder, **options, **stored)
    except Exception as error:  # whatever a damaged file makes json, safetensors, tokenizers or the hub's client raise
        if identity:
            raise RewriteError(f"the model {path} cannot be loaded: {_reason(error)}") from None
        raise RewriteError(
            f"the model {address!r} cannot be loaded: there is no folder of that name, and neither the hub nor its "
            f"cache on this machine has it ({_reason(error)}). Without a network, give the folder of a model, or fetch "
            f"it where there is one: hf download {address}"
        ) from None
    if not identity:
        identity = f"{address}@{getattr(model.config, '_commit_hash', None) or 'unknown'}"
    return tokenizer, model, identity


def _fingerprint(files: list[Path]) -> str:
    """XXH3 of the files' names and contents: distinguishes models, and reads gigabytes in seconds."""
    digest = xxhash.xxh3_64()
    for path in files:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while chunk := file.read(1 << 24):
                digest.update(chunk)
    return digest.hexdigest()


def _reason(error: BaseException) -> str:
    """The first sentence or so of an error of another library, in one line."""
    text = " ".join(str(error).split())
    return text[:200] + ("..." if len(text) > 200 else "") or type(error).__name__
