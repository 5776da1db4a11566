# syntax=docker/dockerfile:1
# cpu-py3.13 from the `upstream` sources.
#   docker build --file dockerfiles/cpu.Dockerfile --target devel .
# Not edited by hand: change ci/matrix.toml, then run `./daggerw call generate export --path .`

# The devel base: compilers, toolkit, and the tools for environments.
FROM ubuntu:24.04 AS base
RUN --mount=type=cache,id=cslr-images-apt-archives-ubuntu-24.04,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,id=cslr-images-apt-lists-ubuntu-24.04,target=/var/lib/apt/lists,sharing=locked \
    --mount=type=bind,source=ci/programs/install_debs.sh,target=/run/cslr-images/install_debs.sh \
    sh /run/cslr-images/install_debs.sh build-essential ca-certificates ccache cmake curl git ninja-build python3 python3-venv tini unzip zstd
RUN --mount=type=bind,source=ci/programs/add_user.sh,target=/run/cslr-images/add_user.sh \
    sh /run/cslr-images/add_user.sh cslr 1000 /workspace
ARG PIP_INDEX_URL UV_DEFAULT_INDEX PIP_TRUSTED_HOST
ARG PIP_CERT=/etc/ssl/certs/ca-certificates.crt SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
RUN --mount=type=bind,source=ci/programs/install_tools.sh,target=/run/cslr-images/install_tools.sh \
    --mount=type=bind,source=ci/locks/tools.txt,target=/run/tools.txt \
    sh /run/cslr-images/install_tools.sh /opt/tools /run/tools.txt
COPY ci/programs/make_env.py /opt/tools/lib/make_env.py
COPY --chmod=755 ci/programs/conda_env.sh /opt/tools/bin/conda-env
COPY --chmod=755 ci/programs/copy_packages.sh /usr/local/bin/copy-packages

# The conda environment at /opt/env.
FROM base AS conda
RUN --mount=type=cache,id=cslr-images-conda,target=/var/cache/cslr-images/conda,sharing=shared \
    --mount=type=bind,source=ci/programs/make_env.py,target=/run/cslr-images/make_env.py \
    /opt/tools/bin/python /run/cslr-images/make_env.py create --prefix /opt/env --pkgs-cache /var/cache/cslr-images/conda --glibc 2.39 --channel https://conda.anaconda.org/conda-forge --spec 'python=3.13.*' pip

# PyTorch.
FROM conda AS torch
RUN --mount=type=cache,id=cslr-images-uv,target=/var/cache/cslr-images/uv,sharing=shared \
    --mount=type=bind,source=ci/programs/install_packages.sh,target=/run/cslr-images/install_packages.sh \
    printf '%s\n' torch==2.11.0+cpu torchvision==0.26.0+cpu torchaudio==2.11.0+cpu 'numpy>=2.1,<3' 'scipy>=1.15,<2' 'setuptools>=80,<82' 'wheel>=0.45,<1' 'ninja>=1.11,<2' | env UV_CACHE_DIR=/var/cache/cslr-images/uv sh /run/cslr-images/install_packages.sh /opt/env - no 3000000 --index https://download.pytorch.org/whl/cpu --index-strategy unsafe-best-match

# PyG's extensions that have no wheel, compiled.
FROM torch AS wheels
RUN --mount=type=cache,id=cslr-images-ccache,target=/var/cache/cslr-images/ccache,sharing=shared \
    --mount=type=bind,source=ci/programs/compile_wheels.py,target=/run/cslr-images/compile_wheels.py \
    --mount=type=bind,source=ci/programs/common,target=/run/cslr-images/common \
    --mount=type=bind,source=ci/programs/extensions,target=/run/cslr-images/extensions \
    --mount=type=bind,source=dockerfiles/sdists.txt,target=/run/sdists.txt \
    env CCACHE_DIR=/var/cache/cslr-images/ccache /opt/tools/bin/python /run/cslr-images/compile_wheels.py --requirements /run/sdists.txt --python /opt/env/bin/python --out /opt/wheels --job-gb cu=1.6,cpp=1.1,full_cu=3.5,full_cpp=2 --cpu

