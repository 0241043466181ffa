"""The login page as HTML: no script, no foreign origin, every value escaped."""

from __future__ import annotations

from html import escape
from string import Template

from hefu_ui.config import ConsoleConfig
from hefu_ui.door.sessions import Language
from hefu_ui.words import say

_PAGE = Template("""<!doctype html>
<html lang="$lang"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title><link rel="icon" type="image/png" href="/auth/assets/logo.png">
<link rel="stylesheet" href="/auth/assets/login.css"></head>
<body><main>
<section class="brand">
<div class="mark"><img src="/auth/assets/logo.png" alt="" width="52" height="52"><span>合符<small>Hefu</small></span></div>
<h1>$headline</h1><p class="lead">$lead</p>
<ul><li><b>$point1</b><span>$point1_text</span></li><li><b>$point2</b><span>$point2_text</span></li>
<li><b>$point3</b><span>$point3_text</span></li></ul>
<p class="foot">$foot</p>
</section>
<section class="entry"><nav><a href="?lang=zh" class="$zh_on">中文</a><a href="?lang=en" class="$en_on">English</a></nav>
<form method="post" action="/auth/login" autocomplete="on">
<h2>$welcome</h2><p class="hint">$hint</p>$error
<input type="hidden" name="form_token" value="$form_token"><input type="hidden" name="lang" value="$language">
<label for="org">$org_label</label><select id="org" name="org" required>$options</select>
<label for="account">$account_label</label>
<input id="account" name="account" value="$account" maxlength="64" autocomplete="username" required autofocus>
<label for="password">$password_label</label>
<input id="password" name="password" type="password" maxlength="256" autocomplete="current-password" required>
<button type="submit">$submit</button>
<p class="note">$note</p>
</form></section></main></body></html>
""")


def render_login(
    config: ConsoleConfig, language: Language, form_token: str, error: str, org_id: str, account: str
) -> str:
    """The whole page; `error` is a sentence for the person, empty when there is none."""
    words = {
        name: escape(say(f"login.{name}", language))
        for name in (
            "title", "headline", "lead", "point1", "point1_text", "point2", "point2_text", "point3", "point3_text",
            "foot", "welcome", "hint", "org_label", "account_label", "password_label", "submit", "note",
        )
    }  # fmt: skip
    options = "".join(
        f'<option value="{escape(org)}"{" selected" if org == org_id else ""}>'
        f"{escape(node.name_zh if language == 'zh' else node.name_en)}</option>"
        for org, node in config.nodes.items()
    )
    return _PAGE.substitute(
        words,
        lang="zh-CN" if language == "zh" else "en",
        language=language,
        zh_on="on" if language == "zh" else "",
        en_on="on" if language == "en" else "",
        error=f'<p class="error" role="alert">{escape(error)}</p>' if error else "",
        form_token=escape(form_token),
        options=options,
        account=escape(account),
    )
