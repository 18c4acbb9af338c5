"""Requests that work, for /docs and for the greeting of `nagayomi serve`, and the answers of the shipped models.

This module knows the formats of requests, and does not know the code that reads them.
"""

from typing import Any

from app.types import Task

Examples = dict[str, dict[str, Any]]  # as OpenAPI has them: a name, and `value`

REQUESTS: dict[Task, dict[str, Any]] = {
    "qa": {
        "question": "富士山の高さは何メートルですか",
        "context": "富士山は静岡県と山梨県にまたがる火山である。高さは3776メートルで、日本で最も高い。",
    },
    "summarize": {
        "text": "雨がやんだ。町の人々は橋を直しはじめた。橋は三日で直った。子どもたちが最初に渡った。",
        "max_sentences": 1,
    },
    "classify": {"text": "金閣寺は京都にある禅宗の寺院で、世界遺産に登録されている。", "top_k": 3},
}
_OTHER_TEXT = "橋の工事は来年の三月に終わる予定である。"


def of_task(task: Task) -> Examples:
    """A text, several documents, and Hugging Face's payload."""
    request = REQUESTS[task]
    field = "context" if task == "qa" else "text"
    options = {name: value for name, value in request.items() if name != field}
    documents = [{"text": request[field]}, {"id": "工事", "text": _OTHER_TEXT}]
    inputs = {name: request[name] for name in ("question", "context")} if task == "qa" else request["text"]
    return {
        "text": {"summary": "One text", "value": request},
        "documents": {"summary": "Several texts", "value": {**options, "documents": documents}},
        "hugging_face": {"summary": "The payload of Hugging Face", "value": {"inputs": inputs, "parameters": {}}},
    }


def form_of(task: Task) -> dict[str, Any]:
    """The fields of a form with files: the request without its text."""
    return {name: value for name, value in REQUESTS[task].items() if name not in ("context", "text")}


EXTRACT_FORM: dict[str, Any] = {"boxes": True, "offset_unit": "codepoint"}
RENDER_FORM: dict[str, Any] = {"page": 1, "width": 1000}

ROOT: Examples = {"question": {"summary": "A question", "value": of_task("qa")["hugging_face"]["value"]}}
PREDICT: Examples = {"text": {"summary": "One text", "value": {"inputs": REQUESTS["classify"]["text"]}}}


def tensors_of(task: Task) -> dict[str, Any]:
    """The same request as tensors of the KServe V2 protocol."""
    names = ("question", "context") if task == "qa" else ("text",)
    return {
        "inputs": [{"name": name, "shape": [1], "datatype": "BYTES", "data": [REQUESTS[task][name]]} for name in names]
    }


TENSORS: Examples = {"qa": {"summary": "For a model that answers questions", "value": tensors_of("qa")}}


# The answers of the shipped models, without fields that are null. Timings depend on the machine.
_TIMINGS: dict[str, float] = {"tokenize_ms": 0.5, "queue_ms": 0.1, "infer_ms": 12.4, "decode_ms": 0.5, "total_ms": 13.5}
ANSWERED: dict[Task, dict[str, Any]] = {
    "qa": {
        "usage": {"tokens": 43, "windows": 1},
        "model": "nagayomi-small-ja-qa",
        "timings": _TIMINGS,
        "results": [
            {
                "question": "富士山の高さは何メートルですか",
                "answers": [
                    {
                        "text": "3776メートル",
                        "start": 25,
                        "end": 33,
                        "score": 0.828,
                        "sentence": {"text": "高さは3776メートルで、日本で最も高い。", "start": 22, "end": 43},
                    }
                ],
                "null_score": 0.147,
                "score_diff": -5.287,
            }
        ],
    },
    "summarize": {
        "usage": {"tokens": 39, "windows": 1},
        "model": "nagayomi-small-ja-summarize",
        "timings": _TIMINGS,
        "summary": "町の人々は橋を直しはじめた。",
        "sentences": [
            {"text": "雨がやんだ。", "start": 0, "end": 6, "index": 0, "score": 0.007, "selected": False, "cut": False},
            {
                "text": "町の人々は橋を直しはじめた。",
                "start": 6,
                "end": 20,
                "index": 1,
                "score": 0.082,
                "selected": True,
                "cut": False,
            },
            {
                "text": "橋は三日で直った。",
                "start": 20,
                "end": 29,
                "index": 2,
                "score": 0.05,
                "selected": False,
                "cut": False,
            },
            {
                "text": "子どもたちが最初に渡った。",
                "start": 29,
                "end": 42,
                "index": 3,
                "score": 0.019,
                "selected": False,
                "cut": False,
            },
        ],
    },
    "classify": {
        "usage": {"tokens": 26, "windows": 1},
        "model": "nagayomi-small-ja-classify",
        "timings": _TIMINGS,
        "labels": [
            {"label": "SAT", "name": "神社仏閣", "score": 0.853},
            {"label": "LTT", "name": "文学", "score": 0.038},
            {"label": "BDS", "name": "仏教", "score": 0.029},
        ],
    },
}

# Jobs over the request of /qa, as /jobs/{job_id} shows them.
JOB_STARTED: dict[str, Any] = {
    "id": "Zv3cXyWk0Q2f7mJd5sRt1A",
    "status": "running",
    "windows": None,
    "windows_done": 0,
    "error": None,
    "result": None,
}
JOBS: Examples = {
    "running": {"summary": "A job that runs", "value": {**JOB_STARTED, "windows": 12, "windows_done": 5}},
    "done": {
        "summary": "A job that is done",
        "value": {**JOB_STARTED, "status": "done", "windows": 1, "windows_done": 1, "result": ANSWERED["qa"]},
    },
    "failed": {
        "summary": "A job that failed",
        "value": {
            **JOB_STARTED,
            "status": "failed",
            "error": {"error": "The text of a.txt holds only invisible characters.", "error_type": "invalid_input"},
        },
    },
}
JOB_EVENTS = """event: progress
data: {"id":"Zv3cXyWk0Q2f7mJd5sRt1A","status":"running","windows":12,"windows_done":5,"error":null,"result":null}
"""
