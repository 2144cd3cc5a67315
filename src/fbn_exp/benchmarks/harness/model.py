"""Adapter of the loaded model to lm-evaluation-harness: split over ranks, tokenised once, packed."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch

from fbn_exp.benchmarks.harness.choices import Encoded, SharedContexts
from fbn_exp.benchmarks.harness.riders import Riders
from fbn_exp.core import ranks
from fbn_exp.models.language_model import LanguageModel

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM


def harness_model(lm: LanguageModel, batch_size: int | str, packed: bool) -> "HFLM":
    """Wrap the loaded model for lm-eval.

    Parameters
    ----------
    lm : LanguageModel
        Model, scored with the interventions that are active at the time.
    batch_size : int or str
        Batch size of lm-eval, a number or ``auto``.
    packed : bool
        Whether choices share a row with their context; otherwise they are scored in lm-eval's own rows.

    Returns
    -------
    HFLM
        Model that splits requests over ranks and tokenises every text once; ``remarks`` say where choices
        could not be packed.
    """
    from lm_eval.models.huggingface import HFLM

    class LoadedModel(HFLM):  # type: ignore[misc]
        """``HFLM`` that caches token ids, since a sweep scores the same texts every time."""

        def __init__(self) -> None:
            self._encoded: dict[Any, list[int]] = {}
            # lm-eval gives the tokenizer a padding token if it has none
            tokenizer = copy.deepcopy(lm.tokenizer)
            super().__init__(pretrained=lm.model, tokenizer=tokenizer, batch_size=batch_size)
            self._shared = SharedContexts(self) if packed else None
            self._riders: Riders | None = None

        @property
        def remarks(self) -> list[str]:
            return [] if self._shared is None else list(self._shared.remarks)

        # lm-eval treats a model that it has not loaded itself as rank 0 of 1

        @property
        def rank(self) -> int:
            return ranks.rank_and_size()[0]

        @property
        def world_size(self) -> int:
            return ranks.rank_and_size()[1]

        def all_gather(self, tensor: torch.Tensor) -> torch.Tensor:
            return torch.stack(ranks.gathered(tensor, "numbers of requests"))

        def gather_object(self, obj: Any, dst: int = 0) -> list[Any] | None:
            gathered = ranks.gathered(obj, "scores of lm-eval")
            return gathered if self.rank == dst else None

        def barrier(self) -> None:
            ranks.gathered(None, "answers to requests")

        def tok_encode(self, string: str, *args: Any, **kwargs: Any) -> list[int]:
            key = (string, args, tuple(sorted(kwargs.items())))
            if key not in self._encoded:
                self._encoded[key] = super().tok_encode(string, *args, **kwargs)
            return list(self._encoded[key])

        @contextmanager
        def riding(self, riders: Riders) -> Iterator[None]:
            """Answer for the edit whose turn it is, while no edit is on the model."""
            self._riders = riders
            try:
                yield
            finally:
                self._riders = None

        # all passes of lm-eval's own are made by these two

        def _model_call(self, *args: Any, **kwargs: Any) -> Any:
            with self._edited():
                return super()._model_call(*args, **kwargs)

        def _model_generate(self, *args: Any, **kwargs: Any) -> Any:
            with self._edited():
                return super()._model_generate(*args, **kwargs)

        def _edited(self) -> Any:
            return nullcontext() if self._riders is None else self._riders.alone()

        def _loglikelihood_tokens(
            self, requests: list[Any], disable_tqdm: bool = False, override_bs: int | None = None
        ) -> list[tuple[float, bool]]:
            plain = super()._loglikelihood_tokens
            # windows of a running text come with their own batch size
            if self._shared is None or override_bs is not None or not requests:
                answers: list[tuple[float, bool]] = plain(requests, disable_tqdm, override_bs)
                return answers

            def in_own_rows(some: Sequence[Encoded], aside: bool) -> list[tuple[float, bool]]:
                size = len(some) if aside else None
                answers: list[tuple[float, bool]] = plain(list(some), disable_tqdm or aside, size)
                return answers

            return self._shared.answers(requests, in_own_rows, disable_tqdm, self._riders)

    return LoadedModel()
