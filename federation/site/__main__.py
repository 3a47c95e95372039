"""`python -m federation.site`: see cli."""

import sys

from federation.site.cli import main

sys.exit(main())
