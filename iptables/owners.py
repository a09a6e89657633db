"""Users and groups in flags: numbers, ranges of numbers, or names that this machine knows."""

import grp
import pwd

from meshproxy.iptables.addresses import split
from meshproxy.iptables.errors import SetupError
from meshproxy.iptables.options import Config

MOST_GROUPS = 64
# The largest is no user: the kernel says "nobody in particular" with it.
LARGEST = (1 << 32) - 2
# What would end a word in the input of iptables-restore or nft, or mean something else there.
SPECIAL = frozenset("\"'\\!;{}#$`")


def check_owners(config: Config) -> None:
    """What is neither number, range nor possible name is refused, and so are too many groups. Raises SetupError."""
    for flag, item in _owners(config):
        low, dash, high = item.partition("-")
        if low.isdigit() and (high.isdigit() or not dash):
            if not int(low) <= int(high or low) <= LARGEST:
                raise SetupError(f"{flag}: {item!r} is no number from 0 to {LARGEST}, and no range of such")
        elif not is_word(item) or item.startswith("-"):
            raise SetupError(f"{flag}: {item!r} is no number, and no name")
    groups = split(config.owner_groups)
    if config.owner_groups != "*" and len(groups) > MOST_GROUPS:
        raise SetupError(
            f"ISTIO_OUTBOUND_OWNER_GROUPS names {len(groups)} groups, and one rule holds {MOST_GROUPS} at most: "
            "name fewer, or exclude some with ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE"
        )


def check_names(config: Config) -> None:
    """Names are known on this machine: the rules hold numbers. Raises SetupError."""
    for flag, item in _owners(config):
        known = _is_user if flag.endswith("(-u)") else _is_group
        if not item[0].isdigit() and not known(item):
            raise SetupError(f"{flag}: there is no {item!r} here, give its number")


def _owners(config: Config) -> list[tuple[str, str]]:
    groups = config.owner_groups_exclude if config.owner_groups == "*" else config.owner_groups
    lists = (
        ("--proxy-uid (-u)", config.proxy_uid),
        ("--proxy-gid (-g)", config.proxy_gid),
        ("ISTIO_OUTBOUND_OWNER_GROUPS or its _EXCLUDE", groups),
    )
    return [(flag, item.strip(" ")) for flag, items in lists for item in split(items)]


def is_word(text: str) -> bool:
    """One word, whichever program reads it."""
    return text.isprintable() and len(text.split()) == 1 and " " not in text and not SPECIAL & set(text)


def _is_user(name: str) -> bool:
    try:
        return pwd.getpwnam(name) is not None
    except KeyError:
        return False


def _is_group(name: str) -> bool:
    try:
        return grp.getgrnam(name) is not None
    except KeyError:
        return False