# PyTorch Geometric, without pyg-lib: no wheel is known, and there is no source.
FROM torch AS pyg
RUN --mount=type=cache,id=cslr-images-uv,target=/var/cache/cslr-images/uv,sharing=shared \
    --mount=type=bind,source=ci/programs/install_packages.sh,target=/run/cslr-images/install_packages.sh \
    printf '%s\n' torch-geometric==2.8.1 | env UV_CACHE_DIR=/var/cache/cslr-images/uv sh /run/cslr-images/install_packages.sh /opt/env - yes 3000000 --index https://download.pytorch.org/whl/cpu --index-strategy unsafe-best-match
RUN --mount=type=bind,from=wheels,source=/opt/wheels,target=/run/wheels \
    --mount=type=bind,source=ci/programs/install_wheels.sh,target=/run/cslr-images/install_wheels.sh \
    sh /run/cslr-images/install_wheels.sh /opt/env /run/wheels

# Packages that decode video and sound.
FROM pyg AS video
RUN --mount=type=cache,id=cslr-images-uv,target=/var/cache/cslr-images/uv,sharing=shared \
    --mount=type=bind,source=ci/programs/install_packages.sh,target=/run/cslr-images/install_packages.sh \
    printf '%s\n' torchcodec===0.11.1 av==18.1.0 | env UV_CACHE_DIR=/var/cache/cslr-images/uv sh /run/cslr-images/install_packages.sh /opt/env - yes 3000000 --index https://download.pytorch.org/whl/cpu --index-strategy unsafe-best-match
RUN --mount=type=bind,source=ci/programs/place_ffmpeg.py,target=/run/cslr-images/place_ffmpeg.py \
    --mount=type=bind,source=ci/programs/common,target=/run/cslr-images/common \
    /opt/tools/bin/python /run/cslr-images/place_ffmpeg.py /opt/env lib/python3.13/site-packages

# The environment as conda-pack exports it for /opt/env.
FROM pyg AS packed
COPY ci/programs/cslr_images_start.py ci/programs/cslr_images_start.pth /opt/env/lib/python3.13/site-packages/
RUN --mount=type=cache,id=cslr-images-conda,target=/var/cache/cslr-images/conda,sharing=shared \
    --mount=type=bind,source=ci/programs/make_env.py,target=/run/cslr-images/make_env.py \
    --mount=type=bind,source=ci/programs/pack_env.py,target=/run/cslr-images/pack_env.py \
    --mount=type=bind,source=ci/programs/common,target=/run/cslr-images/common \
    /opt/tools/bin/python /run/cslr-images/make_env.py fill-cache --prefix /opt/env --pkgs-cache /var/cache/cslr-images/conda --channel https://conda.anaconda.org/conda-forge \
 && env SOURCE_DATE_EPOCH=315532800 /opt/tools/bin/python /run/cslr-images/pack_env.py /opt/env --dest-prefix /opt/env --to-dir /opt/packed

# The runtime base: what JIT compiling needs, no environment yet.
FROM ubuntu:24.04 AS runtime-base
RUN --mount=type=cache,id=cslr-images-apt-archives-ubuntu-24.04,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,id=cslr-images-apt-lists-ubuntu-24.04,target=/var/lib/apt/lists,sharing=locked \
    --mount=type=bind,source=ci/programs/install_debs.sh,target=/run/cslr-images/install_debs.sh \
    sh /run/cslr-images/install_debs.sh ca-certificates g++ gcc libc6-dev make tini
RUN --mount=type=bind,source=ci/programs/add_user.sh,target=/run/cslr-images/add_user.sh \
    sh /run/cslr-images/add_user.sh cslr 1000 /workspace
COPY --chmod=755 ci/programs/copy_packages.sh /usr/local/bin/copy-packages

# Ray.
FROM video AS ray
RUN --mount=type=cache,id=cslr-images-uv,target=/var/cache/cslr-images/uv,sharing=shared \
    --mount=type=bind,source=ci/programs/install_packages.sh,target=/run/cslr-images/install_packages.sh \
    printf '%s\n' 'ray[data,train,tune,serve]==2.60.0' | env UV_CACHE_DIR=/var/cache/cslr-images/uv sh /run/cslr-images/install_packages.sh /opt/env - yes 3000000 --index https://download.pytorch.org/whl/cpu --index-strategy unsafe-best-match

# marimo.
FROM ray AS marimo
RUN --mount=type=cache,id=cslr-images-uv,target=/var/cache/cslr-images/uv,sharing=shared \
    --mount=type=bind,source=ci/programs/install_packages.sh,target=/run/cslr-images/install_packages.sh \
    printf '%s\n' marimo==0.25.2 | env UV_CACHE_DIR=/var/cache/cslr-images/uv sh /run/cslr-images/install_packages.sh /opt/env - yes 3000000 --index https://download.pytorch.org/whl/cpu --index-strategy unsafe-best-match

