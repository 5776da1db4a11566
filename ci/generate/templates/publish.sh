# Where images and news go, if they go anywhere.
if [ "${PUBLISH:-}" = true ]; then
  set -- "$@" --publish "--registry-user=$REGISTRY_USER" --registry-password=env:REGISTRY_PASSWORD
  [ -z "${REPOSITORIES:-}" ] || set -- "$@" "--repositories=$REPOSITORIES"
fi
[ -z "${WEBHOOK:-}" ] || set -- "$@" --webhook=env:WEBHOOK
