"""RoBERTa and XLM-R: BERT without a pooler for classification, and with positions that begin after the padding token's.

`first_position` is `pad_token_id + 1` unless an option of the export changes it: rinna's model was trained with 0.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, RobertaConfig, XLMRobertaConfig

from app.types import Task
from export.attention import wide
from export.families.bert import Bert


class ClassificationHead(nn.Module):
    """Dense, tanh and projection of the first token's state."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, first: Tensor) -> Tensor:
        logits: Tensor = self.out_proj(wide(torch.tanh(self.dense(first))))
        return logits  # (D, labels)


class Roberta(Bert):
    config_class: ClassVar[type[PretrainedConfig]] = RobertaConfig
    architectures: ClassVar[Mapping[Task, str]] = {
        "qa": "RobertaForQuestionAnswering",
        "classify": "RobertaForSequenceClassification",
        "rerank": "RobertaForSequenceClassification",
        "multiple-choice": "RobertaForMultipleChoice",
        "token-classification": "RobertaForTokenClassification",
        "summarize": "RobertaForTokenClassification",
    }
    encoder_name = "roberta"
    pooled_tasks: ClassVar[tuple[Task, ...]] = ("multiple-choice",)

    def __init__(self, config: Any, task: Task, first_position: int | None = None) -> None:
        super().__init__(config, task, config.pad_token_id + 1 if first_position is None else first_position)

    def build_classifier(self, config: PretrainedConfig, task: Task) -> nn.Module:
        if task in ("classify", "rerank"):
            return ClassificationHead(config)
        return super().build_classifier(config, task)


class XlmRoberta(Roberta):
    config_class: ClassVar[type[PretrainedConfig]] = XLMRobertaConfig
    architectures: ClassVar[Mapping[Task, str]] = {
        task: name.replace("Roberta", "XLMRoberta") for task, name in Roberta.architectures.items()
    }
