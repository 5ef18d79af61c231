"""`python -m tasktp_ros.nodes.player`."""

import sys

from tasktp_ros.nodes.player import main

sys.exit(main())
