"""The judge: one scenario, run against a real Envoy and against meshproxy, and the two observations compared.

scenario    a YAML file becomes a Scenario                 upstreams   scripted servers on real sockets
render      Scenarios become one Envoy bootstrap           client      the scripted client
proxies     a proxy process: start, ask, stop              wire        one socket, and HTTP/1 as it really was
world       a proxy, its scenarios, and one run of each    normalise   what may differ between two runs is masked
compare     two observations become a list of differences  __main__    the table for a person
"""
