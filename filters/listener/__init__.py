"""Listener filters: what looks at a connection's first bytes before a filter chain is chosen."""
