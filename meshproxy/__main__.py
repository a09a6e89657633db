"""`python -m meshproxy`."""

import sys

from meshproxy.process.cli import main

sys.exit(main())
