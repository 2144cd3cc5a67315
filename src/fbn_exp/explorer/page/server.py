"""Serve the page on this machine, with nothing from outside and nothing sent there."""

import logging
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fbn_exp.core.errors import LaunchError
from fbn_exp.explorer.page.layout import page
from fbn_exp.explorer.shown import templates
from fbn_exp.explorer.workbench import Workbench

# the browser refuses whatever is not on this page's own server
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'"
)
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "DejaVu Sans", "sans-serif")

# backgrounds in light and dark
PAPER, WASH, BUTTON = ("#fdfcfa", "#16181a"), ("#f4f2ed", "#1e2124"), ("#eceae4", "#2a2e32")


class OwnServerOnly:
    """Add a content security policy to every answer, so that the browser loads nothing from outside."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", POLICY.encode())
                message["headers"] = [*message.get("headers", []), policy]
            await send(message)

        await self.app(scope, receive, answer)


def theme() -> gr.themes.Base:
    """Quiet theme in the colours of the report, with fonts of the system."""
    made = gr.themes.Base(
        primary_hue="slate", neutral_hue="stone", font=list(FONTS), font_mono=["ui-monospace", "monospace"]
    )
    fills = {"body": PAPER, "block": PAPER, "input": WASH, "button_secondary": BUTTON, "checkbox_label": WASH}
    colours = {f"{name}_background_fill": light for name, (light, _) in fills.items()}
    colours |= {f"{name}_background_fill_dark": dark for name, (_, dark) in fills.items()}
    return made.set(**colours)


def serve(bench: Workbench, port: int | None, open_browser: bool) -> tuple[gr.Blocks, str]:
    """Serve the page from a thread, for this machine only, unless ``GRADIO_SERVER_NAME`` says otherwise.

    Parameters
    ----------
    bench : Workbench
        What the page works with.
    port : int or None
        Port; None takes a free one.
    open_browser : bool
        Open the page in the browser.

    Returns
    -------
    Blocks, str
        The page, to wait for it or to close it, and its address.

    Raises
    ------
    LaunchError
        If the port is taken.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)
    blocks = page(bench)
    options: dict[str, Any] = {"quiet": True, "share": False, "ssr_mode": False, "footer_links": []}
    try:
        _, address, _ = blocks.queue(default_concurrency_limit=1).launch(
            server_port=port,
            inbrowser=open_browser,
            prevent_thread_lock=True,
            theme=theme(),
            css=templates.source("explorer.css"),
            app_kwargs={"middleware": [Middleware(OwnServerOnly)]},
            **options,
        )
    except OSError as error:
        raise LaunchError(f"port={port} cannot be opened, perhaps it is taken: give another one") from error
    return blocks, address
