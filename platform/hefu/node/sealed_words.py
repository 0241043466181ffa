"""Words that only named parties may read: a complaint, the identifier of a data subject (K3, K13; white paper A, 3.3).

They are sealed where they are taken in (signed, then encrypted to each reader under the sealing key that the contract pins)
and opened at the reader's node alone; opening is recorded, the words never are.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from sqlmodel import Session

from hefu.domain.contract import Contract
from hefu.domain.filings import read_filing
from hefu.domain.filings.events import Complaint, SubjectRequest
from hefu.keys.errors import SealInvalid
from hefu.keys.public import load_public_ed25519, load_public_x25519
from hefu.keys.sealing import SealHeader, open_sealed, seal
from hefu.node.context import NodeContext
from hefu.node.filings import newest_version
from hefu.node.refusals import not_found, refuse
from hefu.store.node_tables import FilingRow
from hefu.store.signed import decode_envelope


def seal_words(
    ctx: NodeContext, contract: Contract, kind: str, words: str, readers: Iterable[str], due_on: str
) -> dict[str, str]:
    """The words, sealed to each reader; base64. Readers are parties of the contract.

    raises  Refusal 422 words_too_long
    """
    if len(words.encode()) > 5000:
        raise refuse(
            422,
            "words_too_long",
            "内容过长，加密后超出备案文件的上限",
            "the text is too long to travel in a filing",
            "请缩短至约 1600 个汉字以内",
            "shorten it to 5000 bytes",
            party=ctx.org_id,
            limit="5000 bytes",
        )
    return {
        reader: base64.b64encode(
            seal(
                _header(ctx.org_id, reader, contract.contract_id, kind, due_on),
                words.encode(),
                sender_key=ctx.keys.identity,
                recipient_key=load_public_x25519(contract.party(reader).sealing_key),
            )
        ).decode()
        for reader in dict.fromkeys(readers)
    }


def open_words(ctx: NodeContext, digest: str, user: str) -> str:
    """What a complaint or request says, where it is sealed to this organisation. Records that it was opened, and by whom.

    raises  Refusal: not_found (404) · not_addressed (403) · seal_invalid (409)
    """
    with ctx.session() as session:
        row = session.get(FilingRow, digest)
        filing = None if row is None else read_filing(decode_envelope(row.envelope).payload)
        if not isinstance(filing, Complaint | SubjectRequest) or filing.contract_id is None:
            raise not_found("投诉或请求", "complaint or request", digest)
        contract, words = unseal(ctx, session, filing)
        ctx.record(
            session,
            "sealed_words_opened",
            {"kind": filing.kind, "filing": digest, "by": user},
            contract=contract.digest,
        )
        session.commit()
    return words


def unseal(ctx: NodeContext, session: Session, filing: Complaint | SubjectRequest) -> tuple[Contract, str]:
    """The contract, and the words that were sealed to this organisation; nothing is recorded.

    raises  Refusal: not_addressed (403) · seal_invalid (409) · not_found (404)
    """
    contract = newest_version(session, filing.contract_id or "")
    blob = filing.sealed.get(ctx.org_id)
    if blob is None:
        raise refuse(
            403,
            "not_addressed",
            "该内容没有封装给本机构",
            "this was not sealed to this organisation",
            "请由合约约定的责任方或数据持有方打开",
            "the responsible party or a holder opens it",
            party=filing.responsible,
        )
    try:
        words = open_sealed(
            base64.b64decode(blob, validate=True),
            expected=_header(filing.issuer, ctx.org_id, contract.contract_id, filing.kind, filing.due_on),
            recipient_key=ctx.keys.sealing,
            sender_key=load_public_ed25519(contract.party(filing.issuer).identity_key),
        ).decode()
    except (SealInvalid, binascii.Error, UnicodeDecodeError) as error:
        raise refuse(
            409,
            "seal_invalid",
            "封装内容无法验证，未打开",
            "what is sealed does not verify and was not opened",
            "请受理方重新提交",
            "ask the party that took it in to file it again",
            party=filing.issuer,
        ) from error
    return contract, words


def _header(sender: str, reader: str, contract_id: str, kind: str, due_on: str) -> SealHeader:
    return SealHeader(
        sender=sender, recipient=reader, contract=contract_id, job="", attempt=0, date=due_on, kind=kind
    )
