"""A GGUF file of a small Llama with random weights: converted in a second, where real ones take a minute."""

from pathlib import Path

import gguf
import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

WIDTH, HIDDEN, HEADS, BLOCKS = 32, 64, 4, 2


def write_gguf(file: Path) -> None:
    """Write the model; the same bytes each time."""
    tokens = [*sorted(ByteLevel.alphabet()), "ab", "<|end|>"]
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_merges(["a b"])
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_unk_token_id):
        add(len(tokens) - 1)
    generator = np.random.default_rng(0)
    shapes = {"token_embd": (len(tokens), WIDTH), "output": (len(tokens), WIDTH)}
    for block in range(BLOCKS):
        square = {f"blk.{block}.attn_{part}": (WIDTH, WIDTH) for part in ("q", "k", "v", "output")}
        gates = {f"blk.{block}.ffn_{part}": (HIDDEN, WIDTH) for part in ("gate", "up")}
        shapes |= square | gates | {f"blk.{block}.ffn_down": (WIDTH, HIDDEN)}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", generator.normal(0, 0.3, shape).astype(np.float32))
    norms = [
        "output_norm",
        *(f"blk.{block}.{part}_norm" for block in range(BLOCKS) for part in ("attn", "ffn")),
    ]
    for name in norms:
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
