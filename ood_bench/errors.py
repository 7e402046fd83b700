"""Errors that a user can fix: each says what is wrong, where, and what to do about it."""


class OodBenchError(Exception):
    """Base of every error that the command line reports as one message without a traceback.

    Its text is the message, then the hint: ``the loss is not finite: lower train.optimizer.lr``.

    Args:
        message: what is wrong, and where.
        hint: what to do about it: the key to set, the file to place and where, the command to run.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


class ConfigError(OodBenchError):
    """The configuration asks for something unknown, ill-typed or impossible."""


class DataError(OodBenchError):
    """An image set is missing, incomplete, corrupt or does not fit the model."""


class ArtifactError(OodBenchError):
    """A stored artifact (decoded images, checkpoint, feature bank) cannot be read or written."""


class DamagedError(ArtifactError):
    """A stored artifact is not what was written there: it can be set aside and made again."""


class TrainingError(OodBenchError):
    """Training cannot go on, for example because the loss is no longer finite."""


class NotFiniteError(OodBenchError):
    """A network gives NaN or infinity where a number is needed; every comparison with it would be false."""


class RecordError(OodBenchError):
    """A result record does not follow the schema, or the store of records cannot be used."""


def reason(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, OodBenchError) else f"{type(error).__name__}: {text}"
