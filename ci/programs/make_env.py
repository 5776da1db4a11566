#!/usr/bin/env python3
"""Makes and changes conda environments with py-rattler: no conda, no mamba, no base environment.

    make_env.py create --prefix /opt/env --channel URL 'python=3.13.*' pip
    make_env.py install --prefix /opt/env 'numpy>=2'      keeps what is installed; --update may move it
    make_env.py list --prefix /opt/env
    make_env.py fill-cache --prefix /opt/env --pkgs-cache DIR     gives conda-pack its package cache back

The prefix defaults to $CONDA_PREFIX. With --glibc (and --cuda) a solve depends on what is said here, not on
the machine: they describe the image that the environment will run on. What was installed is locked in
PREFIX/conda-meta/lock.
Needs: py-rattler (PyPI).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from rattler import (
    Channel,
    ChannelPriority,
    Client,
    Gateway,
    GenericVirtualPackage,
    LockChannel,
    LockFile,
    LockPlatform,
    MatchSpec,
    PackageName,
    PrefixRecord,
    RepoDataRecord,
    Subdir,
    Version,
    VirtualPackage,
    VirtualPackageOverrides,
    install,
    solve,
)
from rattler.networking import AuthenticationMiddleware, MirrorMiddleware, RetryMiddleware
from rattler.package import BuildString
from rattler.virtual_package.virtual_package import Override

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

PLATFORM = "linux-64"
# What an image will run on is not known when it is built: assume an old kernel and any x86-64 processor
LINUX, ARCHSPEC = "5.4", "x86_64"
PASSING = re.compile(
    r"error sending request|connect|timed? ?out|reset|dns|temporar|unexpected eof|\b50\d\b", re.IGNORECASE
)

T = TypeVar("T")


class UserError(Exception):
    """What the person who runs the program can mend; printed as one line."""


# --- input ----------------------------------------------------------------------------------------


def channel_url(channel: str) -> str:
    """A channel as a URL; a folder of this machine becomes file://."""
    if "://" in channel:
        return channel.rstrip("/")
    folder = Path(channel)
    if folder.is_absolute() or channel.startswith("."):
        if not folder.is_dir():
            raise UserError(f"channel {channel}: no such folder")
        return folder.resolve().as_uri()
    return channel  # a name such as conda-forge


def match_spec(text: str) -> MatchSpec:
    try:
        return MatchSpec(text, strict=False)  # strict refuses python=3.13.*
    except Exception as error:
        raise UserError(f"cannot read the spec {text!r}: {first_line(error)}") from error


def mirrors(pairs: Sequence[str]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for pair in pairs:
        source, _, target = pair.partition("=")
        if not source.startswith("http") or not target:
            raise UserError(f"--mirror {pair}: expected FROM=TO, two URLs")
        if not target.startswith("http"):
            raise UserError(
                f"--mirror {pair}: TO must be http(s) too: serve a folder with python3 -m http.server"
            )
        out.setdefault(source.rstrip("/") + "/", []).append(target.rstrip("/") + "/")
    return out


def virtual_packages(glibc: str | None, cuda: str | None) -> list[GenericVirtualPackage]:
    """The system that the solver sees: the one described, or, where nothing is said, this machine."""
    if glibc is None:
        found = VirtualPackage.detect(VirtualPackageOverrides.from_env())
        if cuda is not None:
            overrides = VirtualPackageOverrides.from_env()
            overrides.cuda = Override.string(cuda)
            found = VirtualPackage.detect(overrides)
        return [v.into_generic() for v in found]
    described = {
        "__unix": ("0", "0"),
        "__linux": (LINUX, "0"),
        "__glibc": (glibc, "0"),
        "__archspec": ("1", ARCHSPEC),
    }
    if cuda is not None:
        described["__cuda"] = (cuda, "0")
    return [
        GenericVirtualPackage(PackageName(n), Version(v), BuildString(b)) for n, (v, b) in described.items()
    ]


def make_client(mirror: Sequence[str]) -> Client:
    layers: list[Any] = [RetryMiddleware(max_retries=4)]
    if mirror:
        layers.append(MirrorMiddleware(mirrors(mirror)))
    layers.append(AuthenticationMiddleware())
    return Client(layers)


def first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


async def patiently(what: str, action: Callable[[], Awaitable[T]], tries: int = 3) -> T:
    """Does something on the network, again where the failure looks like a passing one."""
    for left in range(tries - 1, -1, -1):
        try:
            return await action()
        except Exception as error:
            if not left or not PASSING.search(str(error)):
                raise UserError(f"{what}: {error}") from error
            print(f"{what}: {first_line(error)}; trying again ({left} left)", file=sys.stderr)
            await asyncio.sleep(2 * (tries - left))
    raise AssertionError("unreachable")


# --- an environment on disk -----------------------------------------------------------------------


def installed(prefix: Path) -> list[PrefixRecord]:
    return [PrefixRecord.from_path(path) for path in sorted((prefix / "conda-meta").glob("*.json"))]


def require_environment(prefix: Path) -> list[PrefixRecord]:
    records = installed(prefix)
    if not records:
        raise UserError(f"{prefix} is not a conda environment (nothing in conda-meta)")
    return records


def dist(record: RepoDataRecord) -> str:
    return f"{record.name.normalized}-{record.version}-{record.build}"


def write_lock(path: Path, channels: Sequence[str], records: Sequence[RepoDataRecord]) -> None:
    platform = LockPlatform(PLATFORM)
    lock = LockFile([platform])
    lock.set_channels("default", [LockChannel(Channel(c).base_url) for c in channels])
    for record in sorted(records, key=lambda r: r.name.normalized):
        lock.add_conda_package("default", platform, record)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    lock.to_path(partial)
    partial.replace(path)


def read_lock(path: Path) -> tuple[list[str], list[RepoDataRecord]]:
    try:
        environment = LockFile.from_path(path).default_environment()
    except Exception as error:
        raise UserError(f"cannot read the lock {path}: {first_line(error)}") from error
    if environment is None:
        raise UserError(f"{path}: no default environment in this lock")
    records = environment.conda_repodata_records_for_platform(environment.platforms()[0])
    return [str(c) for c in environment.channels()], list(records or [])


def write_history(prefix: Path, before: set[str], after: set[str], specs: Sequence[str]) -> None:
    """Appends what was done to conda-meta/history, as conda does; SOURCE_DATE_EPOCH gives the date."""
    path = prefix / "conda-meta" / "history"
    text = path.read_text() if path.exists() else ""
    if before != after or not text:
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(epoch) if epoch else time.time()))
        lines = [f"==> {when} <==", f"# cmd: make_env.py {shlex.join(specs)}"]
        lines += [f"-{d}" for d in sorted(before - after)] + [f"+{d}" for d in sorted(after - before)]
        if specs:
            lines.append(f"# update specs: {json.dumps(list(specs))}")
        path.write_text(text + "\n".join(lines) + "\n")


