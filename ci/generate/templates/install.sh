# Install Dagger's CLI, which starts an engine in Docker.
curl -fsSL -o /tmp/install-dagger.sh <<address>>
DAGGER_VERSION=<<version>> BIN_DIR=<<folder>> sh /tmp/install-dagger.sh
