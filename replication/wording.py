"""Claims and verdicts in the words of the document: each stands alone, and names no model."""

import re

from step import MODELS, Step
from verdicts import STABLE, TUNED

# topics of the paper's claims, with the steps that they are judged by
TOPICS = {
    "Recurrence": ("consistency", "consistency_stable"),
    "Lesions": ("lesion", "lesion_tasks", "lesion_stable"),
    "Single networks": ("lesion_single", "lesion_functions"),
    "Preservation": ("preservation",),
    "Written texts": ("generation", "generation_share"),
    "Amplification": ("amplification", "amplification_tasks"),
    "Fine-tuned classifiers": ("tuned_lesion", "tuned_lesion_single"),
}
RAW, SCORED = "raw", "z-scored"
EFFECT = r"which could have seen an effect of (\.?\d[\d.e+]*(?: to [\d.e+]*\d)?(?: beyond [a-z ]+)?)(?=\W|$)"
TASKS = r", (?!which|where)(.+?)"


def topic_of(step: str) -> str:
    """Return the topic of the claims that a step is about."""
    return next(topic for topic, steps in TOPICS.items() if step in steps)


def networks_of(step: str) -> str:
    """Return the networks of a step: of raw signals, or of the default ones."""
    return SCORED if step == "ica" or "stable" in step else RAW


def about_networks(step: Step) -> str:
    """Sentence on the networks of a step; empty for steps that have none, or both."""
    if step.name in ("networks", "classifiers"):
        return ""
    if networks_of(step.name) == SCORED:
        return "Z-scored networks: first tokens are left out, neurons are z-scored (the default).\n"
    return "Raw networks.\n"


def whole_claim(claim: str) -> str:
    """Return a claim without a remark on networks or model that stands elsewhere."""
    return claim.replace(STABLE, "").replace(TUNED, "")


def without_model(text: str) -> str:
    """Return a verdict without the names of models, which its column has, and with its tasks in brackets."""
    for model in MODELS.values():
        # the name of a checkpoint has hyphens, and classifiers are named by the option of their model
        name = re.escape(model.name).replace(r"\ ", "[ -]")
        name = f"(?:{name}|{re.escape(model.option)})"
        for pattern, words in (
            (rf" on {name}{TASKS}, {EFFECT}", r" (\1; an effect of \2 could have been seen)"),
            (rf",? on {name}, {EFFECT}", r" (an effect of \1 could have been seen)"),
            (rf" on {name}{TASKS}(?=, which|, where|[:;.]|$)", r" (\1)"),
            (rf" on {name}(?=\W|$)", ""),
            (rf"{name}, ", ""),
        ):
            text = re.sub(pattern, words, text, flags=re.IGNORECASE)
    return text


def linked(verdict: str, step: str) -> str:
    """Return a verdict whose first words are a link to the section of a step."""
    head = re.match(r"[^(:;,]*[^(:;, ]", verdict)
    words = head[0] if head else verdict
    return f"[{words}](#{step}){verdict[len(words) :]}"
