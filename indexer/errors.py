"""Every error neuroscribe raises on purpose.

    NeuroscribeError
    ├── InputError          the user can mend it: a file, an option, a model name
    │   ├── NotFoundError   what was asked for does not exist
    │   └── StaleError      it was changed since the user last saw it
    ├── BackendError        an LM, a hub or a database failed
    └── RunError            a run directory is damaged, full or does not fit
        └── BusyError       another process is writing it; it works later

A message gives what was found, what was expected, and what would work.
"""

from __future__ import annotations


class NeuroscribeError(Exception):
    """Base of every error a caller may want to catch."""


class InputError(NeuroscribeError):
    """Something the user gave cannot be used as it is."""


class NotFoundError(InputError):
    """What the user asked for does not exist."""


class StaleError(InputError):
    """What the user wants to change was changed since they last saw it."""


class BackendError(NeuroscribeError):
    """A model, a hub or another system we depend on failed."""


class RunError(NeuroscribeError):
    """A run directory is damaged, cannot be written, or belongs to other settings."""


class BusyError(RunError):
    """Another process is writing the run directory; the same request works once it is done."""
