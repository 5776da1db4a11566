"""Where bytes come from: two profiles, a file of mirrors over either, and no secret in any of them."""

import re
from collections.abc import Callable
from importlib import resources
from importlib.resources.abc import Traversable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ci.config.sources import Address, ImageName, Sources, fill_placeholders, read_profiles, read_sources
from tests.unit.plans import shipped
from tests.unit.user_errors import answer, mistake, nasty, texts

UPSTREAM_HOSTS = {
    "conda.anaconda.org",
    "data.pyg.org",
    "download.pytorch.org",
    "github.com",
    "registry-1.docker.io",
    "s3-us-west-2.amazonaws.com",
}


def files(folder: Traversable) -> list[Traversable]:
    """List every file below a folder."""
    found = sorted(folder.iterdir(), key=lambda entry: entry.name)
    return [one for entry in found for one in (files(entry) if entry.is_dir() else [entry])]


# -- profiles ------------------------------------------------------------------------------------------------


def test_there_are_two_profiles() -> None:
    assert list(read_profiles()) == ["upstream", "registries"]


@pytest.mark.parametrize("profile", ["upstream", "registries"])
def test_every_cuda_version_has_a_toolkit(profile: str) -> None:
    assert set(read_sources(profile).toolkit) == {"12.8.1", "13.1.1"}


def test_upstream_is_nvidia_conda_forge_pytorch_pyg_and_ray() -> None:
    sources = read_sources("upstream")
    assert sources.images.devel == "nvidia/cuda:{cuda}-cudnn-devel-ubuntu24.04"
    assert sources.images.runtime == "nvidia/cuda:{cuda}-base-ubuntu24.04"
    assert {toolkit.provider for toolkit in sources.toolkit.values()} == {"image"}
    assert sources.conda.channels == ("https://conda.anaconda.org/conda-forge",)
    assert sources.wheels.torch == "https://download.pytorch.org/whl/{tag}"
    assert sources.wheels.pyg == "https://data.pyg.org/whl/torch-{torch}%2B{tag}.html"
    assert sources.wheels.index is None


def test_registries_names_no_address_at_all() -> None:
    sources = read_sources("registries")
    assert sources.conda.channels == ()
    assert set(sources.wheels.model_dump().values()) == {None}
    assert {sources.images.devel, sources.images.runtime, sources.images.cpu} == {"debian:bookworm-slim"}


def test_the_compiler_for_12_8_in_registries_is_debians_12_4() -> None:
    toolkit = read_sources("registries").toolkit["12.8.1"]
    assert (toolkit.provider, toolkit.compiler) == ("hybrid", "12.4.131")
    assert toolkit.deb is not None
    assert toolkit.deb.package == "nvidia-cuda-toolkit"
    assert toolkit.deb.version.startswith("12.4.131~")
    assert "Debian's nvcc 12.4.131" in toolkit.note


def test_a_debian_package_is_pinned_by_a_real_checksum() -> None:
    toolkit = read_sources("registries").toolkit["12.8.1"]
    assert toolkit.deb is not None
    assert len(set(toolkit.deb.sha256)) > 8


def test_only_known_hosts_of_upstream_are_named() -> None:
    hosts = set(re.findall(r"https?://([^/\"'\s]+)", shipped("sources.toml")))
    assert hosts == UPSTREAM_HOSTS


def test_no_lock_names_an_address() -> None:
    locks = files(resources.files("ci").joinpath("locks"))
    assert len(locks) >= 16
    for lock in locks:
        text = lock.read_text("utf-8")
        assert not re.search(r"https?://", text), lock.name
        assert not re.search(r"(?m)^\s*(--index-url|--extra-index-url|-i|-f|--find-links)\b", text), lock.name


@pytest.mark.parametrize(
    ("profile", "hint"), [("registry", " (did you mean 'registries'?)"), ("up", ""), ("schema", "")]
)
def test_an_unknown_profile_names_the_two(profile: str, hint: str) -> None:
    message = mistake(lambda: read_sources(profile))
    assert message == f"unknown sources profile '{profile}'{hint}; accepted: upstream, registries"


@nasty
def test_a_nasty_name_is_no_profile(value: str) -> None:
    assert mistake(lambda: read_sources(value)).startswith("unknown sources profile ")


# -- mirrors -------------------------------------------------------------------------------------------------


