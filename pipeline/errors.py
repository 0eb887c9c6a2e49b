"""What can be wrong with a file, in words for the person who sent it."""


class PipelineError(Exception):
    """Base of everything that `pipeline` raises on purpose."""


class RefusedError(PipelineError):
    """The file's fault: one plain clause, without the file's name and without patient data.

    Callers that show it put the file's name in front: `f"{name}: {error}"`.
    """


class NetworkFolderError(PipelineError):
    """A model version's folder is incomplete, damaged, or of another format."""
