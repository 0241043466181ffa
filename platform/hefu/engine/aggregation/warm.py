"""Nothing to compile: masks are AES keystreams added by numpy."""


def warm() -> None:
    """For symmetry with the other packages."""
