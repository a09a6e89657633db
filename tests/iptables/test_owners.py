"""Users and groups in flags."""

import pytest

from meshproxy.iptables.errors import SetupError
from meshproxy.iptables.owners import check_names, check_owners, is_word

from .planning import configured

GROUPS = "ISTIO_OUTBOUND_OWNER_GROUPS"


@pytest.mark.parametrize("owners", ["0", "1337,1338,", "4294967294", "100-200", "istio-proxy", "www_data.1", " 5, 6"])
def test_accepted(owners: str) -> None:
    check_owners(configured("-u", owners, "-g", owners, ISTIO_OUTBOUND_OWNER_GROUPS=owners))


@pytest.mark.parametrize(
    "owner", ["4294967295", "5-3", "-5", "-", "a b", "a\tb", "a\nCOMMIT", 'a"', "!a", "a;b", "{a}", "1-4294967295"]
)
def test_refused(owner: str) -> None:
    for flags, variables in (
        (["-u", owner], {}),
        (["-g", owner], {}),
        ([], {GROUPS: owner}),
        ([], {f"{GROUPS}_EXCLUDE": owner}),
    ):
        with pytest.raises(SetupError, match="is no number"):
            check_owners(configured(*flags, **variables))


def test_names_are_known() -> None:
    check_names(configured("-u", "1337,root,100-200", "-g", "0,root", ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE="7,root"))
    name = "no-such-name"
    for flags, variables in (
        (["-u", name], {}),
        (["-g", name], {}),
        ([], {GROUPS: name}),
        ([], {f"{GROUPS}_EXCLUDE": name}),
    ):
        with pytest.raises(SetupError, match="there is no 'no-such-name' here, give its number"):
            check_names(configured(*flags, **variables))


def test_groups_that_are_not_asked_for_need_not_be_known() -> None:
    check_names(configured(ISTIO_OUTBOUND_OWNER_GROUPS="7", ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE="no-such-name"))


def test_words() -> None:
    assert is_word("veth+") and is_word("eth0.1@x")
    assert not is_word("") and not is_word("a b") and not is_word("a\u2028b")
