"""Keys: how they are made and read, whose token is whose, and what one key may use at once."""

import hashlib
from pathlib import Path

import pytest
from starlette.requests import Request

from app.errors import InvalidInput, KeyLimit, Unauthorized
from app.http.auth import Key, KeyRing, check_exposure, new_key, read_keys
from app.http.request import KEY_HOLDER, caller_of
from app.service import ANYBODY
from app.settings import Settings

DIGEST = "ab" * 32
OTHER = "cd" * 32


def test_a_new_key_is_kept_as_a_hash_alone() -> None:
    token, entry = new_key("web-1")
    assert token.startswith("nagayomi_")
    assert len(token) == len("nagayomi_") + 43, "256 bits in base64"
    assert entry == f"web-1:{hashlib.sha256(token.encode()).hexdigest()}"
    assert token != new_key("web-1")[0]


@pytest.mark.parametrize("name", ["", "a b", "名前", "a:b", "a,b", "x" * 65, "a\n", '"'])
def test_a_name_must_fit_into_logs_and_metrics(name: str) -> None:
    with pytest.raises(InvalidInput, match="A key's name must be 1 to 64 ASCII letters"):
        new_key(name)


def test_the_file_has_a_key_per_line_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(f"# who: the web site\n\n  web:{DIGEST}\r\n#old:{OTHER}\nbatch:{OTHER}", encoding="utf-8")
    keys = read_keys(Settings(api_keys_file=file, api_keys=(f"env:{'ef' * 32}",)))
    assert keys == [
        Key("env", bytes.fromhex("ef" * 32)),
        Key("web", bytes.fromhex(DIGEST)),
        Key("batch", bytes.fromhex(OTHER)),
    ]


def test_without_keys_there_are_none() -> None:
    assert read_keys(Settings()) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "holds no key, so no client could send a request."),
        ("# nothing\n", "holds no key"),
        ("\n  \nnagayomi_secret\n", "Line 3 of {file} is not NAME:SHA-256"),
        (f"web:{DIGEST.upper()}", "Line 1 of {file} is not NAME:SHA-256"),
        (f"web:{DIGEST}0", "Line 1 of {file} is not NAME:SHA-256"),
        (f"\ufeffweb:{DIGEST}", "Line 1 of {file} is not NAME:SHA-256"),
        (f"web:{DIGEST}\nweb:{OTHER}", "Two keys are named web"),
        (f"web:{DIGEST}\nbatch:{DIGEST}", "Two keys have the same SHA-256"),
    ],
)
def test_a_file_that_cannot_be_used(content: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput) as raised:
        read_keys(Settings(api_keys_file=file))
    assert sentence.format(file=file) in str(raised.value)
    assert "secret" not in str(raised.value), "what stands there may be a token"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"missing\.txt cannot be read: No such file or directory\."):
        read_keys(Settings(api_keys_file=tmp_path / "missing.txt"))
    with pytest.raises(InvalidInput, match=r"cannot be read: Is a directory\."):
        read_keys(Settings(api_keys_file=tmp_path))
    (tmp_path / "utf16.txt").write_bytes("web".encode("utf-16"))
    with pytest.raises(InvalidInput, match=r"cannot be read: it is not UTF-8\."):
        read_keys(Settings(api_keys_file=tmp_path / "utf16.txt"))


def test_a_token_in_the_setting_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInput, match="Entry 2 of api_keys is not NAME:SHA-256") as raised:
        read_keys(Settings(api_keys=(f"web:{DIGEST}", "nagayomi_secret")))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "::ffff:127.0.0.1", "example.jp", "localhost.jp"])
def test_strangers_are_let_in_only_when_that_is_meant(host: str) -> None:
    with pytest.raises(InvalidInput, match=f"Other machines can reach {host}, and no key is required") as raised:
        check_exposure(Settings(host=host))
    assert "--api-keys-file" in str(raised.value)
    assert "--allow-unauthenticated" in str(raised.value)
    check_exposure(Settings(host=host, allow_unauthenticated=True))
    check_exposure(Settings(host=host, api_keys=(f"web:{DIGEST}",)))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_alone_needs_no_key(host: str) -> None:
    check_exposure(Settings(host=host))


def ring(**limits: int) -> tuple[KeyRing, bytes, bytes]:
    """Two keys, web and batch, and their tokens."""
    (web, web_entry), (batch, batch_entry) = new_key("web"), new_key("batch")
    settings = Settings(api_keys=(web_entry, batch_entry), **limits)  # type: ignore[arg-type]
    return KeyRing(read_keys(settings), settings), web.encode(), batch.encode()


def test_a_token_finds_its_owner() -> None:
    keys, web, batch = ring()
    assert keys.find(web).name == "web"
    assert keys.find(batch).name == "batch"
    assert [holder.name for holder in keys.holders] == ["web", "batch"]


def test_a_wrong_token_finds_no_holder() -> None:
    keys, web, _ = ring()
    for token in (web[:-1], web + b"x", web.upper(), b"\xff\x00", hashlib.sha256(web).hexdigest().encode()):
        with pytest.raises(Unauthorized, match="This server does not know the key") as wrong:
            keys.find(token)
        assert wrong.value.headers == {"WWW-Authenticate": 'Bearer realm="nagayomi", error="invalid_token"'}
    for nothing in (None, b""):
        with pytest.raises(Unauthorized, match="This server requires a key") as missing:
            keys.find(nothing)
        assert missing.value.headers == {"WWW-Authenticate": 'Bearer realm="nagayomi"'}


def test_requests_at_once_are_counted_for_each_key() -> None:
    keys, _, _ = ring(max_key_requests=2)
    web, batch = keys.holders
    with web.request(), web.request():
        with pytest.raises(KeyLimit, match="2 requests with the key web are being answered; 2 are allowed") as raised:
            web.request().__enter__()
        assert raised.value.headers == {"Retry-After": "1"}
        with batch.request():
            assert (web.requests, batch.requests) == (2, 1)
    assert (web.requests, batch.requests) == (0, 0)
    with web.request():
        pass


def test_tokens_are_held_until_they_are_done_or_failed() -> None:
    keys, _, _ = ring(max_key_tokens=100, max_request_tokens=100)
    (web, _) = keys.holders
    with web.hold_tokens(60):
        with pytest.raises(KeyLimit, match="have 60 tokens waiting or running and this one would add 41; 100 are"):
            web.hold_tokens(41).__enter__()
        with web.hold_tokens(40):
            assert web.tokens == 100
    with pytest.raises(ZeroDivisionError), web.hold_tokens(100):
        raise ZeroDivisionError
    assert web.tokens == 0


def test_tokens_count_on_the_holder_that_the_caller_carries() -> None:
    keys, _, _ = ring(max_key_tokens=100, max_request_tokens=100)
    (web, _) = keys.holders
    with ANYBODY.hold_tokens(10**9):
        pass  # no key, no limit
    caller = caller_of(Request({"type": "http", "headers": [], "state": {KEY_HOLDER: web}}), Settings())
    assert caller.name == "web"
    with web.request(), caller.hold_tokens(64):
        assert web.tokens == 64
        with pytest.raises(KeyLimit):
            caller.hold_tokens(64).__enter__()
    assert web.tokens == 0
