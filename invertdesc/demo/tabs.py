"""Build the tabs of the page for a store and for a map."""

from __future__ import annotations

import shutil
from html import escape
from typing import Any

import gradio as gr

from invertdesc.demo.answers import Answers
from invertdesc.demo.archive import (
    STEPS,
    Archive,
    Kind,
    Sight,
    look,
    open_archive,
    open_examples,
)
from invertdesc.demo.attack import offered_methods

ABOUT: dict[Kind, str] = {
    "store": "A COLMAP database, a file of hloc, `.npz` features, or another store. It has no "
    "pictures. Choose one of its images to see what its descriptors give away.",
    "map": "A map of COLMAP or OpenSfM: all files of its model, and the database with its "
    "features. Choose two of its images, and move the camera from one to the other. At both ends "
    "the image's own features are left out.",
}


def said(words: str, bad: bool) -> str:
    """Return a message as the HTML of the page."""
    return f'<p role="status" class="{"bad" if bad else "good"}">{escape(words)}</p>'


def build_tab(answers: Answers, kind: Kind) -> None:
    """Lay out the tab for a store or for a map."""
    opened = gr.State(None, delete_callback=close)
    gr.Markdown(ABOUT[kind])
    with gr.Row():
        with gr.Column(min_width=240):
            upload = gr.File(
                label="Files", file_count="multiple", height=150, elem_id=f"{kind}-upload"
            )
            example = gr.Button("The examples, as an app stores them", visible=kind == "store")
        with gr.Column(min_width=240):
            name = gr.Dropdown([], label="Image", elem_id=f"{kind}-image")
            until = gr.Dropdown([], label="Towards", visible=kind == "map", elem_id="map-until")
            step = gr.Slider(0, STEPS, 0, step=1, label="% of the way", visible=kind == "map")
            method = gr.Dropdown(
                offered_methods(),
                value="unfold",
                label="Method",
                filterable=False,
                elem_id=f"{kind}-method",
            )
    words, *pictures = _build_pictures(kind)

    def take(old: Archive | None, files: list[str] | None) -> list[Any]:
        close(old)
        return _listed(*open_archive(answers, files or [], kind))

    def take_examples(old: Archive | None) -> list[Any]:
        close(old)
        archive = open_examples(answers)
        return _listed(archive, archive.words, False)

    def show(
        archive: Archive | None, name: str | None, until: str | None, step: int, method: str
    ) -> list[Any]:
        if archive is None or name is None:
            return [gr.skip()] * 3
        return _seen(look(answers, archive, name, until=until, step=step, method=method))

    private: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 1}
    chosen: dict[str, Any] = private | {
        "fn": show,
        "inputs": [opened, name, until, step, method],
        "outputs": [words, *pictures],
        "show_progress_on": pictures[1],
        "trigger_mode": "always_last",
    }
    listed = [opened, name, until, words, *pictures]
    upload.change(take, [opened, upload], listed, **private).success(**chosen)
    example.click(take_examples, [opened], listed, **private).success(**chosen)
    gr.on([name.input, until.input, step.release, method.input], **chosen)


def _build_pictures(kind: Kind) -> list[Any]:
    words = gr.HTML("<p>Choose a file.</p>", elem_id=f"{kind}-words", elem_classes="words")
    with gr.Row():
        pictures = build_images(f"{kind}-")
    return [words, *pictures]


def build_images(prefix: str = "") -> list[gr.Image]:
    """Lay out the keypoints and the reconstruction; their ids on the page begin with a prefix."""
    return [
        gr.Image(
            label=label,
            min_width=280,
            interactive=False,
            format="png",
            buttons=["fullscreen"],
            elem_id=prefix + label.lower(),
        )
        for label in ("Keypoints", "Reconstruction")
    ]


def close(archive: Archive | None) -> None:
    """Delete the files of an archive that a browser shows no more."""
    if archive is not None:
        place = archive.path
        shutil.rmtree(place if place.is_dir() else place.parent, ignore_errors=True)


def _listed(archive: Archive | None, words: str, bad: bool) -> list[Any]:
    """Return new values for the state, both lists, the message and both pictures."""
    names = () if archive is None else archive.names
    first = gr.update(choices=list(names), value=names[0] if names else None)
    last = gr.update(choices=list(names), value=names[-1] if names else None)
    return [archive, first, last, said(words, bad), None, None]


def _seen(sight: Sight) -> list[Any]:
    return [said(sight.words, sight.bad), sight.keypoints, sight.picture]
