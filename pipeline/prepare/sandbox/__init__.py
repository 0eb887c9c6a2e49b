"""What a decoder process gives up before it sees a file, so that owning it gains nothing.

Each layer is best effort, since kernels differ; `contain` says which of them hold.
"""
