# Convert the filters that are not empty to options.
set --
[ -z "${CUDA:-}" ] || set -- "$@" "--cuda=$CUDA"
[ -z "${PYTHON:-}" ] || set -- "$@" "--python=$PYTHON"
[ -z "${TARGET:-}" ] || set -- "$@" "--target=$TARGET"
[ -z "${PHASE:-}" ] || set -- "$@" "--phase=$PHASE"
[ -z "${ONLY:-}" ] || set -- "$@" "--only=$ONLY"
