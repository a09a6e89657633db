"""How much memory a process uses, such that the numbers of several that share pages can be added up."""

from pathlib import Path

_ROLLUP = Path("/proc/self/smaps_rollup")


def memory() -> tuple[int, int]:
    """(bytes that were allocated, bytes of physical memory); a page that n processes share counts 1/n in each."""
    fields = {}
    try:
        text = _ROLLUP.read_text(encoding="ascii")
    except OSError:
        # A kernel without it, or one that does not let us look.
        return 0, 0
    for line in text.splitlines()[1:]:
        name, _, value = line.partition(":")
        fields[name] = int(value.split()[0]) * 1024
    return fields.get("Pss_Anon", fields["Private_Dirty"]), fields["Pss"]
