"""The init container: the rules of iptables and nftables that send a pod's traffic to the proxy.

Imported as ``meshproxy.iptables``. Nothing lives here yet: the capture rules come with transparent interception.
"""
