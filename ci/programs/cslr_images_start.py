"""Give caches a place where the home folder cannot be written, and the user a name where it has none.

Python runs this at each start, by the file `cslr_images_start.pth` beside it in site-packages. It matters to
containers that run as any user (OpenShift, `docker run --user`), with a home folder of somebody else or a read-only
root. A variable that is set stays; where the home folder can be written nothing is set.
"""

import os

# Variable: its folder below the home folder, and below the folder of caches.
CACHES = {
    "XDG_CACHE_HOME": (
        ".cache",
        "cache",
    ),  # pip, Hugging Face, torch.hub, torch.utils.cpp_extension, fontconfig
    "XDG_DATA_HOME": (".local/share", "data"),
    "XDG_STATE_HOME": (".local/state", "state"),  # marimo
    "TRITON_HOME": (".triton", "triton"),
    "TRITON_CACHE_DIR": (".triton/cache", "triton/.triton/cache"),
    "TORCHINDUCTOR_CACHE_DIR": (".inductor", "inductor"),  # in /tmp otherwise, by the user's name
    "MPLCONFIGDIR": (".config/matplotlib", "matplotlib"),
    "NUMBA_CACHE_DIR": (".cache/numba", "numba"),
    "IPYTHONDIR": (".ipython", "ipython"),
    "CUDA_CACHE_PATH": (".nv/ComputeCache", "cuda"),  # what the driver compiles of PTX
}
# Folders that may be mounted to be read: settings, and models that were downloaded.
READ = {
    "XDG_CONFIG_HOME": (".config", "config"),  # marimo
    "HF_HOME": (".cache/huggingface", "cache/huggingface"),
    "TORCH_HOME": (".cache/torch", "cache/torch"),
}
NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")  # where getpass looks, in this order


def name_user() -> None:
    """Set USER to the user's number if it has no name: `getpass.getuser()` and with it torch.compile fail otherwise."""
    if any(os.environ.get(name) for name in NAMES):
        return
    import pwd

    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        os.environ["USER"] = str(os.getuid())


def place_caches() -> None:
    """Set the variables of caches to places in a folder of the user's own, if the home folder cannot be written."""
    home = os.path.expanduser("~")  # noqa: PTH111 - pathlib takes milliseconds to import
    if os.access(home, os.W_OK | os.X_OK):
        return
    caches = f"{os.environ.get('TMPDIR') or '/tmp'}/caches-{os.getuid()}"  # noqa: S108
    try:
        os.mkdir(caches, 0o700)  # noqa: PTH102
    except FileExistsError:
        if os.lstat(caches).st_uid != os.getuid():
            return
    for table, usable in ((READ, os.R_OK | os.X_OK), (CACHES, os.W_OK | os.X_OK)):
        for name, (usual, place) in table.items():
            there = f"{home}/{usual}"
            os.environ.setdefault(name, there if os.access(there, usable) else f"{caches}/{place}")


# Python starts whatever happens here: where no folder can be written there are no caches.
try:
    name_user()
    place_caches()
except OSError:
    pass
