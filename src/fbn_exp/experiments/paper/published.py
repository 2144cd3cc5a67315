"""Numbers published in the paper: arXiv 2502.20408, version 1.

The abstract of a later version says that amplifying networks enhances performance; no readable source gives
the factors or scores, so none are listed here.
"""

import pandas as pd

from fbn_exp.experiments.config import PaperTable

# GPT-2, fine-tuned for each task, accuracy (F1 for SQuAD): no lesion, 15% of neurons at random, ten networks
LESION = pd.DataFrame(
    [
        ("CoLA", 0.7776, 0.7383, 0.5772),
        ("MRPC", 0.7941, 0.7941, 0.7377),
        ("QQP", 0.8758, 0.8717, 0.8104),
        ("SST-2", 0.9163, 0.9083, 0.5436),
        ("MNLI", 0.6847, 0.6879, 0.5995),
        ("QNLI", 0.8746, 0.8569, 0.6811),
        ("AGNews", 0.8614, 0.8487, 0.5557),
        ("SQuAD (F1)", 0.3397, 0.3154, 0.1342),
    ],
    columns=["task", "untouched", "random 15%", "networks set to 0"],
)

# the same model on AGNews, one network at a time
LESION_SINGLE = pd.DataFrame(
    {
        "network": range(10),
        "neurons": [37, 21, 57, 29, 36, 29, 15, 55, 15, 72],
        "accuracy": [0.8538, 0.6643, 0.8391, 0.8439, 0.5749, 0.8500, 0.8482, 0.7042, 0.6753, 0.8471],
    }
)

# the same model on AGNews; of 9,216 neurons
PRESERVATION = pd.DataFrame(
    {
        "networks": [10, 64, 128, 256, 512],
        "neurons kept": [86, 394, 830, 1_281, 1_606],
        "accuracy": [0.6849, 0.7039, 0.8462, 0.8596, 0.8613],
    }
)

# largest count of one template among 1,000 networks of 100 single texts, over four corpora
CONSISTENCY = pd.DataFrame(
    {
        "model": ["GPT-2", "Qwen2.5-3B-Instruct", "ChatGLM3-6B-base"],
        "largest count of a template, of 1,000": ["208", "at most 73", "at most 8"],
        "chance": ["not given", "not given", "not given"],
    }
)

PUBLISHED = {
    PaperTable.lesion: LESION,
    PaperTable.lesion_single: LESION_SINGLE,
    PaperTable.preservation: PRESERVATION,
    PaperTable.consistency: CONSISTENCY,
}

CAPTIONS = {
    PaperTable.lesion: "The paper: GPT-2 fine-tuned for each task, accuracy",
    PaperTable.lesion_single: "The paper: GPT-2 fine-tuned on AGNews, untouched .8614, one network set to 0",
    PaperTable.preservation: "The paper: GPT-2 fine-tuned on AGNews, untouched .8614, all else set to 0",
    PaperTable.consistency: "The paper: AGNews, WikiText-2, MathQA, CodeNet; pairs with IoU > .2",
    PaperTable.amplification: "The paper gives no figures of amplification in the version that can be read.",
    PaperTable.generation: "The paper shows texts (its figures 4 and 5), no measures.",
}
