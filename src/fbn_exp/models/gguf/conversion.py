"""Convert a GGUF model once to a safetensors checkpoint."""

import json
import logging
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig

from fbn_exp.core.errors import FbnError, ModelError
from fbn_exp.core.files import changed_files, file_digest, in_words, new_folder, write_json
from fbn_exp.core.locks import held
from fbn_exp.models.gguf.tokenizer import gemma_tokenizer

log = logging.getLogger(__name__)

# sha256 of every file of a converted model, by its name
DIGESTS = "digests.json"
MAGIC = b"GGUF"
# no model has as many; a damaged header can claim billions, and each takes a millisecond to lay out
MOST_BLOCKS = 2_000
# the tightest quantisation takes one and a half bits for a weight
WEIGHTS_PER_BYTE = 8


def converted(file: Path, cache: Path) -> Path:
    """Convert a GGUF file to float32 safetensors, unless the cache holds the result; return its folder.

    transformers takes a minute or more to unpack the weights of a small model; the converted checkpoint
    loads in a second.

    Parameters
    ----------
    file : Path
        A ``.gguf`` file.
    cache : Path
        Folder of converted models, named by file name and digest.

    Returns
    -------
    Path
        Folder that ``from_pretrained`` loads.

    Raises
    ------
    ModelError
        If there is no such file, or transformers cannot read it.
    """
    if not file.is_file():
        raise ModelError(f"model.name: no such file: {file}")
    with file.open("rb") as opened:
        if (start := opened.read(len(MAGIC))) != MAGIC:
            raise ModelError(f"{file} is not a GGUF file: it starts with {start!r}, not with {MAGIC!r}")
    digest = file_digest(file)
    folder = cache / f"{file.stem}-{digest[:12]}"
    if _intact(folder):
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with held(folder):
        if not _intact(folder):
            if folder.exists():
                log.warning("%s is damaged or of an older version: it is converted again", folder)
            log.info("converting %s to safetensors, once: a minute or more", file.name)
            with new_folder(folder) as partial:
                _convert(file, partial)
                digests = {path.name: file_digest(path) for path in sorted(partial.iterdir())}
                write_json(partial / DIGESTS, digests)
    return folder


def _intact(folder: Path) -> bool:
    """Return True if a converted model is there, and every file of it is the one that was written."""
    try:
        digests = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        return bool(digests) and not changed_files(folder, digests)
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def _convert(file: Path, folder: Path) -> None:
    # GgufConfig exists only in releases of transformers that keep weights packed by default
    import transformers

    packed = getattr(transformers, "GgufConfig", None)
    options = {"quantization_config": packed(dequantize=True)} if packed else {}
    try:
        config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name)
        _require_plausible(config, file)
        if config.model_type.startswith("gemma"):
            tokenizer = gemma_tokenizer(file)
        else:
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, **options)
    except FbnError:
        raise
    # the readers of transformers and tokenizers raise anything for a damaged file, bare Exception included
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ModelError(f"cannot read {file.name} as a GGUF model: {reason}") from error
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _require_plausible(config: PreTrainedConfig, file: Path) -> None:
    """Refuse a header that describes a model which its file cannot hold: memory and hours would go into it.

    Raises
    ------
    ModelError
        If it has too many blocks, or more weights than bits.
    """
    blocks = config.get_text_config().num_hidden_layers
    if blocks > MOST_BLOCKS:
        raise ModelError(f"{file} describes a model of {blocks:,} blocks: the file is damaged")
    with torch.device("meta"):
        described = AutoModelForCausalLM.from_config(config)
    size = file.stat().st_size
    if (weights := described.num_parameters()) > WEIGHTS_PER_BYTE * size:
        raise ModelError(
            f"{file} describes a model of {weights:,} weights, which its {in_words(size)} cannot hold: "
            "the file is damaged or incomplete"
        )
