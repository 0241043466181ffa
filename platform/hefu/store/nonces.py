"""Nonces of signed requests, kept in the database so that a replay after a restart is still seen."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, text


class DatabaseNonces:
    """`NonceStore` of the wire guard over the `nonce` table."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen = 0

    def remember(self, sender: str, nonce: str, expires_at: datetime) -> bool:
        """Keep a nonce; False when it was there already. Every thousandth call clears out those that are too old."""
        with self._engine.begin() as connection:
            done = connection.execute(
                text(
                    "insert into nonce (sender, nonce, expires_at) values (:s, :n, :e) on conflict do nothing"
                ),
                {"s": sender, "n": nonce, "e": expires_at},
            )
            self._seen += 1
            if self._seen % 1000 == 0:
                connection.execute(text("delete from nonce where expires_at < now()"))
            return done.rowcount == 1
