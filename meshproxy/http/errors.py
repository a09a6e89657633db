"""What a codec raises when a peer breaks the protocol."""


class CodecError(Exception):
    """A message that must not go on.

    status: the answer a client gets (an upstream's error becomes 502 at the router). details: Envoy's
    %RESPONSE_CODE_DETAILS%, for example `http1.codec_error`.
    """

    def __init__(self, details: str, status: int = 400) -> None:
        super().__init__(details)
        self.details = details
        self.status = status