# --- commands -------------------------------------------------------------------------------------


async def apply(
    args: argparse.Namespace, records: list[RepoDataRecord], channels: Sequence[str], specs: Sequence[str]
) -> None:
    """Makes the prefix hold exactly these records."""
    prefix: Path = args.prefix
    before = {dist(r) for r in installed(prefix)}
    check_local(records)
    client = make_client(args.mirror)
    # a MatchSpec as such is refused here by py-rattler 0.28.0; the object inside it is not
    requested: Any = [match_spec(s)._match_spec for s in specs]

    async def link() -> None:
        await install(
            records,
            target_prefix=prefix,
            cache_dir=args.pkgs_cache,
            client=client,
            show_progress=False,
            execute_link_scripts=args.link_scripts,
            requested_specs=requested,
        )

    await patiently("cannot install", link)
    write_history(prefix, before, {dist(r) for r in installed(prefix)}, specs)
    write_lock(prefix / "conda-meta" / "lock", channels, records)
    if args.lock:
        write_lock(args.lock, channels, records)


async def solved(
    args: argparse.Namespace,
    channels: Sequence[str],
    specs: Sequence[str],
    pinned: Sequence[RepoDataRecord] = (),
    locked: Sequence[RepoDataRecord] = (),
) -> list[RepoDataRecord]:
    gateway = Gateway(cache_dir=args.pkgs_cache / ".repodata", client=make_client(args.mirror))

    async def ask() -> list[RepoDataRecord]:
        return await solve(
            sources=[Channel(c) for c in channels],
            specs=[match_spec(s) for s in specs],
            gateway=gateway,
            platforms=[Subdir(PLATFORM), Subdir("noarch")],
            virtual_packages=virtual_packages(args.glibc, args.cuda),
            channel_priority=ChannelPriority.Strict,
            pinned_packages=pinned,
            locked_packages=locked,
        )

    return await patiently("cannot solve", ask)


def unmet(specs: Sequence[str], records: Sequence[RepoDataRecord]) -> list[str]:
    return [s for s in specs if not any(match_spec(s).matches(r) for r in records)]


async def create(args: argparse.Namespace) -> None:
    if args.lock and args.lock.exists():
        channels, records = read_lock(args.lock)
        missing = unmet(args.specs, records)
        if missing:
            raise UserError(f"{args.lock} holds nothing for {', '.join(missing)}: remove it to solve anew")
        how = "locked"
    else:
        channels = [channel_url(c) for c in args.channel]
        if not channels or not args.specs:
            raise UserError("create needs a --channel and specs, or a --lock that exists")
        records = await solved(args, channels, args.specs)
        how = "solved"
    await apply(args, records, channels, args.specs)
    print(f"{args.prefix}: {len(records)} packages ({how})")


