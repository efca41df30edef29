"""Known vulnerabilities of what is installed: fails for one, and says so where none can be known.

pip-audit ends with 1 both where it finds a vulnerability and where it reaches no service that knows
them, and with 0 where that service knows no package. Its report tells them apart: one that was not
finished is not written. `python .ci/audit.py PIP_AUDIT [OPTION …]`; options go to it.
"""

# ruff: noqa: T201 - a command: what it finds is what it prints

import json
import re
import subprocess
import sys

UNREACHABLE = re.compile(r"requests\.exceptions\.|pip_audit\._service\.|.*Could not connect to")


def audit(command: list[str]) -> int:
    """Run pip-audit; returns 1 for a vulnerability or a fault of its own."""
    fixed = ["--local", "--skip-editable", "--progress-spinner", "off", "--format", "json"]
    done = subprocess.run([*command, *fixed, "--desc", "off"], capture_output=True, text=True)  # noqa: S603
    if not done.stdout.strip():
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        if any(map(UNREACHABLE.match, done.stderr.splitlines())):
            print(f"pip-audit: NOTHING WAS AUDITED, no service of vulnerabilities answers: {last}")
            return 0
        print(done.stderr)
        return 1
    packages = json.loads(done.stdout)["dependencies"]
    known = [each for each in packages if "skip_reason" not in each]
    for each in known:
        for hole in each["vulns"]:
            mended = ", ".join(hole["fix_versions"]) or "none"
            print(f"{each['name']} {each['version']}: {hole['id']}; mended in {mended}")
    unknown = [each["name"] for each in packages if "skip_reason" in each]
    if not known:
        print("pip-audit: NOTHING WAS AUDITED, the service of vulnerabilities knows no package")
    else:
        print(f"pip-audit: {len(known)} packages audited; unknown: {', '.join(unknown) or 'none'}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(audit(sys.argv[1:]))