MIRRORS: dict[str, tuple[Callable[[Sources], object], object]] = {
    'description = "ours"': (lambda s: s.description, "ours"),
    'images.devel = "mirror:5000/cuda:{cuda}"': (lambda s: s.images.devel, "mirror:5000/cuda:{cuda}"),
    'images.runtime = "mirror/base"': (lambda s: s.images.runtime, "mirror/base"),
    'images.cpu = "mirror/ubuntu:24.04"': (lambda s: s.images.cpu, "mirror/ubuntu:24.04"),
    'images.glibc = "2.41"': (lambda s: s.images.glibc, "2.41"),
    'conda.channels = ["http://mirror:8080/conda", "http://b"]': (
        lambda s: s.conda.channels,
        ("http://mirror:8080/conda", "http://b"),
    ),
    "conda.channels = []": (lambda s: s.conda.channels, ()),
    'wheels.index = "http://mirror:8080/simple"': (lambda s: s.wheels.index, "http://mirror:8080/simple"),
    'wheels.torch = "http://mirror/{tag}"': (lambda s: s.wheels.torch, "http://mirror/{tag}"),
    'wheels.pyg = "http://mirror/{torch}%2B{tag}"': (lambda s: s.wheels.pyg, "http://mirror/{torch}%2B{tag}"),
    'wheels.ray_nightly = "http://m/{wheel}"': (lambda s: s.wheels.ray_nightly, "http://m/{wheel}"),
    'wheels.ray_source = "http://m/ray.git"': (lambda s: s.wheels.ray_source, "http://m/ray.git"),
    'toolkit."13.1.1".compiler = "13.1.80"': (lambda s: s.toolkit["13.1.1"].compiler, "13.1.80"),
    'toolkit."13.2.0" = { provider = "wheels", compiler = "13.2.1", wheels = ["nvidia-cuda-nvcc==13.2.1"] }': (
        lambda s: s.toolkit["13.2.0"].provider,
        "wheels",
    ),
}


@pytest.mark.parametrize("profile", ["upstream", "registries"])
@pytest.mark.parametrize("text", MIRRORS)
def test_a_mirror_replaces_its_own_key_and_no_other(text: str, profile: str) -> None:
    get, expected = MIRRORS[text]
    plain, found = read_sources(profile), read_sources(profile, text)
    assert get(found) == expected
    table, _, key = text.partition(" ")[0].partition(".")
    before, after = plain.model_dump(), found.model_dump()
    assert {name for name in before if before[name] != after[name]} <= {table}
    if table in ("images", "wheels"):
        assert {name for name in before[table] if before[table][name] != after[table][name]} <= {key}


def test_an_empty_file_of_mirrors_changes_nothing() -> None:
    assert read_sources("upstream", "") == read_sources("upstream")


def test_laying_mirrors_over_a_profile_leaves_the_profile_as_it_was() -> None:
    read_sources("upstream", 'wheels.index = "http://mirror/simple"')
    assert read_sources("upstream").wheels.index is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('wheels.indx = "http://m"', "unknown key 'wheels.indx' (did you mean 'index'?); accepted: index, torch, pyg"),
        ('[wheel]\nindex = "http://m"', "unknown key 'wheel' (did you mean 'wheels'?); accepted: description, images"),
        ("schema = 1", "unknown key 'schema'"),
        ("wheels = 3", "key 'wheels'"),
        ("wheels.index = 8080", "key 'wheels.index'"),
        ('wheels.index = "http://m/{tag}"', "key 'wheels.index': has the placeholder {tag}; none is filled here"),
        ('conda.channels = ["http://m/{cuda}"]', "key 'conda.channels.0': has the placeholder {cuda}"),
        ('images.cpu = "debian:{cuda}"', "key 'images.cpu': has the placeholder {cuda}"),
        ('conda.channels = "http://m"', "key 'conda.channels'"),
        ('conda.channels = ["conda-forge"]', "key 'conda.channels.0'"),
        ('toolkit."13.1.1".provider = "conda"', "Input should be 'image', 'wheels' or 'hybrid'"),
        ('toolkit."13.1" = { provider = "image", compiler = "1" }', "key 'toolkit.13.1.[key]'"),
        ('toolkit."13.1.1".deb = { package = "gcc" }', "key 'toolkit.13.1.1.deb.version'"),
        ('toolkit."13.1.1".wheels = ["a --index-url b"]', "key 'toolkit.13.1.1.wheels.0'"),
        ("wheels.index = ", "not valid TOML: Invalid value (at line 1, the end of the document)"),
        ('[wheels]\n\nindex "http://m"', "line 3"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_of_mirrors_names_file_and_key_or_line(text: str, message: str) -> None:
    message = mistake(lambda: read_sources("registries", text, "mine.toml"))
    assert message.startswith("mine.toml: ")
    assert message in message


@nasty
def test_the_name_of_the_file_cannot_forge_lines(value: str) -> None:
    mistake(lambda: read_sources("upstream", "x = 1", value))


@given(texts)
def test_any_file_of_mirrors_is_sources_or_a_mistake(text: str) -> None:
    answer(lambda: read_sources("upstream", text))
    answer(lambda: read_sources("upstream", f"wheels.index = {text}"))


# -- addresses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "http://mirror:8080/simple",
        "https://download.pytorch.org/whl/{tag}",
        "https://data.pyg.org/whl/torch-{torch}%2B{tag}.html",
        "http://10.0.0.1",
        "http://[fe80::1]:8080/",
        "https://host.example/a~b/c+d/x=1/",
    ],
)
def test_an_address_is_http(address: str) -> None:
    assert read_sources("upstream", f'wheels.torch = "{address}"').wheels.torch == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "mirror:8080/simple",
        "ftp://mirror/simple",
        "file:///etc/passwd",
        "git+https://host/x",
        "HTTP://host",
        "https://",
        "https:///simple",
        "https://host:port/simple",
        "https://[",
        "https://[zz]/",
        "https://host/a b",
        "https://host/$(id)",
        "https://host/`id`",
        "https://host/;id",
        "https://host/'x'",
        "https://host/x?token=secret",
        "https://host/x#sha256=0",
        "https://host/&x",
        "https://host/|x",
        "https://host/é",
        "https://{host}/",
        "https://host/" + "x" * 400,
        " https://host/",
    ],
)
def test_anything_else_is_refused(address: str) -> None:
    message = mistake(lambda: read_sources("upstream", f'wheels.index = "{address}"'))
    assert message.startswith("mirrors file: key 'wheels.index'")


