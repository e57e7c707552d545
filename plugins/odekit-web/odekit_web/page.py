"""The page: its components, and which handler each calls."""

from __future__ import annotations

from typing import Any

import gradio as gr

from odekit_web.api import Api
from odekit_web.handlers import Page, told
from odekit_web.settings import MAX_FILE_MB, MAX_MEGAPIXELS, SCRATCHES, STRENGTHS, chain_names

LINE = "one-at-a-time"
"""The queue of everything that computes: all visitors wait for each other."""
CSS = """
footer {opacity: .7}
.gradio-container {--block-info-text-color: #6b7280}
#lines textarea {font-family: monospace}
#state {min-height: 110px}
#state .wrap.default {padding-top: 24px}
:is(#state, #files) .wrap.default:not(.hide, .generating, :has(.progress-level))::after {
  content: "waiting for its turn: one photograph is restored at a time"; position: absolute; inset: 28px 12px 26px;
  display: flex; align-items: center; justify-content: center; text-align: center; font-size: 13px;
  color: var(--body-text-color); background: var(--block-background-fill);
  z-index: 30
}
"""
"""Words of progress lie below the label. While a visitor waits, Gradio shows but its place in the queue."""
TAKING_OVER = "() => 'taking over what you drew'"


def make_page(page: Page) -> gr.Blocks:
    """The page, not yet served."""
    api = Api(page.engine)
    hidden: dict[str, Any] = {"api_visibility": "private"}
    queued: dict[str, Any] = {**hidden, "concurrency_id": LINE, "concurrency_limit": 1}
    at_once: dict[str, Any] = {**hidden, "queue": False, "show_progress": "hidden"}
    with gr.Blocks(title="odekit", analytics_enabled=False) as blocks:
        gr.Markdown(
            "# odekit\nDrop photographs, choose faces, compare. Everything stays on this machine. A restored face is "
            "one of many plausible faces: do not use it to identify people."
        )
        with gr.Row():
            with gr.Column():
                files = gr.File(
                    label=f"Photographs (at most {MAX_FILE_MB} MB and {MAX_MEGAPIXELS:g} megapixels each)",
                    file_count="multiple", height=140, elem_id="files",
                )  # fmt: skip
                chooser = gr.Dropdown(label="Photograph", choices=[], elem_id="chooser")
                boxes = gr.Image(label="Faces", interactive=False, buttons=[], elem_id="boxes", type="pil")
                ticks = gr.CheckboxGroup(label="Restore these faces", choices=[], elem_id="ticks")
            with gr.Column():
                chain = gr.Dropdown(label="Chain", choices=chain_names(), value=chain_names()[0], elem_id="chain")
                strength = gr.Radio(label="Strength", choices=list(STRENGTHS), value="auto", elem_id="strength")
                with gr.Row():
                    own = gr.Checkbox(
                        label="Choose fidelity", info="It acts where the strength is not auto.", min_width=140
                    )
                    fidelity = gr.Slider(
                        0, 1, 0.5, step=0.05, label="Fidelity", info="0 faithful, 1 realistic", min_width=140,
                        elem_id="fidelity",
                    )  # fmt: skip
                scratches = gr.Radio(label="Scratches", choices=list(SCRATCHES), value=SCRATCHES[0])
                with gr.Accordion("Draw scratches yourself", open=False, elem_id="drawing"):
                    start = gr.Button("Draw on the chosen photograph", size="sm", elem_id="draw")
                    editor = gr.ImageEditor(
                        label="What you draw is filled", sources=(), transforms=(), layers=False, buttons=[],
                        brush=gr.Brush(default_size=6, colors=["#ff2020"], color_mode="fixed"), elem_id="editor",
                    )  # fmt: skip
                    use = gr.Button("Use this mask", size="sm", elem_id="use-mask")
                    mask_state = gr.Textbox(label="Mask", interactive=False, elem_id="mask-state")
                with gr.Row():
                    go = gr.Button("Restore all", variant="primary", elem_id="restore")
                    one = gr.Button("Restore this one", elem_id="restore-one")
                    halt = gr.Button("Stop", variant="stop", elem_id="stop")
                    empty = gr.Button("Remove all", elem_id="clear")
                state = gr.Textbox(label="State", interactive=False, elem_id="state")
                lines = gr.Textbox(label="What was done", interactive=False, lines=5, max_lines=12, elem_id="lines")
        views = gr.Dropdown(label="Show", choices=[], elem_id="views")
        slider = gr.ImageSlider(label="Before and after", interactive=False, type="filepath", elem_id="slider")
        with gr.Row():
            picture = gr.DownloadButton("Picture", interactive=False, elem_id="picture")
            record = gr.DownloadButton("Record", interactive=False, elem_id="record")
            pack = gr.Button("Make a zip of all", interactive=False, elem_id="zip")
            archive = gr.File(label="Zip", interactive=False, visible=False, height=90, elem_id="archive")
        news = gr.Textbox(visible="hidden", label="news", elem_id="news")
        shown = gr.Textbox(visible="hidden", label="shown", elem_id="shown")
        drawn_on = gr.Textbox(visible="hidden", label="drawn on", elem_id="drawn-on")
        result = [lines, pack, archive, news]
        latest: dict[str, Any] = {"trigger_mode": "always_last"}

        gr.on(
            [chooser.input, views.input, news.change, shown.change], page.show, [chooser, views, shown],
            [boxes, ticks, views, slider, picture, record, shown], **at_once, **latest,
        )  # fmt: skip
        files.upload(
            page.add, [files, chain, chooser], [state, files, chooser, *result], **queued, trigger_mode="multiple",
            show_progress_on=files,
        )  # fmt: skip
        gr.on([chooser.input, chain.input], page.search, [chain, chooser], news, **queued, **latest)
        ticks.input(page.tick, [ticks, shown], news, **at_once, **latest)
        start.click(page.draw, chooser, [editor, drawn_on, mask_state], **at_once)
        use.click(None, None, mask_state, js=TAKING_OVER, **hidden).then(
            page.use_mask, [editor, drawn_on], mask_state, **at_once
        )  # before the drawing is sent, which takes a while
        choices = [chooser, chain, strength, own, fidelity, scratches]
        for button, work in ((go, page.restore_all), (one, page.restore_one)):
            button.click(page.begin, None, state, **at_once).then(
                work, choices, [state, *result], **queued, show_progress_on=state
            )
        halt.click(page.stop, None, state, **at_once)
        pack.click(page.zip, None, archive, **at_once)
        empty.click(page.clear, None, [state, chooser, editor, drawn_on, mask_state, *result], **at_once)
        blocks.unload(page.leave)
        add_api(api)
    return blocks


def add_api(api: Api) -> None:
    """The endpoint `/restore`: components that are not shown say its types."""
    with gr.Row(visible=False):
        picture = gr.File(label="picture", type="filepath")
        chain = gr.Textbox("photo", label="chain")
        strength = gr.Textbox("auto", label="strength")
        fidelity = gr.Number(None, label="fidelity")
        fidelity.preprocess = lambda payload: payload  # `check` says what it may be
        scratches = gr.Textbox(SCRATCHES[0], label="scratches")
        leave = gr.Textbox("", label="leave")
        restored, record, text = gr.File(label="restored"), gr.File(label="record"), gr.Textbox(label="text")
        call = gr.Button("call")

    def restore(
        picture: str, chain: str, strength: str, fidelity: float | None, scratches: str, leave: str
    ) -> tuple[Any, ...]:
        return told(lambda: api.restore(picture, chain, strength, fidelity, scratches, leave))

    call.click(
        restore, [picture, chain, strength, fidelity, scratches, leave], [restored, record, text], api_name="restore",
        concurrency_id=LINE, concurrency_limit=1,
        api_description="Restore one picture: the restored picture, its record, and what was done in one line.",
    )  # fmt: skip
