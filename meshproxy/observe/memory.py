"""How much memory processes use, such that the numbers of several that share pages can be added up."""

import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def memory(pid: int | str = "self") -> tuple[int, int]:
    """(bytes that were allocated, bytes of physical memory); a page that n processes share counts 1/n in each."""
    fields = {}
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        # A kernel without it, or one that does not let us look; or a process that has just ended.
        return 0, 0
    for line in text.splitlines()[1:]:
        name, _, value = line.partition(":")
        fields[name] = int(value.split()[0]) * 1024
    return fields.get("Pss_Anon", fields["Private_Dirty"]), fields["Pss"]


def memory_of_all() -> tuple[int, int]:
    """The same of this process and all that it has started."""
    allocated, physical = zip(*[memory(pid) for pid in _with_children("self")], strict=True)
    return sum(allocated), sum(physical)


def heap() -> int:
    """Bytes of anonymous memory that are resident in this process and in all that it has started."""
    processes = _with_children("self")
    if len(processes) > 1:
        return sum(memory(pid)[0] for pid in processes)
    # Nobody shares it, and this costs no walk through the page table.
    resident, shared = Path("/proc/self/statm").read_text(encoding="ascii").split()[1:3]
    return (int(resident) - int(shared)) * _PAGE


def _with_children(pid: str) -> list[str]:
    found = [pid]
    for each in found:
        try:
            found += Path(f"/proc/{each}/task/{os.getpid() if each == 'self' else each}/children").read_text().split()
        except OSError:
            # It has ended meanwhile, or the kernel does not tell.
            continue
    return found
