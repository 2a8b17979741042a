"""What can be wrong with rules. None of these ever reaches an evaluation: there, trouble is a default with a reason."""


class UnusableEntryError(ValueError):
    """Not even the frozen fields can be read: keep this gate's last good entry."""


class NotUnderstoodError(ValueError):
    """The frozen fields are fine, the rest says something this version cannot evaluate: serve the gate's control."""


class ConfigurationError(ValueError):
    """A source was asked for something that it cannot even try. The message says what to pass instead."""
