package component

import (
	"path"
	"slices"
	"strings"

	"maia-dr/engine/vault"
)

// Agent is a LaunchAgent as far as a backup needs to understand it.
type Agent struct {
	// File is the plist's name, Label what launchd calls it; two files may have one label, and one may have none.
	File, Label string
	// Program is what is run: an absolute path, or a name that launchd looks up.
	Program string
	// WorkingDirectory and MaiaRoot (the variable MAIA_ROOT) are as written; both may be empty.
	WorkingDirectory, MaiaRoot string
	// Disabled: its file says that launchd must not run it.
	Disabled bool

	// arguments may hold secrets: they are looked at, never stored.
	arguments []string
	path      string // the variable PATH
}

// ReadAgent reads an agent's property list. Its errors match vault.ErrUnreadable.
func ReadAgent(file string, b []byte) (Agent, error) {
	top, err := vault.ReadPlist(b)
	if err != nil {
		return Agent{}, err
	}
	return agentOf(file, top), nil
}

// agentOf reads an agent out of its property list.
func agentOf(file string, top map[string]any) Agent {
	text := func(m map[string]any, key string) string {
		s, _ := m[key].(string)
		return s
	}
	a := Agent{File: file, Label: text(top, "Label"), Program: text(top, "Program"), WorkingDirectory: text(top, "WorkingDirectory")}
	a.Disabled, _ = top["Disabled"].(bool)
	list, _ := top["ProgramArguments"].([]any)
	for _, v := range list {
		s, _ := v.(string)
		a.arguments = append(a.arguments, s)
	}
	if a.Program == "" && len(a.arguments) > 0 {
		a.Program = a.arguments[0]
	}
	if env, ok := top["EnvironmentVariables"].(map[string]any); ok {
		a.MaiaRoot, a.path = text(env, "MAIA_ROOT"), text(env, "PATH")
	}
	return a
}

// roots returns the folders that an agent takes for the Maia root or works in: absolute, each once.
func (a *Agent) roots() []string {
	var dirs []string
	add := func(dir string) {
		if dir = path.Clean(dir); path.IsAbs(dir) && dir != "/" && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	if a.MaiaRoot != "" {
		add(a.MaiaRoot)
	}
	if a.WorkingDirectory != "" {
		add(a.WorkingDirectory)
	}
	for _, arg := range append([]string{a.Program}, a.arguments...) {
		if i := strings.Index(arg, "/claude/"); i > 0 && arg[0] == '/' {
			add(arg[:i])
		}
	}
	return dirs
}
