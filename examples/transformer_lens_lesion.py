"""Silence a network: python examples/transformer_lens_lesion.py MODEL networks/neurons.json 3.

MODEL is a hub id or a folder that transformers loads. fbn_exp is not needed; TransformerLens 3 or later is,
whose bridge runs the modules of transformers under its own names of hooks.
"""

import json
import sys
from functools import partial
from pathlib import Path

import torch
from transformer_lens.model_bridge import TransformerBridge

TEXT = "The train left the station at"
# site of fbn_exp -> hook of a block; mlp_hidden is the input of the down projection
HOOKS = {
    "mlp_output": "hook_mlp_out",
    "attention_output": "hook_attn_out",
    "block_output": "hook_resid_post",
    "mlp_hidden": "mlp.out.hook_in",
}


def silence(activations: torch.Tensor, hook: object, neurons: list[int]) -> torch.Tensor:
    """Activations with some neurons at 0."""
    return activations.index_fill(-1, torch.tensor(neurons, device=activations.device), 0)


def hooks_of(told: dict, network: int) -> list[tuple[str, partial]]:
    """Hooks that silence a network, as run_with_hooks takes them."""
    blocks = list(told["modules"])
    return [
        (f"blocks.{blocks.index(path)}.{HOOKS[told['site']]}", partial(silence, neurons=neurons))
        for path, neurons in told["networks"][network]["neurons"].items()
    ]


def main() -> None:
    """Print the next token, untouched and with the network silenced."""
    name, file, network = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    told = json.loads(file.read_text(encoding="utf-8"))
    model = TransformerBridge.boot_transformers(name, device="cpu")
    tokens = model.to_tokens(TEXT)
    with torch.no_grad():
        untouched = model(tokens)
        silenced = model.run_with_hooks(tokens, fwd_hooks=hooks_of(told, network))
    for title, logits in (("untouched", untouched), ("silenced", silenced)):
        print(f"{title}: {TEXT}{model.tokenizer.decode(logits[0, -1].argmax())}")


if __name__ == "__main__":
    main()
