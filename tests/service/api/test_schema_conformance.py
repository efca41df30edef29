"""schemathesis asks everything that the OpenAPI document allows, and what it does not."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from schemathesis.generation import GenerationMode

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "6"))
"""Of each operation and kind; more are for a long check by hand."""

SKIPPED = {"follow_job"}
"""A job under way is told of until it is over, which no worker sees to here."""
