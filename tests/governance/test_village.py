"""The whole platform in one process carries a job through every stage, and the gates' evidence is in the ledger."""

from datetime import timedelta
from typing import Any

import pytest
from hefu.domain.businessdays import business_date
from hefu.local import bootstrap
from hefu.store.base import now

pytestmark = pytest.mark.server


def test_a_job_from_request_to_release(village: Any) -> None:
    yesterday = business_date(now()) - timedelta(days=1)
    with village.people():
        digest = bootstrap.sign_contract(village.system, yesterday)
        bootstrap.file_everything(village.system, digest)
    for org_id, name in bootstrap.DATA_SETS.items():
        content = "serial,type,amount,party_id,occurred_at\n" + "".join(
            f"S{n},loan,{n}.00,ID{n},{yesterday}T10:00:00\n" for n in range(1, 6)
        )
        village.at(org_id).upload(
            f"/console/data-sets/{name}/files?day={yesterday}", "day.csv", content.encode()
        )
    job = village.request(bootstrap.CONTRACT_ID, yesterday)
    answer = village.carry(job)
    assert answer["verdict"]["passed"], answer
