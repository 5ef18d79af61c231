"""`python -m tasktp_ros.nodes.perception`."""

import sys

from tasktp_ros.nodes.perception import main

sys.exit(main())
