// The Python SDK of the embedded engine: what makes `"sdk": {"source": "python"}`
// work on a machine where Dagger's own SDK images cannot be had.
package main

import (
	"context"
	"path"
	"strings"

	"dagger/python-sdk/internal/dagger"
)

const (
	sourceDir    = "/src"
	python       = "/opt/venv/bin/python"
	requirements = "requirements/runtime.txt"
	startScript  = "/opt/runtime/start.py"
)

type PythonSdk struct {
	// The root of the SDK image: Debian with Python, and the start script.
	Root *dagger.Directory
}

func New(sdkSourceDir *dagger.Directory) *PythonSdk {
	return &PythonSdk{Root: sdkSourceDir}
}

// ModuleRuntime returns the container that serves the module's functions.
func (s *PythonSdk) ModuleRuntime(ctx context.Context, modSource *dagger.ModuleSource, introspectionJson *dagger.File) (*dagger.Container, error) {
	return s.runtime(ctx, modSource)
}

// ModuleTypes returns the container that writes the module's type definitions.
func (s *PythonSdk) ModuleTypes(ctx context.Context, modSource *dagger.ModuleSource, introspectionJson *dagger.File, outputFilePath string) (*dagger.Container, error) {
	ctr, err := s.runtime(ctx, modSource)
	if err != nil {
		return nil, err
	}
	return ctr.
		WithEnvVariable("DAGGER_MODULE_FILE", outputFilePath).
		WithEntrypoint([]string{python, startScript, "--register"}), nil
}

// Codegen generates nothing: the client is the dagger-io package, unchanged.
func (s *PythonSdk) Codegen(modSource *dagger.ModuleSource, introspectionJson *dagger.File) *dagger.GeneratedCode {
	return dag.GeneratedCode(modSource.ContextDirectory())
}

func (s *PythonSdk) runtime(ctx context.Context, modSource *dagger.ModuleSource) (*dagger.Container, error) {
	name, err := modSource.ModuleOriginalName(ctx)
	if err != nil {
		return nil, err
	}
	subpath, err := modSource.SourceSubpath(ctx)
	if err != nil {
		return nil, err
	}
	source := modSource.ContextDirectory().Directory(subpath)
	deps, err := s.dependencies(ctx, source)
	if err != nil {
		return nil, err
	}
	return deps.
		WithMountedDirectory(sourceDir, source).
		// Once for each edit, instead of in each call.
		WithExec([]string{python, "-m", "compileall", "-q", sourceDir}).
		WithEnvVariable("DAGGER_MODULE", name).
		WithEnvVariable("DAGGER_MAIN_OBJECT", pascal(name)).
		WithEnvVariable("DAGGER_DEFAULT_PYTHON_PACKAGE", strings.ReplaceAll(name, "-", "_")).
		WithEntrypoint([]string{python, startScript}), nil
}

// dependencies returns the container with the module's dependencies installed.
// The layer is keyed by the file that lists them, so an edit of the module's
// code never reinstalls them.
func (s *PythonSdk) dependencies(ctx context.Context, source *dagger.Directory) (*dagger.Container, error) {
	locked, err := source.Glob(ctx, requirements)
	if err != nil {
		return nil, err
	}
	list, install := "pyproject.toml", []string{python, startScript, "--install", "/tmp/pyproject.toml"}
	if len(locked) > 0 {
		list, install = requirements, []string{python, startScript, "--install-locked", "/tmp/runtime.txt"}
	}
	return dag.Container().
		WithRootfs(s.Root).
		WithMountedCache("/root/.cache/pip", dag.CacheVolume("cslr-images-sdk-pip")).
		WithMountedFile("/tmp/"+path.Base(list), source.File(list)).
		WithExec(install).
		WithoutMount("/tmp/" + path.Base(list)).
		WithoutMount("/root/.cache/pip"), nil
}

// pascal turns a module's name into the name of its main object.
func pascal(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' || r == '.' || r == ' ' })
	for i, word := range words {
		words[i] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "")
}
