"""Errors that a user can mend: each message says what is wrong, where, and what to do about it."""


class OodBenchError(Exception):
    """Base of every error that the command line reports as one message without a traceback."""


class ConfigError(OodBenchError):
    """The configuration asks for something unknown, ill-typed or impossible."""


class DataError(OodBenchError):
    """An image set is missing, incomplete, corrupt or does not fit the model."""


class ArtifactError(OodBenchError):
    """A stored artifact (decoded images, checkpoint, feature bank) cannot be read or written."""


class TrainingError(OodBenchError):
    """Training cannot go on, for example because the loss is no longer finite."""


class RecordError(OodBenchError):
    """A result record does not follow the schema, or the store of records cannot be used."""


def reason(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, OodBenchError) else f"{type(error).__name__}: {text}"
