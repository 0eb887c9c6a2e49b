"""A storm over a whole service: `python -m tests.chaos`, or `make chaos`.

files   what is sent, and what must become of each
rig     the service, its database, its disk and the sender, as real processes
faults  what is done to them
storm   when it is done
people  what others do meanwhile
verdict what was lost
report  the table
"""
