"""`meshproxy ca`: two lines give a workload what mutual TLS needs, and nothing that could hurt is written over."""

import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from meshproxy.agent.ca import main

REPOSITORY = Path(__file__).parents[2]


def names(path: Path) -> x509.SubjectAlternativeName:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def handshake(server: Path, client: Path) -> str:
    """Both sides in memory, each demanding the other's certificate: the client's name as the server sees it."""
    contexts = []
    for side, folder in ((ssl.PROTOCOL_TLS_SERVER, server), (ssl.PROTOCOL_TLS_CLIENT, client)):
        context = ssl.SSLContext(side)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "root-cert.pem")
        context.load_cert_chain(folder / "cert-chain.pem", folder / "key.pem")
        contexts.append(context)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [contexts[0].wrap_bio(up, down, server_side=True), contexts[1].wrap_bio(down, up)]
    done: set[int] = set()
    for _ in range(10):
        for number, end in enumerate(ends):
            try:
                end.do_handshake()
                done.add(number)
            except ssl.SSLWantReadError:
                continue
        if len(done) == 2:
            break
    peer = ends[0].getpeercert()
    assert peer is not None
    return str(peer["subjectAltName"][0][1])


def test_two_lines_are_enough_for_mutual_tls(tmp_path: Path) -> None:
    folder = ["--dir", str(tmp_path)]
    assert main(["init", *folder]) == 0
    assert main(["issue", *folder, "default/reviews", "default/ratings"]) == 0
    assert handshake(tmp_path / "ratings", tmp_path / "reviews") == "spiffe://cluster.local/ns/default/sa/reviews"


def test_as_a_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "meshproxy", "ca"]
    done = subprocess.run([*command, "init", "--dir", tmp_path, "--trust-domain", "td1"], cwd=REPOSITORY,
                          capture_output=True, text=True)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tmp_path}/root-cert.pem: the root of td1, until ")
    assert subprocess.run(command, cwd=REPOSITORY, capture_output=True).returncode == 2


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    main(["init", "--dir", str(tmp_path)])
    main(["issue", "--dir", str(tmp_path), "a/b"])
    for key in (tmp_path / "ca-key.pem", tmp_path / "b" / "key.pem"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not list(tmp_path.rglob(".*"))


def test_further_names(tmp_path: Path) -> None:
    main(["init", "--dir", str(tmp_path)])
    more = ["--dns", "gateway.example", "--dns", "*.example", "--ip", "10.0.0.1", "--ip", "::1"]
    assert main(["issue", "--dir", str(tmp_path), "spiffe://cluster.local/ns/edge/sa/gateway", *more]) == 0
    found = names(tmp_path / "gateway" / "cert-chain.pem")
    assert found.get_values_for_type(x509.DNSName) == ["gateway.example", "*.example"]
    assert [str(ip) for ip in found.get_values_for_type(x509.IPAddress)] == ["10.0.0.1", "::1"]


def test_again_renews(tmp_path: Path) -> None:
    main(["init", "--dir", str(tmp_path)])
    main(["issue", "--dir", str(tmp_path), "a/b"])
    chain = tmp_path / "b" / "cert-chain.pem"
    before = x509.load_pem_x509_certificate(chain.read_bytes())
    main(["issue", "--dir", str(tmp_path), "a/b"])
    after = x509.load_pem_x509_certificate(chain.read_bytes())
    assert after.serial_number != before.serial_number
    assert handshake(tmp_path / "b", tmp_path / "b")


def test_no_certificate_outlives_the_root(tmp_path: Path) -> None:
    main(["init", "--dir", str(tmp_path), "--days", "1"])
    main(["issue", "--dir", str(tmp_path), "a/b", "--days", "90"])
    root, leaf = (
        x509.load_pem_x509_certificate(path.read_bytes())
        for path in (tmp_path / "root-cert.pem", tmp_path / "b" / "cert-chain.pem")
    )
    assert leaf.not_valid_after_utc <= root.not_valid_after_utc


def test_a_root_is_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "--dir", str(tmp_path)])
    before = (tmp_path / "root-cert.pem").read_bytes()
    assert main(["init", "--dir", str(tmp_path)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "root-cert.pem").read_bytes() == before


def test_without_a_root_it_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["issue", "--dir", str(tmp_path), "a/b"]) == 1
    assert f"meshproxy ca init --dir {tmp_path} makes it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("reviews", "neither spiffe://cluster.local/... nor"),
        ("a/b/c", "neither spiffe://cluster.local/... nor"),
        ("spiffe://other/ns/a/sa/b", "is not of the trust domain cluster.local"),
        ("spiffe://cluster.local", "names nobody"),
        ("spiffe://cluster.local/a/../b", "a part of its path is '..'"),
        ("spiffe://cluster.local//b", "a part of its path is ''"),
        ("../..", "a part of its path is '..'"),
        ("a/b\nc", "a part of its path"),
        ("spiffe://UPPER/a", "is no trust domain"),
        ("a/" + "b" * 2100, "is longer than 2048 bytes"),
    ],
)
def test_names_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, why: str) -> None:
    main(["init", "--dir", str(tmp_path)])
    assert main(["issue", "--dir", str(tmp_path), name]) == 1
    assert why in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"root-cert.pem", "ca-key.pem"}


def test_a_key_of_somebody_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("one", "two"):
        main(["init", "--dir", str(tmp_path / folder)])
    (tmp_path / "one" / "ca-key.pem").write_bytes((tmp_path / "two" / "ca-key.pem").read_bytes())
    assert main(["issue", "--dir", str(tmp_path / "one"), "a/b"]) == 1
    assert "the key is not that of the certificate" in capsys.readouterr().err


@pytest.mark.parametrize("days", ["0", "-1", "x", "36501", "1_0"])
def test_days_that_are_none(tmp_path: Path, days: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["init", "--dir", str(tmp_path), "--days", days])
    assert ended.value.code == 2
