package engine

import (
	"encoding/json"
	"path"
	"strconv"
	"strings"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
)

// ownVenv is where packages of an interpreter go that cannot be put into it on another machine, below the root; those of
// a further one have its number behind it.
const ownVenv = ".maia-venv"

// toolsOf returns what the index says of the machine's tools.
func toolsOf(m *repository.Manifest, sys systemMetadata) (versions []repository.Version, pythons []repository.Python, envs []repository.Environment) {
	macOS := ""
	if sys.OSName == "macOS" {
		macOS = sys.OSVersion
	}
	for _, v := range []repository.Version{{Name: "macos", Version: macOS}, {Name: "python", Version: sys.PythonVersion},
		{Name: "homebrew", Version: sys.HomebrewVersion}, {Name: "git", Version: sys.GitVersion}} {
		if v.Version != "" {
			versions = append(versions, v)
		}
	}
	var deps component.DependencyInfo
	if c := m.Components[component.Dependencies]; c != nil {
		_ = json.Unmarshal(c.Details, &deps)
	}
	root, number := string(m.MaiaRoot), 0
	for _, in := range deps.Interpreters {
		if len(in.Named) == 0 || number > 999 {
			continue
		}
		for _, name := range in.Named {
			if !within(name, root) {
				pythons = append(pythons, repository.Python{Number: number, Own: needsOwn(in, name, sys.Home), Version: in.Version, Path: name})
			}
		}
		number++
	}
	for _, v := range deps.VirtualEnvs {
		if v.Path != "." && repository.ValidatePath(v.Path) == nil {
			envs = append(envs, repository.Environment{Path: repository.Name(v.Path), Version: v.Python, Home: v.Home})
		}
	}
	return versions, pythons, envs
}

// needsOwn reports whether an interpreter with packages will not take them on another machine: pip refuses a managed
// one, and one in the home, of pyenv or conda, is in no backup.
func needsOwn(in component.Interpreter, name, home string) bool {
	return in.Added > 0 && (in.Managed || home != "" && path.IsAbs(name) && strings.HasPrefix(name, home+"/"))
}

// ownPythons returns the pairs that map such interpreters to their environments below the new root.
func ownPythons(pythons []repository.Python, root string) (pairs [][2]string) {
	for _, p := range pythons {
		if p.Own {
			dir := ownVenv
			if p.Number > 0 {
				dir += "-" + strconv.Itoa(p.Number)
			}
			pairs = append(pairs, [2]string{p.Path, root + "/" + dir + "/bin/python3"})
		}
	}
	return pairs
}
