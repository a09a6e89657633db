"""Running other programs."""

import os
import subprocess
from collections.abc import Mapping, Sequence


class Outcome:
    """What a program said. ``status`` is 127 when there is no such program."""

    __slots__ = ("err", "out", "status")

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    @property
    def missing(self) -> bool:
        return self.status == 127

    @property
    def reason(self) -> str:
        """What the complaint says: no warning above it, no advice below, no name of a program before."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip() and not line.startswith(("#", "Try `"))]
        if not lines:
            return f"exit status {self.status}"
        speaker, colon, rest = lines[0].partition(": ")
        return rest if colon and "tables" in speaker else lines[0]


def run(command: Sequence[str], stdin: str = "", environment: Mapping[str, str] | None = None) -> Outcome:
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, **environment} if environment else None,
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        return Outcome(127, "", f"{command[0]}: {error.strerror}")
    return Outcome(done.returncode, done.stdout, done.stderr)
