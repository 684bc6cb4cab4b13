"""To Hugging Face and back: models of ours as classes of `transformers`, without remote code, and any causal language
model of a hub, or of a folder, scored on facts.

To measure the capacity of a model somebody else trains, its facts must be written with its own tokenizer:

    goldsand synth people --count 1000 --exposures 100 --tokenizer MODEL/tokenizer.json -o OUT
    python -m train_probe.export MODEL OUT/facts

The first writes texts to train on (OUT/text) and rows to score (OUT/facts), the second prints what MODEL knows of them.
The same options write the same facts whatever the tokenizer; `synth.scoring.write_scoring` writes the rows alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from curate.errors import answered
from train_probe.architecture import Architecture
from train_probe.foreign import ExportError, outcome_of, refuse_impossible, refuse_missing
from train_probe.inputs import Facts, read_facts
from train_probe.model import Transformer
from train_probe.parametrisation import GPT2_DEVIATION
from train_probe.records import read_checkpoint, write
from train_probe.score import Losses, score
from train_probe.scorer import learned

END_OF_TEXT = "<|endoftext|>"
TOLERANCE = 1e-4
"""Largest difference of a logit, in shares of the largest logit, between a model and what was exported of it."""


def target(one: Architecture) -> str:
    """The `model_type` of transformers whose arithmetic is that of an architecture. Raises ExportError.

    gpt_neox: layer norm, plain MLP or none. llama: RMS norm, gated MLP or none; mistral: the same with grouped queries
    and no bias; arcee: the same with a plain MLP. mixtral: the same with gated experts, two or more a token (their
    weights add up to 1); qwen2_moe: one a token (its probability), the shared expert of that class being zero.
    """
    whole = one.rotated == one.head_width
    if one.norm == "layer":
        problems = {
            "a gated MLP behind a layer norm (gpt2_gated)": one.gated and one.inner > 0,
            "experts behind a layer norm (moe)": one.experts > 0,
            "grouped queries behind a layer norm": one.groups != one.heads,
        }
        kind = "gpt_neox"
    elif one.norm == "rms":
        problems = {
            f"rotary positions on {one.rotated} of {one.head_width} dimensions behind an RMS norm": not whole,
            "experts with biases": one.experts > 0 and one.bias,
            "plain experts": one.experts > 0 and not one.gated,
        }
        if one.experts:
            kind = "mixtral" if one.top_k > 1 else "qwen2_moe"
        elif one.inner and not one.gated:
            kind = "arcee"
        else:
            kind = "mistral" if one.inner and one.groups < one.heads and not one.bias else "llama"
    else:
        raise ExportError(f"no class of transformers is known here for models with norm '{one.norm}'")
    wrong = [words for words, holds in problems.items() if holds]
    if wrong:
        raise ExportError(
            f"transformers has no class with {' and '.join(wrong)}; gpt2, gpt2_quarter, gpt2_no_mlp, llama,"
            " llama_plain, mistral, and gated experts without biases behind an RMS norm can be exported"
        )
    return kind


def export(model: Transformer, folder: Path, tokenizer: Path | None = None, check: bool = True) -> str:
    """Write `config.json` and `model.safetensors`, which AutoModelForCausalLM loads, and with the path of a
    `tokenizer.json` what AutoTokenizer loads; returns the `model_type`.

    `check` loads the model again and compares logits in float32. Experts have no capacity there: logits are those of
    `model.eval()`. Raises ExportError where no class has the model's arithmetic, or the logits differ.
    """
    kind = target(model.architecture)
    try:
        from safetensors.torch import save_file
    except ImportError:
        raise ExportError("export needs the package safetensors: pip install 'goldsand[probe]'") from None
    state = {name: weight.detach().cpu() for name, weight in model.state_dict().items()}
    weights = _neox_state(model, state) if kind == "gpt_neox" else _llama_state(model, state, kind)
    config = _config(model, kind)
    folder.mkdir(parents=True, exist_ok=True)
    # Written last: without it, nothing loads what a kill left of two models.
    (folder / "config.json").unlink(missing_ok=True)
    if tokenizer is not None:
        config |= _write_tokenizer(tokenizer, folder, model.context)
    save_file({name: one.contiguous() for name, one in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    write(folder / "config.json", config)
    if check:
        _check(model, folder)
    return kind


_CLASSES = {
    "gpt_neox": "GPTNeoXForCausalLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "arcee": "ArceeForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "qwen2_moe": "Qwen2MoeForCausalLM",
}


def _config(model: Transformer, kind: str) -> dict[str, Any]:
    """config.json, in words that transformers 4.46 reads and so do later versions (arcee: since 4.53)."""
    one = model.architecture
    config: dict[str, Any] = {
        "architectures": [_CLASSES[kind]],
        "model_type": kind,
        "vocab_size": model.vocabulary,
        "hidden_size": one.width,
        "num_hidden_layers": one.layers,
        "num_attention_heads": one.heads,
        "intermediate_size": one.inner,
        "hidden_act": one.activation,
        "max_position_embeddings": model.context,
        "tie_word_embeddings": one.tied,
        "initializer_range": GPT2_DEVIATION,
        "attention_dropout": 0.0,
        "bos_token_id": None,
        "eos_token_id": None,
        "torch_dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
    }
    if kind == "gpt_neox":
        share = one.rotated / one.head_width
        if int(one.head_width * share) != one.rotated:
            share = (one.rotated + 0.5) / one.head_width  # the class rounds down, and the quotient was slightly below
        return config | {
            "use_parallel_residual": False,
            "rotary_pct": share,
            "rotary_emb_base": one.rotary_base,
            "layer_norm_eps": one.norm_epsilon,
            "hidden_dropout": 0.0,
            "attention_bias": True,
        }
    config |= {"num_key_value_heads": one.groups, "rope_theta": one.rotary_base, "rms_norm_eps": one.norm_epsilon}
    if kind in ("llama", "arcee"):
        config |= {"attention_bias": one.bias, "mlp_bias": one.bias and one.inner > 0}
    if kind in ("mistral", "mixtral"):
        config["sliding_window"] = None
    if one.experts:
        config |= {"num_experts_per_tok": one.top_k, "router_aux_loss_coef": 0.0}
    if kind == "mixtral":
        config["num_local_experts"] = one.experts
    if kind == "qwen2_moe":
        config |= {"num_experts": one.experts, "norm_topk_prob": False, "moe_intermediate_size": one.inner}
        config |= {"shared_expert_intermediate_size": 1, "qkv_bias": False, "use_sliding_window": False}
    return config


def _qkv(one: Architecture, joined: Tensor) -> tuple[Tensor, ...]:
    """Queries, keys and values of a joined weight [d + 2 kv, ...] or bias."""
    kv = one.groups * one.head_width
    return joined.split([one.width, kv, kv])


def _neox_state(model: Transformer, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """GPTNeoXForCausalLM has all biases and an MLP: those that our model lacks are zero, or of inner width 0."""
    one, d = model.architecture, model.architecture.width
    weights = dict(state)

    def of(name: str, *shape: int) -> Tensor:
        return weights.get(name, state["embedding.weight"].new_zeros(shape))

    renamed = {"gpt_neox.embed_in.weight": state["embedding.weight"]}
    for number in range(one.layers):
        ours, theirs = f"blocks.{number}", f"gpt_neox.layers.{number}"
        weights.setdefault(f"{ours}.mlp_norm.weight", torch.ones_like(state[f"{ours}.attention_norm.weight"]))
        sizes = {
            "attention_norm": ("input_layernorm", (d,), d),
            "mlp_norm": ("post_attention_layernorm", (d,), d),
            "project": ("attention.dense", (d, d), d),
            "mlp.widen": ("mlp.dense_h_to_4h", (one.inner, d), one.inner),
            "mlp.narrow": ("mlp.dense_4h_to_h", (d, one.inner), d),
        }
        for mine, (name, shape, out) in sizes.items():
            renamed[f"{theirs}.{name}.weight"] = of(f"{ours}.{mine}.weight", *shape)
            renamed[f"{theirs}.{name}.bias"] = of(f"{ours}.{mine}.bias", out)
        # There, each head's query, key and value are side by side; here, all queries come before all keys.
        for part, joined in (("weight", state[f"{ours}.qkv.weight"]), ("bias", of(f"{ours}.qkv.bias", 3 * d))):
            split = joined.unflatten(0, (3, one.heads, one.head_width))
            renamed[f"{theirs}.attention.query_key_value.{part}"] = split.transpose(0, 1).flatten(0, 2)
    renamed["gpt_neox.final_layer_norm.weight"] = state["norm.weight"]
    renamed["gpt_neox.final_layer_norm.bias"] = of("norm.bias", d)
    return renamed | ({} if one.tied else {"embed_out.weight": state["head.weight"]})


def _llama_state(model: Transformer, state: dict[str, Tensor], kind: str) -> dict[str, Tensor]:
    one = model.architecture
    renamed = {"model.embed_tokens.weight": state["embedding.weight"], "model.norm.weight": state["norm.weight"]}
    if not one.tied:
        renamed["lm_head.weight"] = state["head.weight"]
    empty = state["embedding.weight"].new_zeros
    expert_names = {"mixtral": ("w1", "w3", "w2"), "qwen2_moe": ("gate_proj", "up_proj", "down_proj")}
    for number in range(one.layers):
        ours, theirs = f"blocks.{number}", f"model.layers.{number}"
        renamed[f"{theirs}.input_layernorm.weight"] = state[f"{ours}.attention_norm.weight"]
        for part in ("weight", "bias") if one.bias else ("weight",):
            for name, weight in zip("qkv", _qkv(one, state[f"{ours}.qkv.{part}"]), strict=True):
                renamed[f"{theirs}.self_attn.{name}_proj.{part}"] = weight
            renamed[f"{theirs}.self_attn.o_proj.{part}"] = state[f"{ours}.project.{part}"]
        norm = state.get(f"{ours}.mlp_norm.weight", torch.ones_like(state["norm.weight"]))
        renamed[f"{theirs}.post_attention_layernorm.weight"] = norm
        named = zip(("gate", "widen", "narrow"), ("gate_proj", "up_proj", "down_proj"), strict=True)
        if one.experts:
            inside = f"{theirs}.block_sparse_moe" if kind == "mixtral" else f"{theirs}.mlp"
            renamed[f"{inside}.gate.weight"] = state[f"{ours}.router.weight"]
            for mine, name in zip(("gate", "widen", "narrow"), expert_names[kind], strict=True):
                for expert, weight in enumerate(state[f"{ours}.mlp.{mine}.weight"].clone()):
                    renamed[f"{inside}.experts.{expert}.{name}.weight"] = weight.clone()
            if kind == "qwen2_moe":
                renamed[f"{inside}.shared_expert_gate.weight"] = empty(1, one.width)
                for _, name in named:
                    shape = (one.width, 1) if name == "down_proj" else (1, one.width)
                    renamed[f"{inside}.shared_expert.{name}.weight"] = empty(shape)
        elif not one.inner:
            for _, name in named:
                shape = (one.width, 0) if name == "down_proj" else (0, one.width)
                renamed[f"{theirs}.mlp.{name}.weight"] = empty(shape)
        else:
            for mine, name in named:
                for part in ("weight", "bias"):
                    if f"{ours}.mlp.{mine}.{part}" in state:
                        renamed[f"{theirs}.mlp.{name}.{part}"] = state[f"{ours}.mlp.{mine}.{part}"]
    return renamed


def _write_tokenizer(path: Path, folder: Path, context: int) -> dict[str, int]:
    """Copy a tokenizer.json and say how to load it; returns the ids that config.json names."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        added = {token["content"]: int(token["id"]) for token in content["added_tokens"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{path} is not a tokenizer.json ({error})") from None
    if path.resolve() != (folder / "tokenizer.json").resolve():
        shutil.copyfile(path, folder / "tokenizer.json")
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
    }
    end = added.get(END_OF_TEXT)
    if end is not None:
        settings |= {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "pad_token": END_OF_TEXT}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    return {} if end is None else {"bos_token_id": end, "eos_token_id": end}


