"""Differences, their places, and the ones that are meant."""

from .compare import ABSENT, Difference, differences, judge

ENVOY = {"client": {"a": [{"start": "200", "headers": ["a: 1", "b: 2"]}, {"fate": "open"}]}}
OURS = {"client": {"a": [{"start": "200", "headers": ["b: 2", "a: 1"]}, {"fate": "fin"}, {"bytes": "x"}]}}


def test_equal_observations_have_no_differences() -> None:
    assert list(differences(ENVOY, ENVOY)) == []


def test_header_lists_are_one_difference_and_missing_entries_are_absent() -> None:
    assert list(differences(ENVOY, OURS)) == [
        Difference("client.a.0.headers", ["a: 1", "b: 2"], ["b: 2", "a: 1"]),
        Difference("client.a.1.fate", "open", "fin"),
        Difference("client.a.2", ABSENT, {"bytes": "x"}),
    ]


def test_numbers_and_text_differ() -> None:
    assert len(list(differences({"code": 1}, {"code": "1"}))) == 1
    assert len(list(differences({"code": 1}, {"code": True}))) == 1


def test_meant_differences_pass_with_their_reason() -> None:
    verdict = judge({"a": 1, "b": 1}, {"a": 2, "b": 2}, {"*": "we know better"})
    assert verdict.passed
    assert [difference.reason for difference in verdict.meant] == ["we know better"] * 2


def test_other_differences_still_fail() -> None:
    verdict = judge({"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": "reason"})
    assert [difference.place for difference in verdict.unmeant] == ["b"]


def test_a_proxy_that_did_not_run_differs_once() -> None:
    verdict = judge(ENVOY, {"refused": "no such field"}, {})
    assert [difference.place for difference in verdict.unmeant] == ["refused"]
    assert "no such field" in str(verdict)


def test_to_refuse_may_be_meant_but_not_by_a_pattern() -> None:
    assert judge(ENVOY, {"refused": "no such field"}, {"refused": "not yet"}).passed
    assert not judge(ENVOY, {"refused": "no such field"}, {"*": "we know better"}).passed


def test_to_crash_is_never_meant() -> None:
    assert not judge(ENVOY, {"crashed": "Traceback"}, {"crashed": "never mind"}).passed


def test_a_meant_difference_that_is_gone_fails() -> None:
    verdict = judge({"a": 1}, {"a": 1}, {"a": "reason"})
    assert not verdict.passed
    assert "both do the same" in str(verdict)
