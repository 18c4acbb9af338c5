"""The tasks that the service answers, by name: those with an endpoint, and all of them.

This module knows the tasks, and does not know their callers.
"""

from typing import Any

from app.tasks.base import TaskSpec
from app.tasks.classify import CLASSIFY
from app.tasks.evidence import EVIDENCE
from app.tasks.qa import QA
from app.tasks.rerank import RERANK
from app.tasks.summarize import SUMMARIZE
from app.types import Task

TASKS: dict[Task, TaskSpec[Any, Any, Any]] = {task.name: task for task in (QA, SUMMARIZE, CLASSIFY)}
ANSWERED: dict[Task, TaskSpec[Any, Any, Any]] = {**TASKS, RERANK.name: RERANK, EVIDENCE.name: EVIDENCE}
