"""docs/health-and-outliers.md: its pieces are those of the example, and its sessions print what they show."""

import re
import time

from tests.examples.running import EXAMPLES, Running, read, running
from tests.parity.proxies import REPOSITORY

TEXT = (REPOSITORY / "docs" / "health-and-outliers.md").read_text()
EXAMPLE = EXAMPLES / "health-and-outliers.yaml"
PATIENCE = 20.0


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_pieces_are_taken_from_the_example() -> None:
    for piece in blocks("yaml"):
        assert piece in EXAMPLE.read_text(), piece


def test_sessions_print_what_they_show() -> None:
    with running(read(EXAMPLE), "meshproxy") as proxied:
        for session in blocks("console"):
            for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
                comes_to(proxied, command, shown)


def comes_to(proxied: Running, command: str, shown: str) -> None:
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
