"""The arguments of the public functions: their types with the text of `--help`, written once."""

from typing import Annotated

import dagger
from dagger import Doc

Cuda = Annotated[str, Doc("CUDA version, or `cpu`: `12.8.1`. `dagger call cells` lists what there is.")]
Python = Annotated[str, Doc("Python version: `3.13`.")]
Target = Annotated[
    str,
    Doc(
        "What the image is for: `runtime`, or `devel` to build and install; with a layer more: `ray-runtime`."
    ),
]
SourcesName = Annotated[
    str,
    Doc(
        "Where bytes come from: `upstream` (NVIDIA, conda-forge, PyTorch) or `registries` (Debian, PyPI, Maven)."
    ),
]
Mirrors = Annotated[
    dagger.File | None,
    Doc("A TOML file of your own addresses, laid over the sources: `mirrors.toml` (see README)."),
]
MirrorService = Annotated[
    dagger.Service | None,
    Doc("A mirror that listens on your machine, reached as host `mirror`: `tcp://127.0.0.1:8080`."),
]
MatrixFile = Annotated[
    dagger.File | None, Doc("A matrix of your own in place of the module's: `matrix.toml`.")
]
Archs = Annotated[
    str | None, Doc("GPU architectures of compiled extensions: `8.0 9.0+PTX`. Unset: those of the matrix.")
]
Jobs = Annotated[
    int | None, Doc("Compile jobs at once: `2`. Unset: what memory and cores allow (3.5 GB a job).")
]
RayMode = Annotated[str, Doc("Where Ray comes from: `stable`, `nightly` (a wheel) or `source` (bazel).")]
FromBundle = Annotated[
    dagger.Directory | None,
    Doc("Build from a bundle, with no network: `PATH`, the folder that `bundle export --path PATH` wrote."),
]
Variant = Annotated[
    str,
    Doc(
        "What runtime images are made for: `default`, `full` (whole), `slim`, `minimal` or `uv` (no conda); "
        "`variants` tells what each gives up."
    ),
]
Cudas = Annotated[list[str] | None, Doc("CUDA versions to include: `12.8.1,13.1.1`. Unset: all but `cpu`.")]
Pythons = Annotated[list[str] | None, Doc("Python versions to include: `3.13`. Unset: all.")]
Targets = Annotated[list[str] | None, Doc("Targets to include: `runtime,ray-runtime`. Unset: all.")]
Phases = Annotated[list[int] | None, Doc("Build phases to include: `1`. Unset: all.")]
Only = Annotated[list[str] | None, Doc("Globs over cell ids: `cu12*-py3.13-ray-*`. Unset: all.")]
ChangedSince = Annotated[
    dagger.File | None,
    Doc("Leave out cells whose plan is as in this file, which `plan --format json` printed: `before.json`."),
]
Limit = Annotated[
    int | None, Doc("Cells to build at once: `2`. Unset: what the machine's cores, memory and disk allow.")
]
DiskFloor = Annotated[float, Doc("GB of free disk below which no further cell starts: `30`.")]
FailFast = Annotated[bool, Doc("Start no further cell after one has failed.")]
NoVerify = Annotated[
    bool, Doc("Do not verify the images: they come out with a warning, and are not published.")
]
HistoryFile = Annotated[
    dagger.File | None,
    Doc(
        "Records of earlier builds, added to those the engine keeps: `history.jsonl`, as `history` writes it."
    ),
]
PlanFormat = Annotated[
    str, Doc("`text`, `json`, or `github`: what GitHub Actions' `strategy.matrix` takes (`fromJSON`).")
]
ReportFormat = Annotated[str, Doc("`terminal`, `markdown`, `json`, `junit` or `html` (one file).")]
Into = Annotated[
    dagger.File | None,
    Doc(
        "A Markdown page, `page.md`: what stands between its marks `<!-- cslr-images:begin -->` and `:end` is replaced."
    ),
]
Publish = Annotated[bool, Doc("Publish each image that keeps its promises.")]
Repositories = Annotated[
    list[str] | None,
    Doc(
        "Where images are published, without a tag: `docker.io/me/image,ghcr.io/me/image`. Unset: the matrix's."
    ),
]
RegistryUser = Annotated[str | None, Doc("Who publishes: `me`.")]
RegistryPassword = Annotated[dagger.Secret | None, Doc("The password or token of that user: `env:TOKEN`.")]
RegistryService = Annotated[
    dagger.Service | None,
    Doc("A registry that listens on your own machine, asked where its tags point: `tcp://127.0.0.1:5000`."),
]
DockerConfig = Annotated[
    dagger.Secret | None,
    Doc("Logins of several registries, as docker keeps them: `file:~/.docker/config.json`."),
]
Compression = Annotated[
    str, Doc("How layers are compressed: `zstd` (docker 23, containerd 1.5 or newer) or `gzip`.")
]
Webhook = Annotated[
    dagger.Secret | None,
    Doc('Where failures and recoveries are told, as Slack takes it (`{"text": …}`): `env:WEBHOOK`.'),
]
WebhookService = Annotated[
    dagger.Service | None,
    Doc(
        "A webhook that listens on your own machine, called `mirror` in its address: `tcp://127.0.0.1:9000`."
    ),
]
AnyImage = Annotated[
    dagger.Container, Doc("An image that keeps its environment at /opt/env: `registry.example/image:tag`.")
]
Verified = Annotated[
    dagger.Container | None,
    Doc("The image to verify: `registry.example/image:tag`. Unset: the one that `build` gives."),
]
Packed = Annotated[dagger.Directory, Doc("A packed environment, as `packed` exports it: `tree`.")]
SizeFormat = Annotated[
    str, Doc("Form of the sizes: `text` for people, `json` for programs and for `--against`.")
]
LatestFormat = Annotated[str, Doc("`text` for people, or `json` for programs.")]
To = Annotated[
    list[str] | None,
    Doc(
        "Versions to take: `ray=2.60.0,torch@13.1.1=2.14.1` (one row of torch), `pair=13.1.1/3.14` (a new pair). "
        "Unset: the newest of everything that breaks no cell."
    ),
]
BumpFormat = Annotated[
    str,
    Doc(
        "`text`: what changes; `diff`: as `git apply` takes it; `toml`: the whole file, for `-o ci/matrix.toml`."
    ),
]
Against = Annotated[
    dagger.File | None,
    Doc("Sizes of another image, as `size --format json` prints them, to compare with: `before.json`."),
]
