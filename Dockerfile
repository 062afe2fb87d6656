# invertdesc on the CPU.
#
#     docker build -t invertdesc .
#     docker run --rm --user "$(id -u)" -v "$PWD:/data" invertdesc reconstruct photo.jpg --side-by-side -o out.jpg
#
# The demo listens on its own machine alone, so run it outside a container.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim-bookworm

# OpenCV's wheel needs these, although no window is opened.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 libsm6 libxext6 \
    && rm -rf /var/lib/apt/lists/*

ARG EXTRAS=hloc,index
# PyTorch's wheels without CUDA: 1.5 GB instead of several.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

WORKDIR /src
COPY pyproject.toml hatch_build.py constraints.txt README.md LICENSE ./
COPY invertdesc invertdesc
RUN pip install --no-cache-dir -c constraints.txt --extra-index-url "${TORCH_INDEX}" ".[${EXTRAS}]" \
    && rm -rf /src

# Of any user; files in /data are written as the one who runs the container.
ENV HOME=/tmp
USER 1000
WORKDIR /data
ENTRYPOINT ["invertdesc"]
CMD ["--help"]