async def add(args: argparse.Namespace) -> None:
    current = require_environment(args.prefix)
    lock = args.prefix / "conda-meta" / "lock"
    channels = [channel_url(c) for c in args.channel] or (read_lock(lock)[0] if lock.exists() else [])
    if not channels:
        raise UserError(f"no --channel, and no {lock} that names any")
    earlier = [s for r in current for s in r.requested_specs]
    asked = {match_spec(s).name.normalized for s in args.specs}
    kept = [s for s in earlier if match_spec(s).name.normalized not in asked]
    specs = [*kept, *args.specs]
    # a package that is asked for anew and does not fit is free to move; with --update all are
    fixed = [r for r in current if r.name.normalized not in asked or not unmet_for(r, args.specs)]
    try:
        if args.update:
            records = await solved(args, channels, specs, locked=current)
        else:
            records = await solved(args, channels, specs, pinned=fixed)
    except UserError as error:
        hint = "" if args.update else "\nWhat is installed was kept as it is; --update lets it move."
        raise UserError(f"{error}{hint}") from error
    before = {dist(r) for r in current}
    await apply(args, records, channels, specs)
    after = {dist(r) for r in records}
    for sign, names in (("-", before - after), ("+", after - before)):
        for name in sorted(names):
            print(f"{sign} {name}")
    if before == after:
        print("nothing to change")


def unmet_for(record: RepoDataRecord, specs: Sequence[str]) -> bool:
    """Whether a spec that names this record's package is not met by it."""
    mine = [match_spec(s) for s in specs]
    return any(m.name.normalized == record.name.normalized and not m.matches(record) for m in mine)


def local_file(record: RepoDataRecord) -> Path | None:
    return Path(unquote(urlsplit(record.url).path)) if record.url.startswith("file://") else None


def check_local(records: Sequence[RepoDataRecord]) -> None:
    """Holds packages of local channels against their hashes: rattler does that only for what it downloads."""
    for record in records:
        path = local_file(record)
        if path is None or record.sha256 is None or not path.exists():
            continue
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").digest() != record.sha256:
                raise UserError(f"{path} is not what its channel or the lock says (sha256)")


def relocate(records: Sequence[RepoDataRecord], channel: str | None) -> None:
    """Points records of a local channel that is no longer where it was at another one."""
    for record in records:
        path = local_file(record)
        if path is None or path.exists():
            continue
        if channel is None:
            raise UserError(f"{path} is no longer there: say where the channel is now with --channel")
        record.url = f"{channel}/{record.subdir}/{record.file_name}"


async def fill_cache(args: argparse.Namespace) -> None:
    """Downloads again what conda-meta says was linked, and points conda-meta at it."""
    records: list[RepoDataRecord] = list(require_environment(args.prefix))
    meta = {}
    for path in sorted((args.prefix / "conda-meta").glob("*.json")):
        data = json.loads(path.read_text())
        meta[data["name"]] = (path, data)

    def cached(data: dict[str, Any]) -> bool:
        source = (data.get("link") or {}).get("source") or ""
        return bool(source) and (Path(source) / "info" / "paths.json").exists()

    lacking = {name for name, (_, data) in meta.items() if not cached(data)}
    if lacking:
        wanted = [r for r in records if r.name.normalized in lacking]
        relocate(wanted, channel_url(args.channel[0]) if args.channel else None)
        check_local(wanted)
        client = make_client(args.mirror)
        args.pkgs_cache.mkdir(parents=True, exist_ok=True)
        # rattler fills the cache when it links: into a prefix that is thrown away (hard links: no space)
        scratch = Path(tempfile.mkdtemp(prefix=".fill-", dir=args.pkgs_cache))
        # noarch packages cannot be linked without their Python, so it goes along
        python = [r for r in records if r.name.normalized == "python" and "python" not in lacking]

        async def link() -> None:
            await install(
                [*wanted, *python],
                target_prefix=scratch,
                cache_dir=args.pkgs_cache,
                client=client,
                show_progress=False,
                execute_link_scripts=False,
            )

        try:
            await patiently("cannot fill the cache", link)
            for path in sorted((scratch / "conda-meta").glob("*.json")):
                fresh = json.loads(path.read_text())
                if fresh["name"] in lacking:
                    target, data = meta[fresh["name"]]
                    data["link"] = {**(data.get("link") or {"type": 1}), "source": fresh["link"]["source"]}
                    data["extracted_package_dir"] = fresh["link"]["source"]
                    target.write_text(json.dumps(data, indent=2))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    print(f"{args.pkgs_cache}: {len(lacking)} of {len(meta)} packages fetched, the rest was there")


