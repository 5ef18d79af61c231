"""Object search (the paper's table II): how many images, and how much time, until a driving robot has found one object.

`steps` reads what can be seen, `queries` draws what is searched for, `protocol` says when it is found, `measure` runs
detectors, `report` adds up.
"""
