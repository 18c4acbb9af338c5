"""requests, as most scripts use it, against the formats of Text Embeddings Inference and KServe in JSON."""

from collections.abc import Iterator

import pytest
import requests

from tests.e2e.conftest import Server


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.trust_env = False  # no proxy for a local address
        yield opened


def test_predict(server: Server, session: requests.Session) -> None:
    single = session.post(f"{server.url}/predict", json={"inputs": "東京は日本の首都である。"}, timeout=60)
    batch = session.post(
        f"{server.url}/predict", json={"inputs": [["東京は日本の首都である。"], ["甲", "乙"]]}, timeout=60
    )
    assert {label["label"] for label in single.json()} == {"BLD", "HST", "PNM"}
    assert [len(labels) for labels in batch.json()] == [3, 3]
    assert [label["label"] for label in batch.json()[0]] == [label["label"] for label in single.json()]
    assert int(batch.headers["x-compute-tokens"]) > int(single.headers["x-compute-tokens"])
    refused = session.post(f"{server.url}/predict", json={"inputs": "文" * 300_001}, timeout=60)
    assert (refused.status_code, refused.json()["error_type"]) == (413, "Validation")


def test_kserve_in_json(server: Server, session: requests.Session) -> None:
    tensor = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["一つ目。", "二つ目。"]}
    answer = session.post(f"{server.url}/v2/models/tiny-summarize/infer", json={"inputs": [tensor]}, timeout=60)
    assert answer.json() == {
        "model_name": "tiny-summarize",
        "model_version": "1",
        "outputs": [{"name": "summary", "datatype": "BYTES", "shape": [2], "data": ["一つ目。", "二つ目。"]}],
    }
