"""What costs something to know, and is measured only where a format that was compiled asks for it."""


class Demand:
    """One per process: a format sets its mark when it is compiled, and what begins after that is measured.

    wire: bytes on the wire and in heads, of HTTP/1 connections. route_time: how long the look-up of routes takes.
    """

    __slots__ = ("route_time", "wire")

    def __init__(self) -> None:
        self.wire = False
        self.route_time = False


DEMAND = Demand()
