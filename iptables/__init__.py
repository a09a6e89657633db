"""The init container: the rules of iptables and nftables that send a pod's traffic to the proxy.

Imported as ``meshproxy.iptables``; run as ``meshproxy iptables``, ``istio-iptables`` or ``istio-clean-iptables``.
It reads the flags and environment variables of Istio's program of that name and makes the same rules, to the letter.

    cli        the command: flags in, a status out      rules, restore      iptables: configuration in, lines out
    flags      a command line as Go programs read it    nft                 nftables: configuration in, a script out
    options    the flags, and the configuration         tools, commands     which programs, and running them
    host       what is read from the machine            complaints          what they complain about
    checks     what cannot be meant                     apply, clean        what is there becomes what is planned
    owners     users and groups                         snapshot            as it was, when something failed
    addresses  address ranges as Go reads them          routes, netlink     ::6 on lo, and TPROXY's routing
    namespace  whose network this is about              validation          do the rules work

It imports nothing of the proxy, and little of Python: it runs before every pod starts.
"""
