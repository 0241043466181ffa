"""Models as the page shows them: shares in every part, licences in force, who may use them (K6; white paper A, 3.6)."""

from __future__ import annotations

from hefu.domain.businessdays import business_date
from hefu.domain.filings.models import ModelRegistration
from hefu.domain.rules.models import licences_in_force, registration_of, who_may_use
from hefu.node.compliance_models import ModelLicence, ModelUser, ModelView
from hefu.node.context import NodeContext
from hefu.node.live_contracts import all_filings
from hefu.store.base import now


def list_models(ctx: NodeContext) -> list[ModelView]:
    """Every registered model, by its first registration in force."""
    today = business_date(now())
    with ctx.session() as session:
        filed = all_filings(session)
    found = []
    for model_id in dict.fromkeys(r.model_id for r in filed.all(ModelRegistration)):
        registration = registration_of(filed, model_id, today)
        if registration is None:
            continue
        found.append(
            ModelView(
                model_id=model_id,
                contract_id=registration.contract_id,
                registered_by=registration.issuer,
                digest=registration.digest,
                ownership=[share.model_dump(mode="json") for share in registration.ownership],
                parts=dict(registration.parts),
                licences=[
                    ModelLicence(
                        licensee=grant.licensee,
                        licence=grant.licence.value,
                        may_sublicense=grant.may_sublicense,
                        may_customise=grant.may_customise,
                        territory=grant.territory,
                        valid_until=grant.valid_until,
                        max_predictions=grant.max_predictions,
                    )
                    for grant in licences_in_force(filed, model_id, today)
                ],
                users=[
                    ModelUser(org_id=p.org_id, standing=p.standing, purposes=list(p.purposes))
                    for p in who_may_use(filed, model_id, today)
                ],
            )
        )
    return found
