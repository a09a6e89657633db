"""HTTP/2 for either side: frames, HPACK, windows, and the connection that both ends share (RFC 9113, RFC 7541).

    frames.py      numbers, and how frames are written
    options.py     Http2Options: what may be set
    stats.py       Http2Stats: `http2.*`, and `cluster.<name>.http2.*`
    hpack_*.py     header blocks to and from pairs of (lower-case name, value), both Latin-1 text
    heads.py       pairs to RequestHead, ResponseHead or trailers: what of them is valid, as Envoy judges
    stream.py      Http2Stream: one stream's windows, what it still has to send, whether it is paused
    connection.py  Http2Connection(asyncio.Protocol): reads frames, one pass per read and one write per event

A side derives from the two classes. Of the connection:

    Http2Connection(options, stats, buffer_limit, client: bool)
      can_open() -> bool           client: the peer's MAX_CONCURRENT_STREAMS, ids, and GOAWAY allow one more stream
      next_id(), open(stream)      client: the id for a stream, and its entry; its write_headers then opens it
      send_ping(data), send_goaway(code, last=None, debug=b""), close(), abort()
      streams: dict[int, Http2Stream]; transport; peer_max_streams; peer_allows_connect; goaway_received; closing
    for the side to override
      make_stream(stream_id)       server: the peer opens a stream
      parse_head(pairs)            what on_headers of streams is given: heads.parse_request or heads.parse_response
      on_settings(), on_goaway(last, code, debug), on_ping_ack(data), stream_closed(stream)
      count_received(size), count_sent(size)
      on_broken(error)             the peer broke the protocol; GOAWAY was sent where Envoy sends one
      on_closed(error)             the socket is gone; `streams` has those that were not over

Of the stream, towards the peer (each is written at once, or at the end of the read that is being worked on):

    write_headers(pairs, end), write_data(data, end), write_trailers(pairs), write_reset(code)
    stop_reading(), start_reading()     the window is given back only while nobody has paused

and, for the side to override, from the peer:

    on_headers(head, end)        server: the request; client: each 1xx, and the response
    on_data(data, end)           end: these are the last bytes, and no trailers follow
    on_trailers(pairs)
    on_reset(code, remote)       remote: the peer's RST_STREAM; else the connection broke or was closed from here
    on_write_paused(), on_write_resumed()     more than `buffer_limit` bytes wait for windows or for the socket; no more

A stream is done when both ends are, or with a reset from either side; after that none of its methods does anything.
"""
