"""Pages that go through an example: their pieces of configuration, and their sessions of commands and answers."""

import re
import time
from pathlib import Path

from tests.examples.running import Running, read, running
from tests.parity.proxies import REPOSITORY

PATIENCE = 20.0


class Page:
    def __init__(self, page: str, example: str) -> None:
        self._text = (REPOSITORY / "docs" / page).read_text()
        self._example: Path = REPOSITORY / "examples" / example

    def check_pieces(self) -> None:
        """What the page shows stands in the example."""
        text = self._example.read_text()
        for piece in self._blocks("yaml"):
            assert piece in text, piece

    def check_sessions(self) -> None:
        """Commands print what is shown below them."""
        with running(read(self._example), "meshproxy") as proxied:
            for session in self._blocks("console"):
                for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
                    _comes_to(proxied, command, shown)

    def _blocks(self, language: str) -> list[str]:
        return re.findall(rf"```{language}\n(.*?)```", self._text, re.DOTALL)


def _comes_to(proxied: Running, command: str, shown: str) -> None:
    """What a command asks for may come a moment later; what it changes is changed once."""
    deadline = time.monotonic() + PATIENCE
    names = {str(there): str(wanted) for wanted, there in proxied.moved.items()}
    while True:
        printed = re.sub(r"\d{4,5}", lambda found: names.get(found[0], found[0]), proxied.run(command))
        printed = printed.replace("\r", "")
        if printed == shown:
            return
        assert "POST" not in command and "seq" not in command and time.monotonic() < deadline, f"{command}\n{printed}"
        time.sleep(0.05)
