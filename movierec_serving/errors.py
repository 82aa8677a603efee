"""Every error that the endpoint and its bundles raise on purpose, on one page.

MovierecError
├── BundleError               a bundle cannot be written, or not be trusted
├── StoreError                the object store did not do what it was asked
│   └── OddNameError          an object's name cannot be read, and with it no list that has it
├── PointerError              the file with the committed version is not one
├── BlocklistError            it is not known which movies are blocked
├── ModelUnavailableError     there is no model to answer from
├── ReloadRefusedError        a version was not committed, and nothing was changed
├── PageError                 a page cannot be shown, or a form not be followed
├── PageGoneError             the version that a page token names is no longer in the store
├── OtherShardError           a user is in another part of the publication
├── OptionError               an option of a request asks for what there is not
├── EventStoreError           events cannot be read, or are not known to be kept
└── EventTypesError           the declaration of types of events cannot be understood

No error is also a ValueError, LookupError or OSError: whoever catches one of those for a reason of
their own must not swallow ours, and whoever catches ours must not swallow a typo. A new error
belongs here; what a caller did wrong with an argument stays Python's ValueError.
"""


class MovierecError(Exception):
    """The root: what is below was foreseen, and its message can be shown to a person."""


class BundleError(MovierecError):
    """A bundle cannot be written, or not be trusted; the message says which file and why."""


class StoreError(MovierecError):
    """The object store did not do what it was asked; the message names the object and says why."""


class OddNameError(StoreError):
    """A list has an object with an empty, `.` or `..` folder in its name, or a control character;
    the message names the object.
    """


class PointerError(MovierecError):
    """The pointer's file is not one; the message says which file, and what to do."""


class BlocklistError(MovierecError):
    """The blocked movies are not known, so no list can be answered."""


class ModelUnavailableError(MovierecError):
    """There is no model to answer from; the message is the cause."""


class ReloadRefusedError(MovierecError):
    """Nothing was changed; the message is the cause.

    Args:
        result: how the reload is counted: missing, refused or busy.
        status: the HTTP status that says so.
    """

    def __init__(self, result: str, status: int, cause: str) -> None:
        super().__init__(cause)
        self.result, self.status = result, status


class PageError(MovierecError):
    """A page cannot be shown, or a form not be followed.

    Args:
        status: the HTTP status that says so.
        text: the name of the text that says why to a person.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class PageGoneError(MovierecError):
    """A list cannot be gone on with; the message says what to do."""


class OtherShardError(MovierecError):
    """A user is in another part of the publication, whose endpoint has to be asked.

    Args:
        number: which part, from 1 on.
        count: how many there are.
    """

    def __init__(self, number: int, count: int) -> None:
        super().__init__(f"this user is in part {number} of {count}: ask an endpoint that holds it")
        self.number = number


class OptionError(MovierecError):
    """An option asks for what there is not, such as a genre; the message names what there is.

    Args:
        field: the option's name.
    """

    def __init__(self, field: str, cause: str) -> None:
        super().__init__(cause)
        self.field = field


class EventStoreError(MovierecError):
    """The store of events is full, slow, locked or not to be reached.

    Events that were sent are not known to be kept: whoever sends them again has them once.
    """


class EventTypesError(MovierecError):
    """The declaration of types of events cannot be understood; the message names the field."""
