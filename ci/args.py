"""Define the argument types of the public functions, each with its text of `--help`."""

from typing import Annotated

import dagger
from dagger import Doc

Cuda = Annotated[str, Doc("CUDA version, or `cpu`: `12.8.1`. `dagger call cells` lists the cells.")]
Python = Annotated[str, Doc("Python version: `3.13`.")]
Target = Annotated[
    str,
    Doc("Kind of image: `runtime`, or `devel` to build and install in; with one more layer: `ray-runtime`."),
]
SourcesName = Annotated[
    str,
    Doc(
        "Where base images and packages come from: `upstream` (NVIDIA, conda-forge, PyTorch) or `registries` "
        "(Debian, PyPI, Maven)."
    ),
]
Mirrors = Annotated[
    dagger.File | None,
    Doc("A TOML file of your own addresses that replace those of the sources: `mirrors.toml` (see README)."),
]
MirrorService = Annotated[
    dagger.Service | None,
    Doc("A mirror that listens on your machine, reached as host `mirror`: `tcp://127.0.0.1:8080`."),
]
MatrixFile = Annotated[
    dagger.File | None, Doc("A matrix of your own instead of the module's: `matrix.toml`.")
]
Archs = Annotated[
    str | None, Doc("GPU architectures of compiled extensions: `8.0 9.0+PTX`. Default: those of the matrix.")
]
Jobs = Annotated[
    int | None,
    Doc("Number of compile jobs at once: `2`. Default: what memory and cores allow (1.6 GB a job)."),
]
RayMode = Annotated[
    str, Doc("Where Ray comes from: `stable`, `nightly` (a wheel) or `source` (built with bazel).")
]
FromBundle = Annotated[
    dagger.Directory | None,
    Doc("Build from a bundle, without a network: `PATH`, the folder of `bundle export --path PATH`."),
]
Variant = Annotated[
    str,
    Doc(
        "Kind of runtime image: `default`, `full` (nothing removed), `slim`, `minimal` or `uv` (no conda); "
        "`variants` lists the checks that each waives."
    ),
]
Cudas = Annotated[list[str] | None, Doc("CUDA versions to select: `12.8.1,13.1.1`. Default: all but `cpu`.")]
Pythons = Annotated[list[str] | None, Doc("Python versions to select: `3.13`. Default: all.")]
Targets = Annotated[list[str] | None, Doc("Targets to select: `runtime,ray-runtime`. Default: all.")]
Phases = Annotated[list[int] | None, Doc("Build phases to select: `1`. Default: all.")]
Only = Annotated[list[str] | None, Doc("Globs of cell ids to select: `cu12*-py3.13-ray-*`. Default: all.")]
ChangedSince = Annotated[
    dagger.File | None,
    Doc(
        "Leave out cells whose plan equals that in this file, printed by `plan --format json`: `before.json`."
    ),
]
Limit = Annotated[
    int | None,
    Doc("Number of cells to build at once: `2`. Default: what the machine's cores, memory and disk allow."),
]
DiskFloor = Annotated[float, Doc("Free disk space in GB below which no further cell starts: `30`.")]
FailFast = Annotated[bool, Doc("Start no further cell after one has failed.")]
Verify = Annotated[
    str,
    Doc(
        "Which checks run: `once`: a check counts from the image below if an image only adds layers that the check "
        "does not depend on; `all`: every check in every image; `none`: the cells end with a warning, and nothing is "
        "published."
    ),
]
HistoryFile = Annotated[
    dagger.File | None,
    Doc("Records to add to those that the engine keeps: `history.jsonl`, as `history` writes it."),
]
PlanFormat = Annotated[
    str, Doc("`text`, `json`, or `github`: a value for GitHub Actions' `strategy.matrix` (`fromJSON`).")
]
ReportFormat = Annotated[str, Doc("`terminal`, `markdown`, `json`, `junit` or `html` (one file).")]
Into = Annotated[
    dagger.File | None,
    Doc(
        "A Markdown page, `page.md`: the report replaces the text between its marks `<!-- cslr-images:begin -->` and "
        "`:end`."
    ),
]
Publish = Annotated[bool, Doc("Publish each image that passes its checks.")]
Repositories = Annotated[
    list[str] | None,
    Doc(
        "Repositories to publish to, without a tag: `docker.io/me/image,ghcr.io/me/image`. Default: the matrix's."
    ),
]
RegistryUser = Annotated[str | None, Doc("User name at the registries: `me`.")]
RegistryPassword = Annotated[dagger.Secret | None, Doc("Password or token of that user: `env:TOKEN`.")]
RegistryService = Annotated[
    dagger.Service | None,
    Doc("A registry that listens on your machine, asked where its tags point: `tcp://127.0.0.1:5000`."),
]
DockerConfig = Annotated[
    dagger.Secret | None,
    Doc(
        "Logins of several registries, in docker's format: `file:~/.docker/config.json`. Those that docker's helpers "
        "have (`credsStore`, `credHelpers`) are not in it."
    ),
]
Compression = Annotated[
    str, Doc("Compression of layers: `zstd` (docker 23, containerd 1.5 or newer) or `gzip`.")
]
Webhook = Annotated[
    dagger.Secret | None,
    Doc('Address to post failures and recoveries to, in Slack\'s format (`{"text": …}`): `env:WEBHOOK`.'),
]
WebhookService = Annotated[
    dagger.Service | None,
    Doc("A webhook that listens on your machine, host `mirror` in its address: `tcp://127.0.0.1:9000`."),
]
AnyImage = Annotated[
    dagger.Container, Doc("An image with its environment at /opt/env: `registry.example/image:tag`.")
]
Verified = Annotated[
    dagger.Container | None,
    Doc("The image to check: `registry.example/image:tag`. Default: the one that `build` returns."),
]
Packed = Annotated[dagger.Directory, Doc("An environment as `packed` exports it: `tree`.")]
SizeFormat = Annotated[str, Doc("`text` for people, `json` for programs and for `--against`.")]
LatestFormat = Annotated[str, Doc("`text` for people, or `json` for programs.")]
To = Annotated[
    list[str] | None,
    Doc(
        "Versions to set: `ray=2.60.0,torch@13.1.1=2.14.1` (one row of torch), `pair=13.1.1/3.14` (a new pair). "
        "Default: the newest of everything that breaks no cell."
    ),
]
BumpFormat = Annotated[
    str,
    Doc(
        "`text`: what changes; `diff`: a patch for `git apply`; `toml`: the whole file, for `-o ci/matrix.toml`."
    ),
]
Against = Annotated[
    dagger.File | None,
    Doc("Sizes of another image to compare with, printed by `size --format json`: `before.json`."),
]