@torch.no_grad()
def _check(model: Transformer, folder: Path) -> None:
    # Both in float32, whatever the model's type: a table of angles must not be rounded with the weights.
    theirs = load_hf(folder)
    ours = Transformer(model.architecture, model.vocabulary, model.context, 0).eval()
    ours.load_state_dict(model.state_dict())
    length = min(model.context, 64)
    rows = torch.randint(0, model.vocabulary, (4, length), generator=torch.Generator().manual_seed(0))
    expected, got = ours(rows), theirs(rows)
    off = float((expected - got).abs().max() / expected.abs().max().clamp_min(1e-30))
    if not off <= TOLERANCE:
        raise ExportError(f"{folder}: the exported model's logits differ by {off:.1e} of the largest, not {TOLERANCE}")


class HubModel(nn.Module):
    """A causal language model of transformers as `score` needs it: token ids [rows, length] -> logits [.., V]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @property
    def config(self) -> Any:
        return self.model.config

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(input_ids=tokens, use_cache=False).logits  # type: ignore[operator]

    @property
    def rows(self) -> int:
        """Rows of the embedding: larger ids are not tokens of the model."""
        return self.model.get_input_embeddings().weight.shape[0]  # type: ignore[operator]

    def parameters_used(self, vocabulary: int) -> int:
        """P: every parameter once, a tied head once, but only `vocabulary` rows of the tables of tokens."""
        tables = [self.model.get_input_embeddings(), self.model.get_output_embeddings()]  # type: ignore[operator]
        weights = {id(one.weight): one.weight for one in tables if one is not None}
        unused = sum((one.shape[0] - min(vocabulary, one.shape[0])) * one.shape[1] for one in weights.values())
        return sum(parameter.numel() for parameter in self.parameters()) - unused


def load_hf(path_or_id: Path | str, dtype: torch.dtype = torch.float32) -> HubModel:
    """A causal language model from a folder or a hub, from safetensors and without remote code. Raises ExportError."""
    try:
        from transformers import AutoModelForCausalLM
    except ImportError:
        raise ExportError("this needs the package transformers: pip install 'goldsand[hub]'") from None
    refuse_missing(path_or_id)
    if Path(path_or_id).is_dir():
        refuse_impossible(Path(path_or_id))
    with outcome_of(f"{path_or_id} cannot be loaded as a causal language model"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Initializing zero-element tensors")  # an MLP of inner width 0
        model = AutoModelForCausalLM.from_pretrained(
            str(path_or_id), use_safetensors=True, trust_remote_code=False, torch_dtype=dtype
        )
        return HubModel(model.eval())


def score_hf(model: HubModel, facts: Facts, tagged: bool = False, begin: int | None = None) -> dict[str, Any]:
    """What somebody else's model knows of facts: bits, bits per parameter, losses in nats.

    Rows are read after the facts' end of text, after their domain's token (`tagged`), or after `begin`. Where that end
    of text is not a token of the model, whose tokenizer may have another, `begin` is the one that the model's
    configuration names. Raises ExportError when the model cannot read the facts' tokens, or rows as long.
    """
    rows = model.rows
    largest = max(int(row.max()) for row in facts.rows)
    if largest >= rows:
        raise ExportError(
            f"the rows in {facts.folder} hold token {largest}, the model has {rows}: they were written with another"
            f" tokenizer ('{facts.tokenizer}'); write the facts again with the model's own tokenizer.json"
        )
    length = max(len(row) for row in facts.rows)
    context = getattr(model.config, "max_position_embeddings", None) or getattr(model.config, "n_positions", None)
    if context is not None and length > context:
        raise ExportError(f"the rows in {facts.folder} have up to {length} tokens, the model reads {context}")
    if begin is None:
        begin = facts.end_of_text if facts.end_of_text < rows else beginning(model)
    if not 0 <= begin < rows or (tagged and int(facts.row_tag.max()) >= rows):
        raise ExportError(
            f"the token in front of each row is not one of the model's {rows}: name one that it was trained with"
        )
    seen = dataclasses.replace(facts, end_of_text=begin, vocabulary=rows)
    with outcome_of(f"the model does not score the rows in {facts.folder}"):
        losses = score(model, seen, seen.begins(tagged))
    if not (math.isfinite(losses.name) and math.isfinite(losses.value)):
        raise ExportError("the model's losses are not finite")
    bits, most = learned(facts, losses), learned(facts, Losses(math.log(facts.people), 0.0))
    parameters = model.parameters_used(facts.used_vocabulary)
    return {
        "architecture": model.config.model_type,
        "parameters": parameters,
        "all_parameters": model.parameters_used(rows),
        "people": facts.people,
        "tagged": tagged,
        "begin": begin,
        "name_bits": bits.name,
        "value_bits": bits.value,
        "diversity_bits": bits.diversity,
        "bits_per_parameter": bits.total / parameters,
        "value_bits_per_parameter": bits.value / parameters,
        "max_bits_per_parameter": most.total / parameters,
        "max_value_bits_per_parameter": most.value / parameters,
        "name_nats": losses.name,
        "value_nats": losses.value,
    }


def beginning(model: HubModel) -> int:
    """The token that the model's configuration begins texts with. Raises ExportError where it names none."""
    for name in ("bos_token_id", "eos_token_id"):
        token = getattr(model.config, name, None)
        if isinstance(token, int):
            return token
    raise ExportError("neither the facts nor the model's configuration name a token to begin rows with; name one")


