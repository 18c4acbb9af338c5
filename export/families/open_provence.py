"""OpenProvence: a reranker with a second head that says of every token whether it supports the query.

Its configuration holds the configuration of the reranker, of any family; its weights are the reranker's and two rows
for the tokens. The second head reads the states of the last layer before the final norm: transformers'
hidden_states[-1]. The checkpoints come with code of their own, which is not needed and never run.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn
from transformers import PretrainedConfig

from app.types import Task
from export.attention import wide
from export.encoder import EncoderModel


class OpenProvenceConfig(PretrainedConfig):
    model_type = "open_provence"

    def __init__(self, base_model_config: dict[str, Any] | None = None, **kwargs: Any) -> None:
        kwargs.pop("auto_map", None)  # names code that no export keeps
        super().__init__(**kwargs)
        self.base_model_config = base_model_config or {}


class PruningHead(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(hidden, 2)

    def forward(self, states: Tensor) -> Tensor:
        logits: Tensor = self.classifier(states)
        return logits  # (1, T, 2): drop, keep


class OpenProvence(EncoderModel):
    """A reranker and the head for evidence.

    Args:
        ranking_model: the reranker, of the family that `base_model_config` names.
    """

    config_class: ClassVar[type[PretrainedConfig]] = OpenProvenceConfig
    architectures: ClassVar[Mapping[Task, str]] = {"evidence": "OpenProvenceForSequenceClassification"}

    def __init__(self, config: Any, task: Task, ranking_model: EncoderModel) -> None:
        super().__init__()
        self.config = config
        self.task = task
        self.layer_kinds, self.max_tokens = ranking_model.layer_kinds, ranking_model.max_tokens
        self.pools_means = ranking_model.pools_means
        self.ranking_model = ranking_model
        self.pruning_head = PruningHead(ranking_model.config.hidden_size)

    @property
    def encoder_config(self) -> Any:
        return self.ranking_model.encoder_config

    @property
    def embedding_inputs(self) -> tuple[str, ...]:
        return self.ranking_model.embedding_inputs

    def states(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return self.ranking_model.states(inputs)

    def logits(self, states: Tensor, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return (*self.ranking_model.logits(states, inputs), self.pruning_head(wide(states)))
