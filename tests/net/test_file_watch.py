"""Links and files that are put in the place of others."""

import asyncio
import os
from pathlib import Path

import pytest

from meshproxy.net.file_watch import FileWatch


def swap(link: Path, target: Path) -> None:
    fresh = link.with_name("fresh")
    os.symlink(target, fresh)
    os.rename(fresh, link)


def test_a_swapped_link_is_noticed(tmp_path: Path) -> None:
    asyncio.run(_swapped(tmp_path))


async def _swapped(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    noticed = asyncio.Queue[str]()
    watch = FileWatch(loop, lambda: noticed.put_nowait("changed"))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    os.symlink(tmp_path / "b", tmp_path / "b" / "link")
    watch.add(str(tmp_path / "a" / "current"))
    watch.add(str(tmp_path / "b" / "current"))
    try:
        for folder in ("a", "b", "a"):
            # What is renamed beside it, or written in place, does not count.
            (tmp_path / folder / "other").write_text("1")
            os.rename(tmp_path / folder / "other", tmp_path / folder / "another")
            swap(tmp_path / folder / "current", tmp_path)
            assert await asyncio.wait_for(noticed.get(), 10) == "changed"
            await asyncio.sleep(0)
            assert noticed.empty()
    finally:
        watch.close()


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    async def watch() -> None:
        made = FileWatch(asyncio.get_running_loop(), lambda: None)
        with pytest.raises(FileNotFoundError, match="nowhere"):
            made.add(str(tmp_path / "nowhere" / "current"))
        made.close()

    asyncio.run(watch())
