"""The `overread` command: parses arguments, calls the rooms below, prints results.

Nothing imports this room. Its files import heavy packages inside functions, so that
`overread --help` is fast.
"""
