"""A run that asks an LM is killed at any moment and sends no request twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

KILLED = """
import json, os, signal, sys
from pathlib import Path
from descriptors.generation import Answer, FinishReason
from descriptors.lm_proposer import LMProposer
from descriptors.proposer import GroupTexts
from descriptors.records import Group
from descriptors.response_store import ResponseStore
from indexer.storage import fingerprint

folder, kill_at = Path(sys.argv[1]), int(sys.argv[2])

class Logging:
    name = fingerprint = "logging"
    def generate(self, requests, *, progress=False):
        for position, request in enumerate(requests):
            if position == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            with (folder / "sent.log").open("a") as log:
                log.write(fingerprint(request.model_dump(mode="json")) + "\\n")
            text = '{"descriptors": ["name %s"]}' % "abcdefghij"[position % 10]
            yield position, Answer(
                text=text, finish=FinishReason.STOP, prompt_tokens=1, completion_tokens=1
            )

groups = [
    GroupTexts(Group(id=str(n), source="t", rows=(n,)), (f"sentence {n}",)) for n in range(10)
]
proposer = LMProposer(Logging(), store=ResponseStore(folder / "answers"))
batches = list(proposer.propose(groups))
print(json.dumps([len(batches), proposer.usage.requests, proposer.usage.prompt_tokens]))
"""


def test_after_kill_9_no_request_is_sent_twice(tmp_path: Path) -> None:
    def run(kill_at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(kill_at)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    def sent() -> list[str]:
        return (tmp_path / "sent.log").read_text().split()

    for killed_after in (4, 3):
        assert run(killed_after).returncode == -signal.SIGKILL
    assert len(sent()) == 7
    finished = run(99)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == [10, 10, 10]
    assert len(sent()) == len(set(sent())) == 10
    assert json.loads(run(0).stdout) == [10, 10, 10]
