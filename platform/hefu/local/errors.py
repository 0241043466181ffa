"""Errors of the local system.

LocalError
├─ PostgresError          the local PostgreSQL cannot be used
│  ├─ ProgramsMissing     no PostgreSQL programs were found
│  ├─ DirectoryUnusable   the directory cannot be read by the user PostgreSQL runs as
│  ├─ StartFailed         the server did not come up; carries its last log lines
│  └─ DurabilityOff       fsync, synchronous_commit or full_page_writes is off
├─ ConfinementError       the kernel refused a rule it had announced
├─ DemoFailed             the demo could not do what it is there to show; says why, and how to mend it
├─ ServiceFailed          a service ended or did not become ready; carries its last log lines
└─ NoFreePort             no port could be reserved
"""


class LocalError(Exception):
    """Something about the local system, not about a contract or a job."""


class PostgresError(LocalError):
    """The local PostgreSQL cannot be used."""


class ProgramsMissing(PostgresError):
    """No PostgreSQL programs were found."""


class DirectoryUnusable(PostgresError):
    """The directory cannot be reached by the user PostgreSQL runs as."""


class StartFailed(PostgresError):
    """The server did not come up."""


class DurabilityOff(PostgresError):
    """A setting that keeps committed rows on disk is off."""


class ConfinementError(LocalError):
    """The kernel refused a rule it had announced."""


class DemoFailed(LocalError):
    """The demo could not do what it is there to show; says why, and how to mend it."""


class ServiceFailed(LocalError):
    """A service ended or did not become ready in time."""


class NoFreePort(LocalError):
    """No port could be reserved."""