# The same without what the variant default leaves out.
FROM packed AS packed-default
RUN --mount=type=bind,source=ci/programs/trim_env.py,target=/run/cslr-images/trim_env.py \
    --mount=type=bind,source=ci/programs/common,target=/run/cslr-images/common \
    --mount=type=bind,source=dockerfiles/rules.json,target=/run/rules.json \
    /opt/tools/bin/python /run/cslr-images/trim_env.py /opt/packed --rules /run/rules.json
RUN --mount=type=bind,source=ci/programs/strip_libs.py,target=/run/cslr-images/strip_libs.py \
    --mount=type=bind,source=ci/programs/common,target=/run/cslr-images/common \
    /opt/tools/bin/python /run/cslr-images/strip_libs.py /opt/packed --mode debug
RUN --mount=type=bind,source=ci/programs/compile_env.py,target=/run/cslr-images/compile_env.py \
    --mount=type=bind,source=ci/programs/common,target=/run/cslr-images/common \
    --mount=type=bind,source=dockerfiles/bytecode.txt,target=/run/bytecode.txt \
    /opt/env/bin/python -B /run/cslr-images/compile_env.py /opt/packed --prefix /opt/env --without @/run/bytecode.txt

# The files of devel images.
FROM base AS devel-files
ENV PATH="/home/cslr/.local/bin:/opt/env/bin:/opt/tools/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    LANG="C.UTF-8" \
    PYTHONUSERBASE="/home/cslr/.local" \
    SSL_CERT_FILE="/etc/ssl/certs/ca-certificates.crt" \
    REQUESTS_CA_BUNDLE="/etc/ssl/certs/ca-certificates.crt" \
    CURL_CA_BUNDLE="/etc/ssl/certs/ca-certificates.crt" \
    GIT_SSL_CAINFO="/etc/ssl/certs/ca-certificates.crt" \
    PIP_CERT="/etc/ssl/certs/ca-certificates.crt" \
    CONDA_PREFIX="/opt/env"
RUN --mount=type=bind,source=ci/programs/write_profile.sh,target=/run/cslr-images/write_profile.sh \
    sh /run/cslr-images/write_profile.sh PATH LANG PYTHONUSERBASE SSL_CERT_FILE REQUESTS_CA_BUNDLE CURL_CA_BUNDLE GIT_SSL_CAINFO PIP_CERT CONDA_PREFIX
COPY --from=packed-default /opt/packed /opt/env
LABEL io.cslr-images.cuda="cpu" \
    io.cslr-images.python="3.13" \
    io.cslr-images.sources="upstream" \
    io.cslr-images.torch="2.11.0+cpu" \
    io.cslr-images.torch-geometric="2.8.1" \
    io.cslr-images.torchaudio="2.11.0" \
    io.cslr-images.torchvision="0.26.0" \
    org.opencontainers.image.source="https://hub.docker.com/r/plumiiume/cslr-exp-platform"
WORKDIR /workspace
ENTRYPOINT ["tini", "--"]
CMD ["bash"]

# What video adds to the environment.
FROM video AS video-added
RUN --mount=type=bind,from=pyg,source=/opt/env,target=/run/below \
    --mount=type=bind,source=ci/programs/copy_changes.py,target=/run/cslr-images/copy_changes.py \
    /opt/tools/bin/python /run/cslr-images/copy_changes.py /run/below /opt/env /opt/added

# The same without what the variant default leaves out.
FROM video-added AS video-added-default
RUN --mount=type=bind,source=ci/programs/trim_env.py,target=/run/cslr-images/trim_env.py \
    --mount=type=bind,source=ci/programs/common,target=/run/cslr-images/common \
    --mount=type=bind,source=dockerfiles/rules.json,target=/run/rules.json \
    /opt/tools/bin/python /run/cslr-images/trim_env.py /opt/added --rules /run/rules.json
RUN --mount=type=bind,source=ci/programs/strip_libs.py,target=/run/cslr-images/strip_libs.py \
    --mount=type=bind,source=ci/programs/common,target=/run/cslr-images/common \
    /opt/tools/bin/python /run/cslr-images/strip_libs.py /opt/added --mode debug
