"""Errors a user can cause: one sentence that says what was expected, what came and what to do."""


class InputError(ValueError):
    """Input that is refused at the door.

    In a notebook it shows as its one sentence, without the stack of the library: the cause is the input, not the code.
    """

    def _render_traceback_(self) -> list[str]:
        # IPython asks the exception itself for its traceback when it has this method.
        return [f"{type(self).__name__}: {self}"]


class DataError(InputError):
    """Counts, labels or a data file that cannot be used."""


class ParameterError(InputError):
    """An unknown parameter, or a value outside its legal range."""


class CheckpointError(InputError):
    """A saved model or checkpoint that is missing, truncated or of another model."""


class TrainingError(InputError):
    """A training that met a value that is not finite: nothing is made of its weights."""
