"""Runtime values: layers of keys that an operator can change while the proxy runs (Envoy's layered runtime)."""

from dataclasses import dataclass
from random import randrange
from typing import Any

Value = str | int | float | bool | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fraction:
    """envoy.type.v3.FractionalPercent with its runtime key ("" for none)."""

    numerator: int
    denominator: int = 100
    key: str = ""


class Runtime:
    """Later layers win. Reads go to one merged dict, rebuilt when a layer changes."""

    def __init__(self) -> None:
        self.layers: list[tuple[str, dict[str, Value]]] = []
        self._merged: dict[str, Value] = {}
        # The layer that /runtime_modify writes to; "" where there is none.
        self.admin_layer = ""

    def set_layer(self, name: str, values: dict[str, Value]) -> None:
        """Adds a layer at the end, or replaces it where it is."""
        for i, (known, _) in enumerate(self.layers):
            if known == name:
                self.layers[i] = (name, values)
                break
        else:
            self.layers.append((name, values))
        self._merged = {key: value for _, layer in self.layers for key, value in layer.items()}

    def get(self, key: str) -> Value | None:
        return self._merged.get(key)

    def integer(self, key: str, default: int) -> int:
        value = self._merged.get(key)
        if isinstance(value, bool) or value is None:
            return default
        try:
            return int(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return default

    def boolean(self, key: str, default: bool) -> bool:
        value = self._merged.get(key)
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value in ("true", "false"):
            return value == "true"
        return default

    def enabled(self, fraction: Fraction, random: int | None = None) -> bool:
        """Whether this one time falls inside the fraction. `random`: a stable value instead of a fresh one."""
        numerator, denominator = fraction.numerator, fraction.denominator
        if fraction.key and (override := self._merged.get(fraction.key)) is not None:
            if isinstance(override, dict):
                numerator = int(override.get("numerator", 0))
                denominator = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}.get(
                    str(override.get("denominator", "HUNDRED")), 100
                )
            else:
                numerator, denominator = self.integer(fraction.key, numerator), 100
        if numerator >= denominator:
            return True
        if numerator <= 0:
            return False
        return (randrange(denominator) if random is None else random % denominator) < numerator
