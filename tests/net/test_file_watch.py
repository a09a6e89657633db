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
    watch = FileWatch(loop)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    os.symlink(tmp_path / "b", tmp_path / "b" / "link")
    for folder in ("a", "b"):
        watch.add(str(tmp_path / folder / "current"), lambda: noticed.put_nowait("changed"))
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
        made = FileWatch(asyncio.get_running_loop())
        with pytest.raises(FileNotFoundError, match="nowhere"):
            made.add(str(tmp_path / "nowhere" / "current"), lambda: None)
        made.close()

    asyncio.run(watch())


def test_whatever_is_new_in_a_directory_is_noticed(tmp_path: Path) -> None:
    async def run() -> None:
        noticed = asyncio.Queue[str]()
        watch = FileWatch(asyncio.get_running_loop())
        # Asked for twice, told once.
        for _ in range(2):
            watch.add_directory(str(tmp_path), "key", lambda: noticed.put_nowait("changed"))
        try:
            (tmp_path / "written").write_text("1")
            assert await asyncio.wait_for(noticed.get(), 10) == "changed"
            swap(tmp_path / "moved", tmp_path)
            assert await asyncio.wait_for(noticed.get(), 10) == "changed"
            await asyncio.sleep(0)
            assert noticed.empty()
        finally:
            watch.close()

    asyncio.run(run())
