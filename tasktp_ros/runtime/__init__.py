"""A network in use: loading it, giving it a task, running it on a device, reading its results."""