@pytest.mark.parametrize("control", ["\\n", "\\r", "\\t", "\\u0000", "\\u001b[31m", "\\u2028"])
def test_an_address_holds_no_control_character(control: str) -> None:
    mistake(lambda: read_sources("upstream", f'wheels.index = "https://host/simple{control}"'))
    mistake(lambda: read_sources("upstream", f'conda.channels = ["https://host{control}/x"]'))


@pytest.mark.parametrize(
    "text",
    [
        'wheels.index = "https://user:hunter2@host/simple"',
        'wheels.index = "https://hunter2@host/simple"',
        'wheels.torch = "https://user:hunter2@host/{tag}"',
        'wheels.pyg = "https://host/x@hunter2"',
        'wheels.ray_source = "https://token:hunter2@host/ray.git"',
        'conda.channels = ["https://host/t/x", "https://user:hunter2@host/conda"]',
        'images.devel = "user:hunter2@registry/cuda:{cuda}"',
        'images.cpu = "hunter2@registry/ubuntu"',
    ],
)
def test_a_secret_is_refused_and_not_repeated(text: str) -> None:
    assert "hunter2" not in mistake(lambda: read_sources("upstream", text))


@given(texts | st.text(alphabet="htps:/.@[]{}a1%-$;'\n ", max_size=30).map("https://host/".__add__))
def test_an_address_that_is_accepted_is_one_safe_word(value: str) -> None:
    try:
        TypeAdapter(Address).validate_python(value)
    except ValidationError:
        return
    assert re.fullmatch(r"https?://[A-Za-z0-9._~%+/={}:\[\]-]+", value)


@pytest.mark.parametrize(
    ("image", "accepted"),
    [
        ("ubuntu:24.04", True),
        ("registry.example:5000/team/cuda:{cuda}-devel", True),
        ("debian@sha256:" + "0a" * 32, True),
        ("debian@sha256:short", False),
        ("", False),
        ("Debian", False),
        ("-debian", False),
        ("/debian", False),
        ("debian:latest --privileged", False),
        ("debian\n", False),
        ("debian;id", False),
        ("https://host/debian?x", False),
    ],
)
def test_an_image_is_named_as_a_registry_names_it(image: str, accepted: bool) -> None:
    adapter: TypeAdapter[str] = TypeAdapter(ImageName)
    if accepted:
        assert adapter.validate_python(image) == image
    else:
        with pytest.raises(ValidationError):
            adapter.validate_python(image)


# -- places --------------------------------------------------------------------------------------------------


def test_places_are_filled() -> None:
    assert (
        fill_placeholders("https://h/torch-{torch}%2B{tag}.html", torch="2.11.0", tag="cu128")
        == "https://h/torch-2.11.0%2Bcu128.html"
    )
    assert fill_placeholders("{tag}/{tag}", tag="cu130") == "cu130/cu130"
    assert fill_placeholders("no place", tag="cu130") == "no place"


def test_what_is_filled_in_is_not_read_again() -> None:
    assert fill_placeholders("{a}{b}", a="{b}", b="x") == "{b}x"


@pytest.mark.parametrize(
    "place", ["{torch}", "{}", "{tag }", "{torch-tag}", "{0}", "{tag.__class__}", "{Tag}"]
)
def test_an_unknown_place_names_those_that_are_known(place: str) -> None:
    message = mistake(lambda: fill_placeholders(f"https://h/{place}", cuda="12.8.1", tag="cu128"))
    assert message == f"sources: https://h/{place} has the placeholder {place}; accepted here: cuda, tag"


@given(texts, texts)
def test_any_template_is_filled_or_a_mistake(template: str, value: str) -> None:
    answer(lambda: fill_placeholders(template, tag=value))
