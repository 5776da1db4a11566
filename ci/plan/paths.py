"""Paths inside containers that several stages share."""

PREFIX = "/opt/env"  # the environment, in every image
LIBRARIES = f"{PREFIX}/lib/nvidia"  # what pip's wheels bring of CUDA, beside the folders of Python versions
CUDA_HOME = "/usr/local/cuda"
TOOLS = "/opt/tools"  # py-rattler, conda-pack and uv, apart from any environment
TOOLS_PYTHON = f"{TOOLS}/bin/python"
CHANNEL = "/channel"  # the conda channel that is made here
PROGRAMS_FOLDER = "/run/cslr-images"  # where the programs of ci/programs are mounted
PARTS = "/var/tmp/parts"  # noqa: S108 - downloads, in a container of its own
PACKED = "/opt/packed"  # the environment as it is exported
