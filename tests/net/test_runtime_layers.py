"""Layers of runtime values: directories that are swapped, and what an operator sets."""

import os
from pathlib import Path

import pytest

from meshproxy.net.runtime import Runtime, entry_of
from meshproxy.net.runtime_layers import AdminLayer, DiskLayer, FixedLayer, RuntimeLayers


def files(root: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def layers(*sources: FixedLayer | DiskLayer | AdminLayer) -> RuntimeLayers:
    made = RuntimeLayers(Runtime())
    made.sources = list(sources)
    made.load()
    return made


def disk(root: Path, name: str = "disk") -> DiskLayer:
    return DiskLayer(name, str(root), str(root))


def texts(made: RuntimeLayers) -> dict[str, str]:
    return {key: entry.text for _, layer in made.runtime.layers for key, entry in layer.items()}


def test_files_are_keys(tmp_path: Path) -> None:
    files(tmp_path, deep__number="42\n", text="  yes \n\n", note="# why\n7\n# end", none="")
    made = layers(disk(tmp_path))
    assert texts(made) == {"deep.number": "42", "text": "  yes", "note": "7\n", "none": ""}
    assert made.runtime.integer("deep.number", 0) == 42
    assert made.runtime.integer("note", 0) == 7


def test_bytes_that_are_no_text_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(b"\xff\xfe")
    assert texts(layers(disk(tmp_path))) == {"k": "\ufffd\ufffd"}


def test_a_bad_file_costs_its_layer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files(tmp_path / "bad", fine="1", broken="{")
    files(tmp_path / "good", other="2")
    made = layers(disk(tmp_path / "bad", "bad"), disk(tmp_path / "good", "good"), disk(tmp_path / "none", "none"))
    assert texts(made) == {"other": "2"}
    assert (made.stats.load_error, made.stats.load_success, made.stats.num_layers, made.stats.num_keys) == (1, 0, 1, 1)
    assert "error loading runtime values for layer bad from disk" in caplog.text
    assert str(tmp_path / "bad" / "broken") in caplog.text


def test_a_directory_that_contains_itself_is_an_error(tmp_path: Path) -> None:
    os.symlink(tmp_path, tmp_path / "again")
    made = layers(disk(tmp_path))
    assert (made.stats.load_error, made.runtime.layers) == (1, [])


def test_how_many_directories_there_are_is_counted(tmp_path: Path) -> None:
    one = layers(disk(tmp_path))
    two = layers(disk(tmp_path), disk(tmp_path, "over"))
    assert (one.stats.override_dir_exists, one.stats.override_dir_not_exists) == (0, 1)
    assert (two.stats.override_dir_exists, two.stats.override_dir_not_exists) == (1, 0)


def test_what_an_operator_sets() -> None:
    made = layers(FixedLayer("base", {"a": entry_of(1)}), AdminLayer("admin"))
    made.modify({"a": "5", "b": "on"})
    assert (made.runtime.integer("a", 0), made.runtime.boolean("b", False)) == (5, True)
    assert (made.stats.admin_overrides_active, made.stats.num_keys) == (1, 2)
    with pytest.raises(ValueError, match="not YAML"):
        made.modify({"a": "6", "b": "{"})
    assert made.runtime.integer("a", 0) == 5
    made.modify({"a": "", "b": ""})
    assert made.runtime.integer("a", 0) == 1
    assert (made.stats.admin_overrides_active, made.stats.load_success) == (0, 3)
    with pytest.raises(LookupError, match="No admin layer specified"):
        layers().modify({"a": "1"})
