"""`python -m meshproxy`."""

from meshproxy.process.cli import main

main()
