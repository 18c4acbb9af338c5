"""Settings: their sources, their errors, and an explanation for each."""

import pytest
from pydantic import ValidationError

from app.errors import InvalidInput
from app.settings import Settings, settings_from, without_effect


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"NAGAYOMI_{name.upper()}", raising=False)


def test_defaults_need_nothing() -> None:
    settings = Settings()
    assert settings.host == "127.0.0.1"
    assert settings.max_queue_tokens >= settings.max_request_tokens


def test_environment_and_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAGAYOMI_PORT", "9000")
    monkeypatch.setenv("NAGAYOMI_MODELS", "a, b,")
    monkeypatch.setenv("NAGAYOMI_PROVIDER", "cuda")
    settings = Settings(provider="cpu")
    assert (settings.port, settings.models, settings.provider) == (9000, ("a", "b"), "cpu")


def test_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 70000},
        {"max_batch_tokens": 0},
        {"request_timeout_s": 0},
        {"request_timeout_s": float("inf")},
        {"provider": "tpu"},
        {"prot": 1},
        {"max_queue_tokens": 10, "max_request_tokens": 11},
        {"max_key_tokens": 10, "api_keys": ("web:" + 64 * "0",)},
        {"max_key_requests": 0},
        {"log_format": "xml"},
        {"cors_origins": "example.jp"},
        {"cors_origins": "https://example.jp/"},
        {"cors_origins": "https://example.jp, null"},
        {"cors_origins": "https://*.example.jp"},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)  # type: ignore[arg-type]


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAGAYOMI_API_KEYS", "web:0, batch:1")
    monkeypatch.setenv("NAGAYOMI_CORS_ORIGINS", "https://example.jp,http://localhost:3000,http://[::1]:3000,*")
    settings = Settings()
    assert settings.api_keys == ("web:0", "batch:1")
    assert settings.cors_origins == ("https://example.jp", "http://localhost:3000", "http://[::1]:3000", "*")


def test_a_key_is_needed_as_soon_as_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Settings().needs_key
    assert Settings(api_keys_file="keys.txt").needs_key
    monkeypatch.setenv("NAGAYOMI_API_KEYS", "")
    assert not Settings().needs_key
    monkeypatch.setenv("NAGAYOMI_API_KEYS", "web:0")
    assert Settings().needs_key


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (["HOME", "NAGAYOMI_PORT", "nagayomi_port"], None),
        (["NAGAYOMI_API_KEY_FILE"], "NAGAYOMI_API_KEY_FILE (NAGAYOMI_API_KEYS_FILE is one)"),
        (["NAGAYOMI_SERVICE_HOST", "NAGAYOMI_"], "NAGAYOMI_, NAGAYOMI_SERVICE_HOST"),
    ],
)
def test_variables_that_are_no_settings_are_named(variables: list[str], sentence: str | None) -> None:
    expected = None if sentence is None else f"These variables are no settings and have no effect: {sentence}."
    assert without_effect(variables) == expected


def test_the_port_that_kubernetes_sets_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAGAYOMI_PORT", "tcp://10.0.0.1:80")
    with pytest.raises(InvalidInput) as error:
        settings_from({})
    assert str(error.value) == (
        "NAGAYOMI_PORT must be a number. Kubernetes sets this variable for a service named nagayomi; give the pod "
        "enableServiceLinks: false, or the service another name."
    )


def test_every_field_says_what_it_does() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
