"""Nothing to compile: this package works on gmpy2's integers and TenSEAL's polynomials."""


def warm() -> None:
    """Load what loads slowly."""
    from hefu.engine.he.lattice import _tenseal

    _tenseal()
