"""What goes over an interface, byte by byte: frames to a file until the end is asked for (see packet(7)).

python -m tests.kit.wire FILE INTERFACE
"""

import signal
import socket
import sys
from types import FrameType

EVERYTHING = 0x0003
"ETH_P_ALL: all protocols, in both directions."


def main(path: str, interface: str) -> None:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERYTHING))
    wire.bind((interface, 0))

    def end(_number: int, _frame: FrameType | None) -> None:
        # What is waiting has been on the wire before.
        wire.setblocking(False)

    signal.signal(signal.SIGTERM, end)
    with open(path, "wb") as file:
        print("ready", flush=True)
        while True:
            try:
                file.write(wire.recv(1 << 16))
            except BlockingIOError:
                return


if __name__ == "__main__":
    main(*sys.argv[1:])
