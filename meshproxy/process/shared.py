"""What an operator changes in main and what has to change in the workers with it."""

from collections.abc import Callable, Iterable

from meshproxy.net.runtime import Layer, Runtime
from meshproxy.observe.process_log import ProcessLog, levels

# Tells all workers to do something: a word of `worker.words`, and its arguments.
Tell = Callable[..., None]


class SharedRuntime(Runtime):
    """Layers that are set in main are set in the workers."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self._tell = tell

    def set_layers(self, layers: Iterable[Layer]) -> None:
        super().set_layers(layers)
        self._tell("set_runtime", self.layers)


class SharedLog(ProcessLog):
    """Levels that are set in main are set in the workers, and all open the file again."""

    def __init__(self) -> None:
        super().__init__()
        self.tell: Tell = _nobody

    def set_level(self, level: str) -> None:
        super().set_level(level)
        self.tell("set_log_level", level)

    def set_levels(self, levels: str) -> None:
        super().set_levels(levels)
        self.tell("set_log_levels", levels)

    @staticmethod
    def now() -> str:
        """The levels of all loggers, as `set_levels` takes them."""
        return ",".join(f"{name}:{level}" for name, level in levels().items())


def _nobody(*_message: object) -> None:
    """There are no workers."""