async def show(args: argparse.Namespace) -> None:
    rows: list[dict[str, str]] = [
        {
            "name": r.name.normalized,
            "version": str(r.version),
            "build": str(r.build),
            "channel": str(r.channel),
        }
        for r in require_environment(args.prefix)
    ]
    for info in sorted(args.prefix.glob("lib/python3*/site-packages/*.dist-info")):
        installer = info / "INSTALLER"
        if not installer.exists() or installer.read_text().strip() == "conda":
            continue
        name, _, version = info.name.removesuffix(".dist-info").partition("-")
        rows.append({"name": name, "version": version, "build": "pypi_0", "channel": "pypi"})
    rows.sort(key=lambda r: (r["name"].lower(), r["channel"]))
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    widths = [max(len(r[k]) for r in rows) for k in ("name", "version", "build")]
    for r in rows:
        print(
            f"{r['name']:{widths[0]}}  {r['version']:{widths[1]}}  {r['build']:{widths[2]}}  {r['channel']}"
        )


class ChannelAction(argparse.Action):
    """--channel A B SPEC: behind the first, what looks like neither URL nor path is a spec."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002 (argparse passes it)
    ) -> None:
        first, *rest = values
        namespace.channel = [*namespace.channel, first, *(v for v in rest if channel_like(v))]
        specs = [v for v in rest if not channel_like(v)]
        if specs and not hasattr(namespace, "more"):
            parser.error(f"unrecognized arguments: {' '.join(specs)}")
        if specs:
            namespace.more = [*namespace.more, *specs]


def channel_like(text: str) -> bool:
    return "://" in text or text.startswith(("/", "."))


# --- command line ---------------------------------------------------------------------------------


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make_env.py", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)

    def command(
        name: str, action: Callable[[argparse.Namespace], Awaitable[None]], text: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(action=action)
        default = os.environ.get("CONDA_PREFIX")
        sub.add_argument("--prefix", "-p", type=Path, default=Path(default) if default else None,
                         help="the environment's absolute path (default: $CONDA_PREFIX)")  # fmt: skip
        return sub

    def network(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--channel", "-c", nargs="+", action=ChannelAction, default=[], metavar="URL",
                         help="channels, the first has priority; a folder works too")  # fmt: skip
        cache = Path.home() / ".cache" / "make-env" / "pkgs"
        sub.add_argument("--pkgs-cache", type=Path, default=cache, metavar="DIR",
                         help="package cache; conda-pack needs it later")  # fmt: skip
        sub.add_argument("--mirror", nargs="+", action="extend", default=[], metavar="FROM=TO",
                         help="read what is at FROM from TO; locks keep FROM")  # fmt: skip

    def solving(sub: argparse.ArgumentParser) -> None:
        network(sub)
        sub.add_argument("specs", nargs="*", metavar="SPEC", help="such as 'python=3.13.*'")
        sub.add_argument("--spec", dest="more", nargs="+", action="extend", default=[], metavar="SPEC",
                         help="the same, as an option")  # fmt: skip
        sub.add_argument("--lock", type=Path, help="lock file: written; create installs from it if it exists")
        sub.add_argument("--glibc", metavar="2.36", help="glibc of the base that it will run on")
        sub.add_argument("--cuda", metavar="12.8", help="CUDA version that the driver there will offer")
        sub.add_argument("--link-scripts", action="store_true", help="run packages' post-link scripts")

    solving(command("create", create, "create an environment, or make an existing one exactly this"))
    more = command("install", add, "add packages to an environment")
    solving(more)
    more.add_argument("--update", action="store_true", help="let installed packages move")
    network(
        command("fill-cache", fill_cache, "download an environment's packages into the package cache again")
    )
    command("list", show, "list what is installed").add_argument("--json", action="store_true")

    args = parser.parse_args(argv)
    if hasattr(args, "specs"):
        args.specs = [*args.specs, *args.more]
    if args.command == "install" and not args.specs:
        parser.error("install needs at least one spec")
    return args


def check_prefix(prefix: Path | None) -> None:
    if prefix is None:
        raise UserError("no --prefix, and no environment is active ($CONDA_PREFIX)")
    if not prefix.is_absolute():
        raise UserError(f"the prefix {prefix} is not absolute, and it is written into files as it is")


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    try:
        check_prefix(args.prefix)
        if hasattr(args, "pkgs_cache"):
            args.pkgs_cache = args.pkgs_cache.absolute()  # conda-meta points at it
        asyncio.run(args.action(args))
    except UserError as error:
        print(f"make_env.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"make_env.py: {error.strerror or error}: {error.filename or ''}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(
        code
    )  # with http channels, rattler's threads sometimes crash an interpreter that ends in the usual way
