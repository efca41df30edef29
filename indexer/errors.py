"""Every error neuroscribe raises on purpose.

    NeuroscribeError
    ├── InputError      the user can mend it: a file, an option, a model name
    ├── BackendError    an LM, a hub or a database failed
    └── RunError        a run directory is damaged, full or does not fit

A message gives what was found, what was expected, and what would work.
"""

from __future__ import annotations


class NeuroscribeError(Exception):
    """Base of every error a caller may want to catch."""


class InputError(NeuroscribeError):
    """Something the user gave cannot be used as it is."""


class BackendError(NeuroscribeError):
    """A model, a hub or another system we depend on failed."""


class RunError(NeuroscribeError):
    """A run directory is damaged, cannot be written, or belongs to other settings."""
