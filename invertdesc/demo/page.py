"""The page: its components, and which of them answer to which."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr
from PIL import Image

from invertdesc.cli.sources import EXAMPLES, example_path
from invertdesc.demo.answers import Answers, Seen, View, forget, mask_of
from invertdesc.demo.attack import offered_descriptors, offered_methods

ABOUT = """# What do local descriptors give away?
On the left a photograph. In the middle what an app would store of it: keypoints, each with a
descriptor. On the right what an attacker makes of those alone. **Draw over the photograph** to
erase the keypoints there. Nothing leaves this machine."""
FILES = ("Features (.npz)", "Reconstruction (.png)", "Side by side (.png)")
THUMBNAIL = 96  # pixels
# The reader's own: any other would have to come from somewhere.
FONTS, MONOSPACE = ["ui-sans-serif", "system-ui", "sans-serif"], ["ui-monospace", "monospace"]
CSS = """
#examples .grid-container { grid-template-columns: repeat(5, minmax(0, 1fr)) }
#words p { margin: 0; min-height: 1.5em }
#words .bad { color: #b3261e; font-weight: 600 }
.dark #words .bad { color: #ff8a80 }
"""


def theme() -> gr.themes.Base:
    """Return the looks, which load nothing."""
    return gr.themes.Base(primary_hue="blue", font=FONTS, font_mono=MONOSPACE)


def build_page(answers: Answers) -> gr.Blocks:
    """Lay out the page."""
    page = gr.Blocks(title="invertdesc", analytics_enabled=False, delete_cache=(600, 3600))
    with page:
        gr.Markdown(ABOUT)
        seen = gr.State(None, delete_callback=forget)
        path = gr.State(None)
        upload, gallery, *choices = _build_controls()
        drawing, *shown = _build_pictures()

        def answer(seen: Seen | None, path: str | None, drawing: Any, *chosen: Any) -> list[Any]:
            descriptor, method, percent, hidden = chosen
            seen, view = answers(
                seen,
                path,
                mask_of(drawing),
                descriptor=descriptor,
                method=method,
                percent=percent,
                hidden=hidden,
            )
            return [seen, *_laid_out(view)]

        common: dict[str, Any] = {
            "fn": answer,
            "inputs": [seen, path, drawing, *choices],
            "outputs": [seen, drawing, *shown],
            "show_progress_on": shown[1],
            "trigger_mode": "always_last",
            "concurrency_limit": 1,  # of all browsers together: there is one processor
            "api_visibility": "private",
        }
        gr.on([drawing.input, *(choice.input for choice in choices)], **common)
        for event in (
            upload.upload(lambda file: file, upload, path, api_visibility="private"),
            upload.clear(lambda: None, None, path, api_visibility="private"),
            gallery.select(_example, None, [path, upload], api_visibility="private"),
        ):
            event.success(**common)
    return page


def _build_controls() -> Sequence[Any]:
    with gr.Row():
        with gr.Column(min_width=240):
            upload = gr.File(label="Picture", file_types=["image"], height=150, elem_id="upload")
        with gr.Column(min_width=240):
            gallery = gr.Gallery(
                [_thumbnail(name) for name in EXAMPLES],
                label="Examples",
                show_label=False,
                columns=len(EXAMPLES),
                height=150,
                allow_preview=False,
                interactive=False,
                buttons=[],
                elem_id="examples",
            )
        with gr.Column(min_width=200):
            descriptor = gr.Dropdown(
                offered_descriptors(), value="sift", label="Descriptor", elem_id="descriptor"
            )
            method = gr.Dropdown(
                offered_methods(), value="unfold", label="Method", elem_id="method"
            )
        with gr.Column(min_width=200):
            share = gr.Slider(1, 100, 100, step=1, label="% of keypoints", elem_id="share")
            hidden = gr.CheckboxGroup(
                [("no orientation", "orientations"), ("no scale", "scales")],
                value=[],
                label="Not stored",
                elem_id="hidden",
            )
    return upload, gallery, descriptor, method, share, hidden


def _build_pictures() -> Sequence[Any]:
    words = gr.HTML("<p>Choose a picture.</p>", elem_id="words")
    with gr.Row():
        drawing = gr.ImageEditor(
            label="Photograph",
            placeholder="Choose a picture",
            min_width=280,
            sources=(),
            transforms=(),
            layers=False,
            brush=gr.Brush(default_size=40, colors=["#2f6fdb"], color_mode="fixed"),
            buttons=[],
            format="png",
            elem_id="photo",
        )
        keypoints, picture = (
            gr.Image(
                label=label,
                min_width=280,
                interactive=False,
                format="png",
                buttons=["fullscreen"],
                elem_id=label.lower(),
            )
            for label in ("Keypoints", "Reconstruction")
        )
    with gr.Row():
        files = [gr.DownloadButton(label, interactive=False) for label in FILES]
    return drawing, keypoints, picture, words, *files


def _laid_out(view: View | None) -> list[Any]:
    """Return values for what `_build_pictures` returns."""
    if view is None:
        return [gr.skip()] * (4 + len(FILES))
    photo = gr.skip()
    if view.new:
        photo = {"background": view.photo, "layers": [], "composite": None}
    words = f'<p role="status" class="{"bad" if view.bad else "good"}">{escape(view.words)}</p>'
    files = [gr.update(value=str(file), interactive=True) for file in view.files]
    none = [gr.update(value=None, interactive=False)] * (len(FILES) - len(files))
    return [photo, view.keypoints, view.picture, words, *files, *none]


def _example(event: gr.SelectData) -> tuple[str, None]:
    """Return an example's file, and nothing as the upload."""
    return str(example_path(EXAMPLES[event.index])), None


def _thumbnail(name: str) -> Image.Image:
    with Image.open(example_path(name)) as image:
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        return image.convert("RGB")
