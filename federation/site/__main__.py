"""`python -m federation.site`: see cli."""

import atexit
import gc
import sys

from federation.site.cli import main

# Not once more through every object for cycles: with torch that is a second in which a site that
# was asked to stop does not stop.
atexit.register(gc.freeze)
sys.exit(main())
