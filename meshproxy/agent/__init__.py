"""What stands beside a proxy: identities and certificates (Istio's pilot-agent and the CA of istiod).

Nothing here moves a byte of traffic: it writes the files that the proxy reads.
"""
