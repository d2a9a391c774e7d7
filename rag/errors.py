"""The errors that the project raises, one tree.

    RagError
    ├── InputError                 the caller can mend it
    │   ├── QuestionError          empty, or longer than the limit
    │   ├── RangeError             a number outside its range
    │   ├── FilterError            a filter that cannot be understood
    │   ├── ConflictError          it does not fit how things stand
    │   ├── NotFoundError          no such collection, document or job
    │   └── AccessError            this caller may not
    │       └── KeyRefusedError    no key, or one that is not valid
    ├── DocumentError              one document cannot be read; the others go in
    │   └── GoneError              nothing is at its place any more
    ├── SettingsError              settings that are wrong or contradict each other
    ├── MissingExtraError          an optional package is not installed
    ├── ModelError                 a model file is missing, altered or unfit
    ├── StoreError                 the vector store failed
    │   ├── StoreMismatchError     made with another model, dimension or schema version
    │   ├── StoreLockedError       another process holds it
    │   └── StoreUnavailableError  its server is out of reach, too slow or too busy
    ├── StateError                 the state failed: a full disk, a damaged file
    │   └── StateUnavailableError  it cannot be reached, or is locked
    ├── ProviderError              the server of a language model failed
    │   ├── ProviderRefusedError   a wrong key, an unknown model, a call it does not take
    │   ├── ProviderUnavailableError  out of reach, too slow, or gone in the middle
    │   ├── ProviderBusyError      too many calls at once; says after how long to come back
    │   └── ProviderReplyError     it answered what cannot be understood
    ├── BudgetError                it would have passed a wall; nothing was spent
    ├── ServiceError               the running service could not be reached or refused
    ├── RateLimitError             called too often; says after how long to come back
    └── OverloadedError            too much work at once; says after how long to come back

Every message gives the value, the limit and the mend. `retryable` says whether the same call may
succeed later; `retry_after_s` says when, where that is known. Adapters map foreign errors into
this tree inside their own file.
"""

from __future__ import annotations


class RagError(Exception):
    """Root of the tree. `str(error)` is one line fit for a person."""

    retryable: bool = False

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class InputError(RagError):
    """The caller sent something that cannot be used."""


class QuestionError(InputError):
    """The question is empty or too long."""


class RangeError(InputError):
    """A number lies outside its range."""

    def __init__(self, name: str, value: float, low: float, high: float) -> None:
        super().__init__(
            f"{name} is {value:,}, outside its range {low:,} to {high:,}: give a number within it"
        )


class FilterError(InputError):
    """A filter names no field or holds a value that cannot be compared."""


class ConflictError(InputError):
    """What is asked for does not fit how things stand, as a retry of what still runs."""


class NotFoundError(InputError):
    """A collection, document or job of that name does not exist."""


class AccessError(InputError):
    """This caller may not do that, or not from there."""


class KeyRefusedError(AccessError):
    """There is no key, or one that is wrong, has expired or was revoked."""


class DocumentError(RagError):
    """One document cannot be read: corrupt, empty, too large or of an unknown format."""


class GoneError(DocumentError):
    """There is nothing any more where a document stood."""


class SettingsError(RagError):
    """The settings are wrong or contradict each other."""


class MissingExtraError(RagError):
    """An optional package is needed and not installed."""

    def __init__(self, what: str, install: str) -> None:
        super().__init__(f"{what} is not installed: install it with `{install}`")


class ModelError(RagError):
    """A model file is missing, altered or unfit for its use."""


class StoreError(RagError):
    """The vector store failed."""


class StoreMismatchError(StoreError):
    """The store was made with another embedding model, dimension or schema version."""


class StoreLockedError(StoreError):
    """Another process holds the embedded store."""

    retryable = True


class StoreUnavailableError(StoreError):
    """The server of the store is out of reach, too slow or too busy."""

    retryable = True


class StateError(RagError):
    """The state, which holds the manifest and the jobs, failed."""


class StateUnavailableError(StateError):
    """The state cannot be reached, or another process keeps it locked."""

    retryable = True


class ProviderError(RagError):
    """The server of a language model failed."""


class ProviderRefusedError(ProviderError):
    """The key, the model or the call is not accepted: the same call will fail again."""


class ProviderUnavailableError(ProviderError):
    """The server is out of reach or too slow, or it broke off.

    `was_taken` is False where the call cannot have reached it, and so cannot be billed.
    """

    retryable = True

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, was_taken: bool = True
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.was_taken = was_taken


class ProviderBusyError(ProviderError):
    """The server has too many calls to take, or this key has made too many."""

    retryable = True


class ProviderReplyError(ProviderError):
    """The server answered what cannot be understood: another protocol, broken JSON, nothing."""


class BudgetError(RagError):
    """What a call may cost does not fit before a wall any more; nothing was spent."""


class ServiceError(RagError):
    """The running service could not be reached, or refused the call."""

    retryable = True


class RateLimitError(RagError):
    """The caller has called as often as it may for now."""

    retryable = True


class OverloadedError(RagError):
    """The service has as much work as it can hold."""

    retryable = True
