import tomllib

from meshproxy import __version__
from meshproxy.process.version import version_line, version_number

from .running import REPOSITORY


def test_it_is_the_version_of_the_package() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__


def test_as_a_number() -> None:
    assert version_number().to_bytes(3, "big") == bytes(int(part) for part in __version__.split("."))


def test_five_parts_as_envoy_has_them() -> None:
    parts = version_line().split("/")
    assert len(parts) == 5
    assert parts[1:4] == [__version__, "Clean", "RELEASE"]
