"""`python -m zcframe` is the command `zcframe`."""

import sys

from zcframe.framework.cli import main

sys.exit(main())