RUN --mount=type=bind,source=ci/programs/compile_env.py,target=/run/cslr-images/compile_env.py \
    --mount=type=bind,source=ci/programs/common,target=/run/cslr-images/common \
    --mount=type=bind,source=dockerfiles/bytecode.txt,target=/run/bytecode.txt \
    /opt/env/bin/python -B /run/cslr-images/compile_env.py /opt/added --prefix /opt/env --without @/run/bytecode.txt

# The files of devel images with video.
FROM devel-files AS video-devel-files
COPY --from=video-added-default /opt/added /opt/env

# The image devel.
FROM video-devel-files AS devel
LABEL io.cslr-images.av="18.1.0" \
    io.cslr-images.target="devel" \
    io.cslr-images.torchcodec="0.11.1" \
    org.opencontainers.image.title="cpu-py3.13-devel"

# The files of runtime images.
FROM runtime-base AS runtime-files
ENV PATH="/home/cslr/.local/bin:/opt/env/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    LANG="C.UTF-8" \
    PYTHONUSERBASE="/home/cslr/.local" \
    SSL_CERT_FILE="/etc/ssl/certs/ca-certificates.crt" \
    REQUESTS_CA_BUNDLE="/etc/ssl/certs/ca-certificates.crt" \
    CURL_CA_BUNDLE="/etc/ssl/certs/ca-certificates.crt" \
    GIT_SSL_CAINFO="/etc/ssl/certs/ca-certificates.crt" \
    PIP_CERT="/etc/ssl/certs/ca-certificates.crt" \
    CONDA_PREFIX="/opt/env" \
    HOME="/home/cslr" \
    USER="cslr" \
    LOGNAME="cslr"
RUN --mount=type=bind,source=ci/programs/write_profile.sh,target=/run/cslr-images/write_profile.sh \
    sh /run/cslr-images/write_profile.sh PATH LANG PYTHONUSERBASE SSL_CERT_FILE REQUESTS_CA_BUNDLE CURL_CA_BUNDLE GIT_SSL_CAINFO PIP_CERT CONDA_PREFIX
COPY --from=packed-default /opt/packed /opt/env
LABEL io.cslr-images.cuda="cpu" \
    io.cslr-images.python="3.13" \
    io.cslr-images.sources="upstream" \
    io.cslr-images.torch="2.11.0+cpu" \
    io.cslr-images.torch-geometric="2.8.1" \
    io.cslr-images.torchaudio="2.11.0" \
    io.cslr-images.torchvision="0.26.0" \
    io.cslr-images.variant="default" \
    org.opencontainers.image.source="https://hub.docker.com/r/plumiiume/cslr-exp-platform"
WORKDIR /workspace
ENTRYPOINT ["tini", "--"]
CMD ["bash"]
USER 1000:1000

# The files of runtime images with video.
FROM runtime-files AS video-runtime-files
COPY --from=video-added-default /opt/added /opt/env

# The image runtime.
FROM video-runtime-files AS runtime
LABEL io.cslr-images.av="18.1.0" \
    io.cslr-images.target="runtime" \
    io.cslr-images.torchcodec="0.11.1" \
    org.opencontainers.image.title="cpu-py3.13-runtime"

# What ray adds to the environment.
FROM ray AS ray-added
RUN --mount=type=bind,from=video,source=/opt/env,target=/run/below \
    --mount=type=bind,source=ci/programs/copy_changes.py,target=/run/cslr-images/copy_changes.py \
    /opt/tools/bin/python /run/cslr-images/copy_changes.py /run/below /opt/env /opt/added

# The same without what the variant default leaves out.
FROM ray-added AS ray-added-default
RUN --mount=type=bind,source=ci/programs/trim_env.py,target=/run/cslr-images/trim_env.py \
    --mount=type=bind,source=ci/programs/common,target=/run/cslr-images/common \
    --mount=type=bind,source=dockerfiles/rules.json,target=/run/rules.json \
    /opt/tools/bin/python /run/cslr-images/trim_env.py /opt/added --rules /run/rules.json
RUN --mount=type=bind,source=ci/programs/strip_libs.py,target=/run/cslr-images/strip_libs.py \
    --mount=type=bind,source=ci/programs/common,target=/run/cslr-images/common \
    /opt/tools/bin/python /run/cslr-images/strip_libs.py /opt/added --mode debug
