"""Recomputing what the monitors published, from the topics alone, row by row and with reference libraries.

`reading` reads the topics; everything else is pure. Event time is the monitors' own (`atalaia.windows`,
`atalaia.monitors.clock`), since it is what they promise; what they count, join and compute is done again
here by other means: no panes, no counts that merge, no state, no Redis.
"""
