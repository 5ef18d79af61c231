"""The `tasktp` command: one module per subcommand, each usable without ROS unless it says otherwise."""
