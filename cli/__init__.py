"""The `overread` command: translates words on a command line into calls, and answers into text.

Nothing imports this room. Its files import heavy packages inside functions, so that
`overread --help` answers at once.
"""
