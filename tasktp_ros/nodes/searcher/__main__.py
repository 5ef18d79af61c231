"""`python -m tasktp_ros.nodes.searcher`."""

import sys

from tasktp_ros.nodes.searcher import main

sys.exit(main())
