"""The local cluster: separate roles, nothing open to everybody, survival of a killed server."""

import psycopg
import pytest

pytestmark = pytest.mark.server


def test_role_reaches_its_own_database(database):
    with psycopg.connect(database.dsn) as connection:
        assert connection.execute("SELECT current_user, current_database()").fetchone() == (
            database.user,
            database.name,
        )
