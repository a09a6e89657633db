"""Somebody's configuration through Envoy and meshproxy: the same verdict, and the same answers to requests it asks for.

`python -m tests.parity.foreign FILE...` takes bootstraps that know nothing of these tests. Their listeners are moved to
free ports and their endpoints replaced by one server that answers with what it was asked; then requests are made up
from the routes (what they match, and what they just do not), and all that can be seen is compared.
"""
