"""A finished run read into memory, so that its readers do not notice when it is rewritten."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from indexer.errors import BusyError, InputError, RunError
from neurons.group_records import NEURON_GROUPS_FILE
from service.explanation_table import ExplanationTable
from service.finished_run import FinishedRun
from service.imported_stage import is_imported, no_model
from service.kept_groups import groups_of

if TYPE_CHECKING:
    from eval.records import Figure
    from indexer.encoder import SentenceEncoder
    from neurons.subject import SubjectModel
    from service.views.shared_models import GuardedModel, SharedModels

Model = TypeVar("Model")

MANIFEST = "manifest.json"
_READ_AT_ONCE = (
    *("settings", "corpus", "descriptors", "catalog", "membership", "split_rows"),
    *("explanations", "store", "statistics", "lexical", "figures"),
)


@dataclass(frozen=True, slots=True)
class FileMark:
    """What tells a file from one that was put in its place."""

    changed: int
    inode: int
    size: int

    @classmethod
    def of(cls, path: Path | str) -> FileMark | None:
        """The mark of a file, None where there is none."""
        try:
            found = os.stat(path)
        except OSError:
            return None
        return cls(found.st_mtime_ns, found.st_ino, found.st_size)


class OpenedRun(FinishedRun):
    """A finished run of which everything is in memory, or mapped from files that stay open.

    Models, which are shared with other runs, are loaded when they are first asked for. The neuron
    groups of an older run, which are not on its disk, are found then.

    Args:
        path: the run's folder.
        models: where models are shared.

    Raises:
        InputError: there is no run at `path`.
        BusyError: it is being rewritten.
        RunError: it is not complete, or damaged.
    """

    def __init__(self, path: Path, models: SharedModels) -> None:
        before = FileMark.of(path / MANIFEST)
        super().__init__(path)
        self._models = models
        try:
            content = self._manifest_bytes()
            for name in ("manifest", *_READ_AT_ONCE):
                getattr(self, name)
            self._check_fits()
            if (path / NEURON_GROUPS_FILE).exists():
                self.neuron_groups = groups_of(self)
        except RunError as error:
            if FileMark.of(path / MANIFEST) != before:
                raise _rewritten(path) from error
            raise
        if before is None or FileMark.of(path / MANIFEST) != before:
            raise _rewritten(path)
        self.mark = before
        # Another version may answer in another form.
        self.etag = hashlib.sha256(content + version("neuroscribe").encode()).hexdigest()

    @cached_property
    def explanations(self) -> ExplanationTable:
        """The explanation or abstention of each neuron's tail, in file order."""
        return ExplanationTable.read(self.path / "explanations.parquet")

    @cached_property
    def figures(self) -> tuple[Figure, ...]:
        """What the evaluation found; nothing where the run was not evaluated."""
        from eval.evaluation_file import read_evaluation

        return tuple(read_evaluation(self.path)) if "evaluate" in self.manifest.stages else ()

    @cached_property
    def guarded_subject(self) -> GuardedModel[SubjectModel]:
        """The subject model with its lock.

        Raises:
            InputError: the run has imported its activations.
            RunError: it cannot be loaded, or has changed since.
        """
        if is_imported(self.settings):
            raise no_model(self.settings)
        return self._models.subject(
            self.manifest.fingerprints.get("model", ""),
            self.settings.extraction.precision,
            lambda: self._loaded("model", lambda: super(OpenedRun, self).subject),
        )

    @cached_property
    def subject(self) -> SubjectModel:
        """The subject model, which must be held by its lock while it reads."""
        return self.guarded_subject.model

    @cached_property
    def guarded_encoder(self) -> GuardedModel[SentenceEncoder]:
        """The sentence encoder with its lock.

        Raises:
            RunError: it cannot be loaded, or has changed since.
        """
        return self._models.encoder(
            self.manifest.fingerprints.get("encoder", ""),
            lambda: self._loaded("encoder", lambda: super(OpenedRun, self).encoder),
        )

    @cached_property
    def encoder(self) -> SentenceEncoder:
        """The sentence encoder, which must be held by its lock while it reads."""
        return self.guarded_encoder.model

    @property
    def maps_current_files(self) -> bool:
        """Whether the run's folder still holds the activations that are mapped.

        A file that is mapped keeps its inode, so that no other file can have it.
        """
        if (self.path / "stages" / "extract.started").exists():
            return False
        found = FileMark.of(self._first_array)
        return found is not None and found.inode == self._array_inode

    @cached_property
    def _first_array(self) -> Path:
        return self.store.folder / self.store.manifest.layout.sites[0].file_name

    def _loaded(self, role: str, load: Callable[[], Model]) -> Model:
        """A model of the run.

        Raises:
            RunError: it cannot be loaded: who asks about the run cannot mend that.
        """
        try:
            return load()
        except InputError as error:
            raise RunError(
                f"the {role} that {self.path.name} was made with cannot be loaded: {error}"
            ) from error

    def _manifest_bytes(self) -> bytes:
        try:
            return (self.path / MANIFEST).read_bytes()
        except OSError as error:
            raise RunError(f"cannot read {self.path / MANIFEST}: {error}") from error

    def _check_fits(self) -> None:
        """Check what the readers of single files cannot see.

        Raises:
            RunError: the files do not belong together.
        """
        if self.store.n_sentences != len(self.corpus):
            raise self._misfit(
                f"there are activations on {self.store.n_sentences} sentences, and "
                f"{len(self.corpus)} sentences in the corpus"
            )
        sites = self.store.manifest.layout.sites
        if self.statistics is not None and self.statistics.sites != sites:
            raise self._misfit("neurons.parquet has other neurons than were extracted")
        known = {each.id for each in self.catalog}
        if not known.issuperset(self.explanations.identifiers):
            raise self._misfit("explanations.parquet has descriptors that the catalog lacks")
        if not self.explanations.is_about(sites):
            raise self._misfit("explanations.parquet has neurons that were not extracted")
        self._array_inode = os.stat(self._first_array).st_ino

    def _misfit(self, found: str) -> RunError:
        return RunError(f"the files of {self.path} do not fit: {found}. Run again with --update")


def _rewritten(path: Path) -> BusyError:
    return BusyError(
        f"{path.name} is being rewritten by a job; ask again when the job is done, GET /v1/jobs "
        "lists it"
    )
