"""`python -m contagium.sim.analysis.blind RUN_DIR`."""

import sys

from contagium.sim.analysis.blind.detection import main

sys.exit(main())
