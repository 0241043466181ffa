"""The contract's text as a PDF: every signature with signer, key id, time and digest; the contract's digest on each page.

Chinese is set in STSong-Light, a CID font that PDF readers bring along (Adobe-GB1). The same contract and signatures give
the same bytes: the file carries no time of its making.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from sqlmodel import Session, select

from hefu.domain.contract import Contract
from hefu.domain.contract_text import ContractText, Language, render
from hefu.domain.filings.admission import Signatory
from hefu.node.context import NodeContext
from hefu.store.node_tables import ContractSignatureRow, FilingRow
from hefu.store.signed import decode_envelope

_FONT = "STSong-Light"


@dataclass(frozen=True)
class SignatureLine:
    """A verified signature as it is printed. `digest`: SHA-256 of its envelope; `signatory`: as the party filed it."""

    org_id: str
    legal_name: str
    key_id: str
    received_at: datetime
    digest: str
    signatory: str = ""
    paper_contract: str = ""


def signature_lines(ctx: NodeContext, session: Session, contract: Contract) -> list[SignatureLine]:
    """The signatures that this node has verified, in the order of the parties, with filed signatories 授权签字人."""
    from hefu.domain.filings import read_filing

    signed = {
        row.org_id: row
        for row in session.exec(
            select(ContractSignatureRow).where(ContractSignatureRow.digest == contract.digest)
        )
    }
    filed: dict[str, Signatory] = {}
    for kept in session.exec(
        select(FilingRow).where(FilingRow.kind == "signatory", FilingRow.contract_id == contract.contract_id)
    ):
        filing = read_filing(decode_envelope(kept.envelope).payload)
        if isinstance(filing, Signatory) and filing.contract == contract.digest:
            filed[filing.issuer] = filing
    lines = []
    for party in contract.parties:
        row = signed.get(party.org_id)
        if row is None:
            continue
        envelope = decode_envelope(row.envelope)
        who = filed.get(party.org_id)
        lines.append(
            SignatureLine(
                org_id=party.org_id,
                legal_name=party.legal_name,
                key_id=envelope.signatures[0].key_id,
                received_at=row.at,
                digest=hashlib.sha256(row.envelope).hexdigest(),
                signatory=f"{who.name}（{who.office}）" if who else "",
                paper_contract=(who.paper_contract or "") if who else "",
            )
        )
    return lines


def make_pdf(contract: Contract, language: Language, signatures: Sequence[SignatureLine]) -> bytes:
    """The PDF's bytes."""
    return lay_out(render(contract, language), signatures, [p.org_id for p in contract.parties])


def lay_out(text: ContractText, signatures: Sequence[SignatureLine], parties: Sequence[str]) -> bytes:
    """Set the text, then the signatures; a footer on each page bears the digest and the page's number."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.platypus import Paragraph, SimpleDocTemplate

    pdfmetrics.registerFont(UnicodeCIDFont(_FONT))
    zh = text.language == "zh"
    body = ParagraphStyle("body", fontName=_FONT, fontSize=9.5, leading=14, wordWrap="CJK", spaceAfter=3)
    head = ParagraphStyle("head", parent=body, fontSize=12, leading=18, spaceBefore=8, spaceAfter=4)
    title = ParagraphStyle("title", parent=body, fontSize=16, leading=24, spaceAfter=8)
    story: list[Any] = [Paragraph(escape(text.title), title)]
    story.append(Paragraph(f"{'合约摘要' if zh else 'Contract digest'} SHA-256: {text.digest}", body))
    for section in text.sections:
        story.append(Paragraph(escape(section.title), head))
        story += [Paragraph(escape(paragraph), body) for paragraph in section.paragraphs]
    story.append(Paragraph("签名清单" if zh else "Signatures", head))
    story += [Paragraph(escape(_signature(line, zh)), body) for line in signatures]
    missing = [org for org in parties if org not in {line.org_id for line in signatures}]
    if missing:
        awaited = ", ".join(missing)
        story.append(Paragraph(escape(f"尚未签署：{awaited}" if zh else f"Not signed yet: {awaited}"), body))

    def footer(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont(_FONT, 7)
        page = f"第 {document.page} 页" if zh else f"page {document.page}"
        canvas.drawString(42, 24, f"SHA-256 {text.digest}")
        canvas.drawRightString(A4[0] - 42, 24, page)
        canvas.restoreState()

    out = io.BytesIO()
    SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=42,
        rightMargin=42,
        topMargin=48,
        bottomMargin=48,
        title=text.title,
        subject=f"sha256:{text.digest}",
        author="",
        creator="Hefu",
        invariant=1,
        pageCompression=1,
    ).build(story, onFirstPage=footer, onLaterPages=footer)
    return out.getvalue()


def _signature(line: SignatureLine, zh: bool) -> str:
    at = line.received_at.isoformat(timespec="seconds")
    if zh:
        said = f"{line.legal_name}（{line.org_id}）：密钥标识 {line.key_id}；收到时间 {at}；签名封装摘要 {line.digest}"
        said += f"；授权签字人 {line.signatory}" if line.signatory else "；未备案授权签字人"
        return said + (f"；盖章纸质合约摘要 {line.paper_contract}" if line.paper_contract else "")
    said = f"{line.legal_name} ({line.org_id}): key id {line.key_id}; received {at}; digest of the signed envelope {line.digest}"
    said += f"; signatory {line.signatory}" if line.signatory else "; no signatory filed"
    return said + (
        f"; digest of the sealed paper contract {line.paper_contract}" if line.paper_contract else ""
    )
