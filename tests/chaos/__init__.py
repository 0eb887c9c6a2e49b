"""Fault injection into a whole service: `python -m tests.chaos`, or `make chaos`.

files     what is sent, and the expected state of each file
rig       the service, its database, its disk and the sender, as real processes
faults    the faults
injector  when they are injected
users     what users do at the same time
verdict   what was lost
report    the table
"""
