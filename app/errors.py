"""Exceptions of the service, each with the HTTP status and the error type of its answer.

This module does not know FastAPI: app/http/responses.py reads `status` and `error_type` from the exception. Every
message is a sentence for the caller: what was wrong and what is allowed.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class NagayomiError(Exception):
    """Base of every error that the service answers with a sentence."""

    status = 500
    error_type = "internal"

    @property
    def headers(self) -> dict[str, str]:
        """Headers that belong to the answer."""
        return {}


class Unauthorized(NagayomiError):
    """The request has no key, or one that this server does not know."""

    status = 401
    error_type = "unauthorized"

    def __init__(self, message: str, challenge: str) -> None:
        super().__init__(message)
        self.challenge = challenge

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": self.challenge}


class InvalidInput(NagayomiError):
    """The request is well formed JSON, but cannot be answered as it is."""

    status = 422
    error_type = "invalid_input"


class MalformedBody(NagayomiError):
    """The body is not UTF-8, not JSON, or not the JSON that the endpoint takes."""

    status = 422
    error_type = "malformed_body"


class BodyTooLarge(NagayomiError):
    """The body is larger than the settings allow, for every request or for one that is to become a job."""

    status = 413
    error_type = "body_too_large"


class UnsupportedMediaType(NagayomiError):
    """The body has a media type that the endpoint does not take."""

    status = 415
    error_type = "unsupported_media_type"


class RequestTooLarge(NagayomiError):
    """The body is small enough, but its texts would cost more than one request may cost."""

    status = 413
    error_type = "request_too_large"


class BodyTimeout(NagayomiError):
    """The client took too long to send its body."""

    status = 408
    error_type = "body_timeout"

    @property
    def headers(self) -> dict[str, str]:
        return {"Connection": "close"}  # the rest of the body may come for ever


class ModelNotFound(NagayomiError):
    """No model of that name (or task) is served."""

    status = 404
    error_type = "model_not_found"


class JobNotFound(NagayomiError):
    """There is no job with that id, or it belongs to another caller."""

    status = 404
    error_type = "job_not_found"


class Overloaded(NagayomiError):
    """The queue is full; `retry_after_s` says when to try again."""

    status = 429
    error_type = "overloaded"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after_s)}


class KeyLimit(Overloaded):
    """The service has room, but the key's other requests use all that one key may use."""

    error_type = "key_limit"


class Unavailable(NagayomiError):
    """The engine is not ready or the process is shutting down."""

    status = 503
    error_type = "unavailable"


class EngineFailed(NagayomiError):
    """The engine failed on the request, or was lost with it; others are not affected and a new try may succeed."""

    status = 503
    error_type = "engine_failed"


class DeadlineExceeded(NagayomiError):
    """The request was not answered within its time limit."""

    status = 504
    error_type = "deadline_exceeded"


class BrokenModel(NagayomiError):
    """A model directory is incomplete or altered, or the service cannot run its model."""

    status = 503
    error_type = "broken_model"


class ProviderUnavailable(NagayomiError):
    """The provider in the settings cannot run here. The process stops: a silent fallback would only look healthy."""

    status = 503
    error_type = "provider_unavailable"


class ImpossibleTable(NagayomiError):
    """A block table names a block that does not exist; raised on the host, before a provider runs it."""

    status = 500
    error_type = "impossible_table"


class FileError(NagayomiError):
    """Base of all errors in files; the message is a sentence for the person who sent the file."""

    status = 422
    error_type = "unreadable_file"


class UnsupportedFile(FileError):
    """The file has a kind that is not read: a spreadsheet, a picture, an old binary Word document."""

    status = 415
    error_type = "unsupported_file"


class NotText(UnsupportedFile):
    """The kind of the file is unknown, and its bytes are no text."""

    error_type = "not_text"


class UnknownEncoding(FileError):
    """The file is text in an unknown encoding."""

    error_type = "unknown_encoding"


class BrokenFile(FileError):
    """The file is of a known kind, but damaged or cut off."""

    error_type = "broken_file"


class EncryptedFile(FileError):
    """The file cannot be read without a password."""

    error_type = "encrypted_file"


class UnsafeFile(FileError):
    """The file is an attack: a zip bomb, XML entities, elements nested a million deep."""

    error_type = "unsafe_file"


class FileTooLarge(FileError):
    """The file, packed or unpacked, is larger than the settings allow, or takes more time or memory to read."""

    status = 413
    error_type = "file_too_large"


@contextmanager
def naming_member(index: int, members: int) -> Iterator[None]:
    """Begin an error in a batch with the index of its member. A single request needs no index."""
    try:
        yield
    except (InvalidInput, RequestTooLarge) as error:
        if members == 1:
            raise
        raise type(error)(f"Member {index} of the batch, counted from 0: {error}") from None


class MissingExtra(NagayomiError):
    """The command needs packages that are not installed."""


def missing_extra(error: ModuleNotFoundError, extra: str) -> MissingExtra:
    """The extra to install, for an import that failed."""
    package = (error.name or "").partition(".")[0]
    return MissingExtra(
        f"this command needs the package {package}; install the extra `{extra}`: "
        f"pip install 'nagayomi[{extra}]', or pip install -e '.[{extra}]' in a clone."
    )
