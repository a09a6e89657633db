"""A dry run: what would be applied goes to standard output, and all commands to the file $DRY_RUN_FILE_PATH."""

import os
from collections.abc import Sequence

from meshproxy.iptables.commands import Outcome
from meshproxy.iptables.errors import SetupError
from meshproxy.iptables.restore import Command


class Plan:
    """What a run would do, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def change(self, text: str) -> None:
        """``text`` ends with a line end."""
        self.lines += text.splitlines()
        print(text, end="", flush=True)

    def finish(self) -> None:
        """Raises SetupError when the file cannot be written."""
        path = os.environ.get("DRY_RUN_FILE_PATH", "")
        if path:
            try:
                with open(path, "w") as file:
                    file.writelines(f"{line}\n" for line in self.lines)
            except OSError as error:
                raise SetupError(f"DRY_RUN_FILE_PATH {path}: {error.strerror}") from None


class DryTool:
    """Stands in for the programs of one family: finds nothing there, and every command works."""

    def __init__(self, binary: str, plan: Plan) -> None:
        self.binary = binary
        self.restore_binary = f"{binary}-restore"
        self._plan = plan

    def save(self) -> str:
        self._plan.lines.append(f"{self.binary}-save")
        return ""

    def run(self, command: Command) -> Outcome:
        self._plan.change(" ".join([self.binary, *command]) + "\n")
        return Outcome(0, "", "")

    def run_all(self, commands: Sequence[Command]) -> None:
        for command in commands:
            self.run(command)

    def first_missing(self, checks: str) -> str:
        return ""

    def restore(self, text: str) -> None:
        self._plan.change(text)
