"""`python -m tasktp_ros.nodes.task_manager`."""

import sys

from tasktp_ros.nodes.task_manager import main

sys.exit(main())