RUN --mount=type=bind,source=ci/programs/compile_env.py,target=/run/cslr-images/compile_env.py \
    --mount=type=bind,source=ci/programs/common,target=/run/cslr-images/common \
    --mount=type=bind,source=dockerfiles/bytecode.txt,target=/run/bytecode.txt \
    /opt/env/bin/python -B /run/cslr-images/compile_env.py /opt/added --prefix /opt/env --without @/run/bytecode.txt

# The files of devel images with ray.
FROM video-devel-files AS ray-devel-files
COPY --from=ray-added-default /opt/added /opt/env

# The image ray-devel.
FROM ray-devel-files AS ray-devel
LABEL io.cslr-images.av="18.1.0" \
    io.cslr-images.ray="2.60.0" \
    io.cslr-images.target="ray-devel" \
    io.cslr-images.torchcodec="0.11.1" \
    org.opencontainers.image.title="cpu-py3.13-ray-devel"

# The files of runtime images with ray.
FROM video-runtime-files AS ray-runtime-files
COPY --from=ray-added-default /opt/added /opt/env

# The image ray-runtime.
FROM ray-runtime-files AS ray-runtime
LABEL io.cslr-images.av="18.1.0" \
    io.cslr-images.ray="2.60.0" \
    io.cslr-images.target="ray-runtime" \
    io.cslr-images.torchcodec="0.11.1" \
    org.opencontainers.image.title="cpu-py3.13-ray-runtime"

# What marimo adds to the environment.
FROM marimo AS marimo-added
RUN --mount=type=bind,from=ray,source=/opt/env,target=/run/below \
    --mount=type=bind,source=ci/programs/copy_changes.py,target=/run/cslr-images/copy_changes.py \
    /opt/tools/bin/python /run/cslr-images/copy_changes.py /run/below /opt/env /opt/added

# The same without what the variant default leaves out.
FROM marimo-added AS marimo-added-default
RUN --mount=type=bind,source=ci/programs/trim_env.py,target=/run/cslr-images/trim_env.py \
    --mount=type=bind,source=ci/programs/common,target=/run/cslr-images/common \
    --mount=type=bind,source=dockerfiles/rules.json,target=/run/rules.json \
    /opt/tools/bin/python /run/cslr-images/trim_env.py /opt/added --rules /run/rules.json
RUN --mount=type=bind,source=ci/programs/strip_libs.py,target=/run/cslr-images/strip_libs.py \
    --mount=type=bind,source=ci/programs/common,target=/run/cslr-images/common \
    /opt/tools/bin/python /run/cslr-images/strip_libs.py /opt/added --mode debug
RUN --mount=type=bind,source=ci/programs/compile_env.py,target=/run/cslr-images/compile_env.py \
    --mount=type=bind,source=ci/programs/common,target=/run/cslr-images/common \
    --mount=type=bind,source=dockerfiles/bytecode.txt,target=/run/bytecode.txt \
    /opt/env/bin/python -B /run/cslr-images/compile_env.py /opt/added --prefix /opt/env --without @/run/bytecode.txt

# The files of devel images with marimo.
FROM ray-devel-files AS marimo-devel-files
COPY --from=marimo-added-default /opt/added /opt/env

# The image marimo-devel.
FROM marimo-devel-files AS marimo-devel
LABEL io.cslr-images.av="18.1.0" \
    io.cslr-images.marimo="0.25.2" \
    io.cslr-images.ray="2.60.0" \
    io.cslr-images.target="marimo-devel" \
    io.cslr-images.torchcodec="0.11.1" \
    org.opencontainers.image.title="cpu-py3.13-marimo-devel"
EXPOSE 8080

# The files of runtime images with marimo.
FROM ray-runtime-files AS marimo-runtime-files
COPY --from=marimo-added-default /opt/added /opt/env

# The image marimo-runtime.
FROM marimo-runtime-files AS marimo-runtime
LABEL io.cslr-images.av="18.1.0" \
    io.cslr-images.marimo="0.25.2" \
    io.cslr-images.ray="2.60.0" \
    io.cslr-images.target="marimo-runtime" \
    io.cslr-images.torchcodec="0.11.1" \
    org.opencontainers.image.title="cpu-py3.13-marimo-runtime"
CMD ["marimo", "edit", "--headless", "--host", "0.0.0.0", "--port", "8080", "--no-token"]
EXPOSE 8080
