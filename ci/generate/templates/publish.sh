# Add the options that publish images and notify the webhook, if they are configured.
if [ "${PUBLISH:-}" = true ]; then
  set -- "$@" --publish "--registry-user=$REGISTRY_USER" --registry-password=env:REGISTRY_PASSWORD
  [ -z "${REPOSITORIES:-}" ] || set -- "$@" "--repositories=$REPOSITORIES"
fi
[ -z "${WEBHOOK:-}" ] || set -- "$@" --webhook=env:WEBHOOK
