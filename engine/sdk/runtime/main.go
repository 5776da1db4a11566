// The Python SDK of the embedded engine. It replaces Dagger's own, whose images
// are not available on such machines, and makes `"sdk": {"source": "python"}`
// work in the same way. engine/README.md lists the differences.
package main

import (
	"context"
	"path"
	"strings"

	"dagger/python-sdk/internal/dagger"
)

const (
	sources      = "/src" // with a folder for each module source
	vendored     = "sdk"  // the client, in the module's source
	requirements = "requirements/runtime.txt"
	python       = "/usr/local/bin/python"
	installer    = "/opt/runtime/install.py"
	runtime      = "/runtime"
	server       = "opt/runtime/serve.py"
)

type PythonSdk struct {
	// The root of the SDK image: Debian with Python and uv, the client's source, wheels.
	Root *dagger.Directory
}

func New(sdkSourceDir *dagger.Directory) *PythonSdk {
	return &PythonSdk{Root: sdkSourceDir}
}

// ModuleRuntime returns the container that serves the module's functions.
func (s *PythonSdk) ModuleRuntime(ctx context.Context, modSource *dagger.ModuleSource, introspectionJson *dagger.File) (*dagger.Container, error) {
	return s.install(ctx, modSource, introspectionJson)
}

// ModuleTypes returns the container that writes the module's type definitions.
func (s *PythonSdk) ModuleTypes(ctx context.Context, modSource *dagger.ModuleSource, introspectionJson *dagger.File, outputFilePath string) (*dagger.Container, error) {
	ctr, err := s.install(ctx, modSource, introspectionJson)
	if err != nil {
		return nil, err
	}
	return ctr.
		WithEnvVariable("DAGGER_MODULE_FILE", outputFilePath).
		WithEntrypoint([]string{runtime, "--register"}), nil
}

// Codegen returns the module's source with the client in it.
func (s *PythonSdk) Codegen(ctx context.Context, modSource *dagger.ModuleSource, introspectionJson *dagger.File) (*dagger.GeneratedCode, error) {
	subpath, err := modSource.SourceSubpath(ctx)
	if err != nil {
		return nil, err
	}
	return dag.GeneratedCode(s.withClient(modSource.ContextDirectory(), subpath, introspectionJson)).
		WithVCSGeneratedPaths([]string{vendored + "/**"}).
		WithVCSIgnoredPaths([]string{".venv", "**/__pycache__", vendored}), nil
}

// install returns the container with the module installed, its source mounted.
func (s *PythonSdk) install(ctx context.Context, modSource *dagger.ModuleSource, introspectionJson *dagger.File) (*dagger.Container, error) {
	name, err := modSource.ModuleOriginalName(ctx)
	if err != nil {
		return nil, err
	}
	subpath, err := modSource.SourceSubpath(ctx)
	if err != nil {
		return nil, err
	}
	digest, err := modSource.Digest(ctx)
	if err != nil {
		return nil, err
	}
	context := modSource.ContextDirectory()
	ctr, err := s.withDependencies(ctx, context.Directory(subpath))
	if err != nil {
		return nil, err
	}
	folder := path.Join(sources, digest)
	return ctr.
		WithWorkdir(path.Join(folder, subpath)).
		WithMountedDirectory(folder, s.withClient(context, subpath, introspectionJson)).
		WithEnvVariable("DAGGER_MODULE", name).
		WithEnvVariable("DAGGER_DEFAULT_PYTHON_PACKAGE", strings.ReplaceAll(name, "-", "_")).
		WithEnvVariable("DAGGER_MAIN_OBJECT", pascal(name)).
		WithExec([]string{python, installer, "module"}).
		WithEntrypoint([]string{runtime}), nil
}

// withClient adds the client for the engine's schema to a module's source.
func (s *PythonSdk) withClient(context *dagger.Directory, subpath string, introspectionJson *dagger.File) *dagger.Directory {
	client := s.base().
		WithMountedDirectory("/sdk", s.Root.Directory("opt/sdk")).
		WithMountedFile("/schema.json", introspectionJson).
		WithExec([]string{python, installer, "client", "/sdk", "/schema.json"}).
		Directory("/sdk")
	return context.WithDirectory(path.Join(subpath, vendored), client)
}

// withDependencies installs the packages of the module's lock, if it has one. The
// layer depends on that file alone, so an edit of the module's code reinstalls nothing.
func (s *PythonSdk) withDependencies(ctx context.Context, source *dagger.Directory) (*dagger.Container, error) {
	locked, err := source.Glob(ctx, requirements)
	if err != nil || len(locked) == 0 {
		return s.base(), err
	}
	list := "/tmp/" + path.Base(requirements)
	return s.base().
		WithMountedFile(list, source.File(requirements)).
		WithExec([]string{python, installer, "locked", list}).
		WithoutMount(list), nil
}

// base returns the container in which modules are installed, with the environment variables of Dagger's own SDK.
func (s *PythonSdk) base() *dagger.Container {
	return dag.Container().
		// In the image, /runtime is the source of this SDK: replace it with the server.
		WithRootfs(s.Root.WithoutDirectory(runtime).WithFile(runtime, s.Root.File(server))).
		WithMountedCache("/root/.cache/uv", dag.CacheVolume("modpython-uv")).
		WithEnvVariable("LANG", "C.UTF-8").
		WithEnvVariable("PYTHONUNBUFFERED", "1").
		WithEnvVariable("PIP_DISABLE_PIP_VERSION_CHECK", "1").
		WithEnvVariable("PIP_ROOT_USER_ACTION", "ignore").
		WithEnvVariable("UV_SYSTEM_PYTHON", "1").
		WithEnvVariable("UV_LINK_MODE", "copy").
		WithEnvVariable("UV_NATIVE_TLS", "1").
		WithEnvVariable("UV_PROJECT_ENVIRONMENT", "/opt/venv").
		WithEnvVariable("UV_COMPILE_BYTECODE", "1")
}

// pascal turns a module's name into the name of its main object.
func pascal(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' || r == '.' || r == ' ' })
	for i, word := range words {
		words[i] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "")
}
