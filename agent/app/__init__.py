"""The unit's loops, in one TaskGroup: ports, writer, uplink, signals (EDGE section 1).

Law: wait, read the clock once, hand to the core, carry out its answer, ask for the next deadline. `facts` is the way of a fact,
`line` the way to the collector, `unit` the whole and `run` what comes before it; `identity`, `check` and `view` serve the command line.
"""
