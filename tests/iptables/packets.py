"""What rules do with a packet: walks the lines for iptables-restore as the kernel walks its chains."""

import ipaddress
from collections.abc import Iterator


class Packet:
    """The first packet of a connection; ``uid`` and ``gid`` are the sender's, if it is a process here."""

    def __init__(
        self,
        dst: str,
        dport: int = 80,
        *,
        src: str = "10.0.0.1",
        sport: int = 40000,
        uid: int = 1000,
        gid: int = 1000,
        mark: int = 0,
        connmark: int = 0,
        state: str = "NEW",
        proto: str = "tcp",
        nic: str = "eth0",
    ) -> None:
        self.dst, self.src = ipaddress.ip_address(dst), ipaddress.ip_address(src)
        self.dport, self.sport = dport, sport
        self.uid, self.gid = uid, gid
        self.mark, self.connmark = mark, connmark
        self.state, self.proto, self.nic = state, proto, nic


Chains = dict[str, list[list[str]]]


def chains_of(lines: list[str], table: str) -> Chains:
    chains: Chains = {}
    inside = ""
    for words in map(str.split, lines):
        if words[0] == "*":
            inside = words[1]
        elif inside != table or words[0] == "COMMIT":
            continue
        elif words[0] == "-N":
            chains[words[1]] = []
        elif words[0] == "-A":
            chains.setdefault(words[1], []).append(words[2:])
        elif words[0] == "-I":
            chains.setdefault(words[1], []).insert(int(words[2]) - 1, words[3:])
    return chains


def fate(lines: list[str], table: str, chain: str, packet: Packet) -> str:
    """``REDIRECT 15001``, ``TPROXY 15006``, ``DROP``, ``zone 1``, or ``pass``. Marks are set on the packet."""
    return _walk(chains_of(lines, table), chain, packet) or "pass"


def _walk(chains: Chains, chain: str, packet: Packet) -> str:
    for rule in chains.get(chain, []):
        at = rule.index("-j")
        if not all(_matches(rule[:at], packet)):
            continue
        target, options = rule[at + 1], rule[at + 2 :]
        match target:
            case "RETURN":
                return ""
            case "ACCEPT" | "DROP":
                return target
            case "REDIRECT":
                return f"REDIRECT {options[1]}"
            case "TPROXY":
                return f"TPROXY {options[options.index('--on-port') + 1]}"
            case "CT":
                return f"zone {options[1]}"
            case "MARK":
                packet.mark = int(options[1])
            case "CONNMARK":
                if options == ["--save-mark"]:
                    packet.connmark = packet.mark
                else:
                    packet.mark = packet.connmark
            case _:
                verdict = _walk(chains, target, packet)
                if verdict:
                    return verdict
    return ""


def _matches(words: list[str], packet: Packet) -> Iterator[bool]:
    rest = iter(words)
    negated, module = False, ""
    for word in rest:
        if word == "!":
            negated = True
            continue
        value = next(rest)
        if word == "-m":
            module = value
            continue
        yield _matches_one(f"connmark {word}" if module == "connmark" else word, value, packet) != negated
        negated = False


def _matches_one(option: str, value: str, packet: Packet) -> bool:
    match option:
        case "-p":
            return packet.proto == value
        case "-i" | "-o":
            return packet.nic == value
        case "-s":
            return packet.src in ipaddress.ip_network(value, strict=False)
        case "-d":
            return packet.dst in ipaddress.ip_network(value, strict=False)
        case "--dport" | "--dports":
            return str(packet.dport) in value.split(",")
        case "--sport":
            return str(packet.sport) == value
        case "--uid-owner":
            return str(packet.uid) == value
        case "--gid-owner":
            return str(packet.gid) == value
        case "--ctstate":
            return packet.state in value.split(",")
        case "--mark":
            return str(packet.mark) == value
        case "connmark --mark":
            return str(packet.connmark) == value
    raise AssertionError(f"no packet knows {option}")
