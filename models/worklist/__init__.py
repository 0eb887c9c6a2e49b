"""What the work list sorts, filters and counts by, kept with each change. Called by whoever records
predictions, reads uploads or purges, in the same transaction.
"""
