"""What runs in a pod beside its proxy and knows nothing of it: HTTP, a protocol whose server speaks first, echo, DNS.

python -m tests.kit.app NAME http:9080 greet:3306 echo:5000 dns:15053 https:9443:FOLDER

FOLDER has cert-chain.pem and key.pem, as `meshproxy ca` makes them.
"""

import asyncio
import json
import socket
import ssl
import sys
from typing import Any

ANSWER = "192.0.2.53"


def _text(name: Any) -> str:
    return f"{name[0].removeprefix('::ffff:')}:{name[1]}"


async def http(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Tells as JSON what arrived."""
    while True:
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        except asyncio.IncompleteReadError:
            return
        headers = dict(line.lower().split(": ", 1) for line in lines)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        seen = {
            "pod": name, "peer": _text(writer.get_extra_info("peername")), "line": first, "headers": headers,
            "local": _text(writer.get_extra_info("sockname")), "body": len(body),
        }  # fmt: skip
        answer = json.dumps(seen).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
        writer.write(f"content-length: {len(answer)}\r\n\r\n".encode() + answer)


async def greet(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As MySQL does: nothing is read before the client was greeted."""
    writer.write(f"{name} greets {_text(writer.get_extra_info('peername'))}\n".encode())
    writer.write(await reader.readline())


async def echo(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(f"{name} ".encode() + await reader.readline())


async def dns(_name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    length = int.from_bytes(await reader.readexactly(2), "big")
    answer = resolve(await reader.readexactly(length))
    writer.write(len(answer).to_bytes(2, "big") + answer)


class DnsOverUdp(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.transport.sendto(resolve(data), address)


def resolve(query: bytes) -> bytes:
    """Every name has the address ANSWER."""
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(ANSWER)
    return query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:] + record


async def serve(name: str, wanted: list[str]) -> None:
    kinds = {"http": http, "https": http, "greet": greet, "echo": echo, "dns": dns}
    for each in wanted:
        kind, port, *folder = each.split(":")
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if folder else None
        if tls is not None:
            tls.load_cert_chain(f"{folder[0]}/cert-chain.pem", f"{folder[0]}/key.pem")

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str = kind) -> None:
            try:
                await kinds[kind](name, reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                return
            finally:
                writer.close()

        # As Istio's agent: answers have to come from where redirected questions went.
        host = "127.0.0.1" if kind == "dns" else None
        await asyncio.start_server(handle, host, int(port), ssl=tls)
        if kind == "dns":
            await asyncio.get_running_loop().create_datagram_endpoint(DnsOverUdp, (host, int(port)))
    print("ready", flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2:]))
