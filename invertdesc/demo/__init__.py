"""Serve the demo, a page on this machine. It needs gradio, from the extra `demo`."""
