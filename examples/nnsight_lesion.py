"""Silence a network in nnsight: python examples/nnsight_lesion.py MODEL networks/neurons.json 3.

MODEL is a hub id or a folder that transformers loads. fbn_exp is not needed.
"""

import json
import sys
from pathlib import Path

import torch
from nnsight import LanguageModel

TEXT = "The train left the station at"


def envoy_at(model: LanguageModel, path: str) -> object:
    """Module of a path such as model.layers.3.mlp, as nnsight wraps it."""
    place = model
    for part in path.split("."):
        place = place[int(part)] if part.isdigit() else getattr(place, part)
    return place


def lesioned_logits(model: LanguageModel, told: dict, network: int, text: str) -> torch.Tensor:
    """Logits with the members of a network at 0."""
    members = told["networks"][network]["neurons"]
    with torch.no_grad(), model.trace(text):
        # modules in the order in which the model runs them
        for path, neurons in members.items():
            module = envoy_at(model, path)
            if told["tensor"] == "output":
                module.output[..., neurons] = 0
            else:
                module.input[..., neurons] = 0
        logits = model.output.logits.save()
    return logits  # noqa: RET504 - it has its value when the context closes


def main() -> None:
    """Print the next token, untouched and with the network silenced."""
    name, file, network = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    told = json.loads(file.read_text(encoding="utf-8"))
    model = LanguageModel(name, device_map="cpu")
    with torch.no_grad(), model.trace(TEXT):
        untouched = model.output.logits.save()
    for title, logits in (
        ("untouched", untouched),
        ("silenced", lesioned_logits(model, told, network, TEXT)),
    ):
        print(f"{title}: {TEXT}{model.tokenizer.decode(logits[0, -1].argmax())}")


if __name__ == "__main__":
    main()
