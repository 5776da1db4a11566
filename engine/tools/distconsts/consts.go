// Package distconsts replaces a nested module of Dagger that is not published:
// it defines the paths and image names that the engine uses as constants.
package distconsts

const (
	RuncPath       = "/usr/local/bin/runc"
	DaggerInitPath = "/usr/local/bin/dagger-init"

	EngineDefaultStateDir              = "/var/lib/dagger"
	EngineContainerBuiltinContentDir   = "/usr/local/share/dagger/content"
	GoSDKManifestDigestEnvName         = "DAGGER_GO_SDK_MANIFEST_DIGEST"
	PythonSDKManifestDigestEnvName     = "DAGGER_PYTHON_SDK_MANIFEST_DIGEST"
	TypescriptSDKManifestDigestEnvName = "DAGGER_TYPESCRIPT_SDK_MANIFEST_DIGEST"

	OCIVersionAnnotation   = "org.opencontainers.image.version"
	EngineCustomCACertsDir = "/usr/local/share/ca-certificates"
	EngineContainerName    = "dagger-engine.dev"
	DefaultEngineSockAddr  = "unix:///run/dagger/engine.sock"

	AlpineVersion = "3.22.1"
	AlpineImage   = "alpine:3.22.1"

	GolangVersion = "1.25.5"
	GolangImage   = "golang:1.25.5-alpine"

	BusyboxVersion = "1.37.0"
	BusyboxImage   = "busybox:1.37.0"
)
