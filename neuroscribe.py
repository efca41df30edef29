"""The face of the Python API: `import neuroscribe as ns; ns.run(...)`.

Names are loaded when they are first used, so that importing costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from descriptors.catalog import read_descriptors as read_descriptors
    from descriptors.corpus import read_corpus as read_corpus
    from descriptors.corpus import read_labels as read_labels
    from eval.evaluation_file import read_evaluation as read_evaluation
    from indexer.errors import BackendError as BackendError
    from indexer.errors import InputError as InputError
    from indexer.errors import NeuroscribeError as NeuroscribeError
    from indexer.errors import RunError as RunError
    from neurons.explanation_file import read_explanations as read_explanations
    from neurons.group_records import read_neuron_groups as read_neuron_groups
    from neurons.statistics_file import read_statistics as read_neuron_statistics
    from service.client import Client as Client
    from service.engines import opened_engine as opened_engine
    from service.evaluation import evaluate_run as evaluate
    from service.explain import explain_concept as explain_concept
    from service.explain import explain_neuron as explain_neuron
    from service.explain import explain_text as explain_text
    from service.export import export_neurox as export_neurox
    from service.export import export_table as export_table
    from service.finished_run import FinishedRun as FinishedRun
    from service.pipeline import report_run as report
    from service.pipeline import run_pipeline as run
    from service.plan import plan_run as plan
    from service.settings import RunSettings as RunSettings

_HOME = {
    "BackendError": "indexer.errors:BackendError",
    "Client": "service.client:Client",
    "FinishedRun": "service.finished_run:FinishedRun",
    "InputError": "indexer.errors:InputError",
    "NeuroscribeError": "indexer.errors:NeuroscribeError",
    "RunError": "indexer.errors:RunError",
    "RunSettings": "service.settings:RunSettings",
    "evaluate": "service.evaluation:evaluate_run",
    "explain_concept": "service.explain:explain_concept",
    "explain_neuron": "service.explain:explain_neuron",
    "explain_text": "service.explain:explain_text",
    "export_neurox": "service.export:export_neurox",
    "export_table": "service.export:export_table",
    "opened_engine": "service.engines:opened_engine",
    "plan": "service.plan:plan_run",
    "read_corpus": "descriptors.corpus:read_corpus",
    "read_descriptors": "descriptors.catalog:read_descriptors",
    "read_evaluation": "eval.evaluation_file:read_evaluation",
    "read_explanations": "neurons.explanation_file:read_explanations",
    "read_labels": "descriptors.corpus:read_labels",
    "read_neuron_groups": "neurons.group_records:read_neuron_groups",
    "read_neuron_statistics": "neurons.statistics_file:read_statistics",
    "report": "service.pipeline:report_run",
    "run": "service.pipeline:run_pipeline",
}

__all__ = [
    "BackendError",
    "Client",
    "FinishedRun",
    "InputError",
    "NeuroscribeError",
    "RunError",
    "RunSettings",
    "evaluate",
    "explain_concept",
    "explain_neuron",
    "explain_text",
    "export_neurox",
    "export_table",
    "opened_engine",
    "plan",
    "read_corpus",
    "read_descriptors",
    "read_evaluation",
    "read_explanations",
    "read_labels",
    "read_neuron_groups",
    "read_neuron_statistics",
    "report",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'neuroscribe' has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
