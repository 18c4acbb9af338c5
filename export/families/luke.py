"""LUKE without entities: only the words of a text, which its layers read exactly as BERT's do.

Its weights for entities (entity_embeddings, w2e_query, e2w_query, e2e_query) are not exported. Positions begin after
the padding token's, as in the RoBERTa from which it was made; classification uses the pooler, as in BERT.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from transformers import LukeConfig, PretrainedConfig

from app.types import Task
from export.families.bert import Bert


class Luke(Bert):
    config_class: ClassVar[type[PretrainedConfig]] = LukeConfig
    architectures: ClassVar[Mapping[Task, str]] = {
        "qa": "LukeForQuestionAnswering",
        "classify": "LukeForSequenceClassification",
        "rerank": "LukeForSequenceClassification",
        "multiple-choice": "LukeForMultipleChoice",
        "token-classification": "LukeForTokenClassification",
        "summarize": "LukeForTokenClassification",
    }
    encoder_name = "luke"

    def __init__(self, config: Any, task: Task, first_position: int | None = None) -> None:
        super().__init__(config, task, config.pad_token_id + 1 if first_position is None else first_position)