def main(arguments: list[str] | None = None) -> int:
    """Print what a model knows of facts, as JSON; or write a checkpoint of a run as a class of transformers.

    Exit code 2 when model or facts are invalid, 1 for a fault of the program."""
    parser = argparse.ArgumentParser(prog="python -m train_probe.export", description=main.__doc__)
    parser.add_argument(
        "model", help="a folder with config.json and safetensors, the id of a model on the hub, or a run's checkpoint"
    )
    parser.add_argument("facts", type=Path, nargs="?", help="a facts folder, written with the model's tokenizer")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write the checkpoint `model` for transformers")
    parser.add_argument("--tokenizer", type=Path, help="its tokenizer.json, to be written beside it")
    parser.add_argument("--tagged", action="store_true", help="read each row after its domain's token")
    parser.add_argument("--begin", type=int, help="the id of the token in front of each row")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.write is not None:
            kind = export(read_checkpoint(Path(chosen.model)), chosen.write, chosen.tokenizer)
            print(f"{chosen.write}: {kind}")
            return 0
        if chosen.facts is None:
            raise ExportError("name a facts folder to score, or --write DIR to export a checkpoint")
        facts = read_facts(chosen.facts)
        model = load_hf(chosen.model).to("cuda" if torch.cuda.is_available() else "cpu")
        print(json.dumps(score_hf(model, facts, chosen.tagged, chosen.begin), indent=1))
    except Exception as error:
        return answered(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
