"""Following the coordinator's schedules: only what differs is touched, and the coming runs are planned at once."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from hefu_flows.deployments import sync_schedules
from hefu_flows.messages import ContractSchedule
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.schedules import CronSchedule

DEPLOYMENT = uuid4()


class PrefectInMemory:
    """The four requests about schedules, as the server answers them: an update without parameters empties them."""

    def __init__(self) -> None:
        self.kept: dict[UUID, DeploymentSchedule] = {}
        self.planned = 0

    async def read_deployment_schedules(self, deployment_id: UUID) -> list[DeploymentSchedule]:
        return list(self.kept.values())

    async def create_deployment_schedules(self, deployment_id: UUID, schedules: list[Any]) -> None:
        for new in schedules:
            schedule = DeploymentSchedule(
                schedule=new.schedule, active=new.active, parameters=new.parameters, slug=new.slug
            )
            self.kept[schedule.id] = schedule

    async def update_deployment_schedule(
        self,
        deployment_id: UUID,
        schedule_id: UUID,
        active: bool,
        schedule: CronSchedule,
        parameters: dict[str, Any] | None = None,
    ) -> None:
        changes = {"active": active, "schedule": schedule, "parameters": parameters or {}}
        self.kept[schedule_id] = self.kept[schedule_id].model_copy(update=changes)

    async def delete_deployment_schedule(self, deployment_id: UUID, schedule_id: UUID) -> None:
        del self.kept[schedule_id]

    async def request(self, method: str, path: str, **_: Any) -> None:
        assert (method, path) == ("POST", "/deployments/{id}/schedule")
        self.planned += 1


def contract(number: int, cron: str = "30 2 * * *", *, paused: bool = False) -> ContractSchedule:
    return ContractSchedule(
        contract_id=f"C-2026-{number}",
        cron=cron,
        time_zone="Asia/Shanghai",
        run_days="cn_workdays",
        paused=paused,
    )


def shown(prefect: PrefectInMemory) -> dict[str, tuple[str, bool, dict[str, Any]]]:
    return {
        str(kept.slug): (kept.schedule.cron, kept.active, kept.parameters)  # type: ignore[union-attr]
        for kept in prefect.kept.values()
    }


def sync(prefect: Any, *contracts: ContractSchedule) -> None:
    asyncio.run(sync_schedules(prefect, DEPLOYMENT, contracts))


@pytest.fixture
def prefect() -> PrefectInMemory:
    memory = PrefectInMemory()
    sync(memory, contract(1), contract(2))
    return memory


def test_new_contracts_get_a_schedule(prefect: PrefectInMemory) -> None:
    assert shown(prefect) == {
        "C-2026-1": ("30 2 * * *", True, {"contract_id": "C-2026-1"}),
        "C-2026-2": ("30 2 * * *", True, {"contract_id": "C-2026-2"}),
    }
    assert prefect.planned == 1


def test_nothing_is_touched_when_nothing_changed(prefect: PrefectInMemory) -> None:
    before = dict(prefect.kept)
    sync(prefect, contract(2), contract(1))
    assert prefect.kept == before
    assert prefect.planned == 1


def test_moved_and_paused_schedules_keep_their_contract(prefect: PrefectInMemory) -> None:
    sync(prefect, contract(1, "0 4 * * *"), contract(2, paused=True))
    assert shown(prefect) == {
        "C-2026-1": ("0 4 * * *", True, {"contract_id": "C-2026-1"}),
        "C-2026-2": ("30 2 * * *", False, {"contract_id": "C-2026-2"}),
    }
    assert prefect.planned == 2


def test_an_ended_contract_loses_its_schedule_and_the_others_keep_their_coming_runs(
    prefect: PrefectInMemory,
) -> None:
    sync(prefect, contract(1))
    assert list(shown(prefect)) == ["C-2026-1"]
    assert prefect.planned == 2
