"""`invertdesc demo`: a page on this machine to play with. Needs gradio, the extra `demo`."""
