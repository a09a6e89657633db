import os
from dataclasses import fields

import pytest

from meshproxy.process.options import Options, UsageError, parse_options

# What `envoy --help` of 1.40 lists, with a value where the flag takes one.
ENVOY = (
    "-c x", "--config-path x", "--config-yaml x", "--mode validate", "--concurrency 2", "-l debug", "--log-level debug",
    "--component-log-level upstream:debug,config:trace", "--log-format %v", "--log-format-escaped", "--log-path x",
    "--log-stacktrace-single-entry", "--enable-fine-grain-logging", "--admin-address-path x",
    "--local-address-ip-version v6", "--service-cluster x", "--service-node x", "--service-zone x",
    "--drain-time-s 5", "--drain-strategy immediate", "--parent-shutdown-time-s 7", "--file-flush-interval-msec 100",
    "--file-flush-min-size-kb 1", "--allow-unknown-static-fields", "--allow-unknown-fields",
    "--reject-unknown-dynamic-fields", "--ignore-unknown-dynamic-fields", "--skip-deprecated-logs",
    "--stats-tag tag:value", "--enable-core-dump", "--socket-mode 644", "--socket-path x", "--disable-extensions a,b",
    "--cpuset-threads", "--enable-mutex-tracing", "--disable-hot-restart", "--restart-epoch 1", "--base-id-path x",
    "--skip-hot-restart-parent-stats", "--skip-hot-restart-on-no-parent", "--use-dynamic-base-id", "--base-id 3",
)  # fmt: skip
# What pilot-agent starts a proxy with.
ISTIO = (
    "-c etc/istio/proxy/envoy-rev.json --drain-time-s 45 --drain-strategy immediate --local-address-ip-version v4 "
    "--file-flush-interval-msec 1000 --disable-hot-restart --allow-unknown-static-fields -l warning "
    "--component-log-level misc:error --skip-deprecated-logs --concurrency 2"
)


@pytest.mark.parametrize("flag", ENVOY)
def test_every_flag_of_envoy_is_taken(flag: str) -> None:
    options = parse_options(flag.split())
    assert options != Options()


def test_every_field_is_a_flag_of_envoy() -> None:
    ours = {"--" + field.name.replace("_", "-") for field in fields(Options)}
    assert ours - {flag.split()[0] for flag in ENVOY} == {"--on-sigterm"}


def test_istio() -> None:
    options = parse_options(ISTIO.split())
    assert (options.drain_time_s, options.concurrency, options.drain_strategy) == (45, 2, "immediate")
    assert options.allow_unknown_static_fields
    assert options.remarks() == ["--disable-hot-restart has no effect: there is no hot restart"]


def test_defaults_have_no_remarks() -> None:
    options = parse_options([])
    assert (options.mode, options.concurrency, options.drain_time_s, options.remarks()) == ("serve", 1, 600, [])


def test_all_cores() -> None:
    # As Envoy does.
    assert parse_options(["--concurrency", "0"]).concurrency == 1
    assert parse_options(["--cpuset-threads"]).concurrency == len(os.sched_getaffinity(0))
    assert parse_options(["--cpuset-threads", "--concurrency=3"]).concurrency == 3


def test_lists_and_the_rest_of_the_line() -> None:
    options = parse_options(["--stats-tag", "a:b", "--stats-tag", "c:d:e", "--", "anything", "--goes"])
    assert options.stats_tag == ["a:b", "c:d:e"]


@pytest.mark.parametrize(
    "line, reason",
    [
        ("--bogus", "unrecognized arguments: --bogus"),
        ("extra", "unrecognized arguments: extra"),
        ("--conc 2", "unrecognized arguments: --conc 2"),
        ("-c", "argument -c/--config-path: expected one argument"),
        ("-c a -c b", "argument -c/--config-path: is given twice"),
        ("--mode bogus", "argument --mode: invalid choice: 'bogus'"),
        ("--concurrency x", "argument --concurrency: 'x' is not a number from 0 to 4294967295"),
        ("--concurrency 1_0", "argument --concurrency: '1_0' is not a number"),
        ("--drain-time-s 4294967296", "'4294967296' is not a number"),
        ("--restart-epoch -1", "argument --restart-epoch: "),
        ("--drain-strategy foo", "argument --drain-strategy: invalid choice: 'foo'"),
        ("--local-address-ip-version v5", "argument --local-address-ip-version: invalid choice: 'v5'"),
        ("-l bogus", "invalid log level specified 'bogus'"),
        ("--component-log-level http", "component log level not correctly specified 'http'"),
        ("--component-log-level http:loud", "invalid log level specified 'loud'"),
        ("--stats-tag foo", "misformatted stats-tag 'foo'"),
        ("--stats-tag foo:", "misformatted stats-tag 'foo:'"),
        ("--stats-tag fo-o:x", "misformatted stats-tag 'fo-o:x'"),
        ("--stats-tag foo:a.b", "misformatted stats-tag 'foo:a.b'"),
    ],
)
def test_refused(line: str, reason: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_options(line.split())
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)
