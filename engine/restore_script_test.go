package engine_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"maia-dr/engine"
	"maia-dr/engine/component"
	"maia-dr/engine/config"
	"maia-dr/engine/repository"
	"maia-dr/engine/vault"
	"maia-dr/resources"
)

// two is a small Maia on an old Mac, and a new one that has stand-ins for a Mac's tools in front of this machine's.
type two struct {
	t             testing.TB
	root, oldHome string
	oneDrive      string
	to, home      string
	bin           string
	run           component.Runner
	load          func(ctx context.Context, label, path string) error
	// log is what the stand-ins were asked.
	log string
}

func newTwo(t testing.TB) *two {
	t.Helper()
	base := t.TempDir()
	w := &two{
		t: t, oldHome: base + "/old", root: base + "/old/git/maia", oneDrive: base + "/OneDrive", home: base + "/new", to: base + "/new/maia", bin: base + "/bin",
		run: noTools, log: base + "/log",
	}
	for _, dir := range []string{w.root + "/claude", w.oneDrive, w.home, w.bin} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.write(w.root+"/CLAUDE.md", "# Maia\n")
	w.write(w.root+"/claude/run.py", "print(1)\n")
	return w
}

func (w *two) write(path, text string) {
	w.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// tool puts a stand-in, a shell script, in the new machine's search path.
func (w *two) tool(name, script string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		w.t.Fatal(err)
	}
}

func (w *two) engine(home, state string) *engine.Engine {
	c := config.Defaults()
	c.Schedule.Drill = config.DrillOff
	return engine.New(engine.Env{
		Now: time.Now, Random: rand.Reader, Home: home, Cwd: home, Hostname: "test-mac", PID: os.Getpid(), HardwareID: func() string { return home }, Zone: time.UTC,
		Getenv: func(name string) string {
			if name == "PATH" {
				return w.bin + ":/usr/bin:/bin:/usr/sbin:/sbin"
			}
			return ""
		},
	}, engine.Options{
		MaiaRoot: w.root, OneDrivePath: w.oneDrive, StateDir: state, Config: c, Version: "0.1.0-test", Script: resources.RestoreScript, Log: zerolog.Nop(), Run: w.run, LoadAgent: w.load,
		Password: func(context.Context) (vault.Password, error) { return password(w.t, testPassword), nil },
	})
}

func (w *two) backup() *engine.BackupResult {
	w.t.Helper()
	res, err := w.engine(w.oldHome, w.oldHome+"/state").Backup(w.t.Context(), engine.BackupOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

// restore restores on the new machine and returns what the script said.
func (w *two) restore(change func(*engine.RestoreOptions)) (*engine.RestoreResult, string, error) {
	w.t.Helper()
	var said bytes.Buffer
	o := engine.RestoreOptions{
		Backup: "latest", To: w.to, TargetHome: w.home, Phases: engine.PhaseOptions{AskNothing: true, Out: &said, Err: &said},
		Password: func(context.Context, int, int) (vault.Password, error) { return password(w.t, testPassword), nil },
	}
	if change != nil {
		change(&o)
	}
	res, err := w.engine(w.home, w.home+"/state").Restore(w.t.Context(), o)
	return res, said.String(), err
}

// logged returns what the stand-ins were asked since the last time.
func (w *two) logged() string {
	w.t.Helper()
	b, err := os.ReadFile(w.log)
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	os.Remove(w.log)
	return string(b)
}

// brewOnly is an old machine with Homebrew and nothing else.
func brewOnly(_ context.Context, name string, args ...string) ([]byte, error) {
	switch {
	case filepath.Base(name) != "brew":
	case args[0] == "list":
		return []byte("jq\nbroken\n"), nil
	case args[0] == "bundle":
		return []byte("brew \"jq\"\nbrew \"broken\"\n"), nil
	}
	return nil, fs.ErrNotExist
}

// TestVersions: a whole restore into one's own home compares what a backup says was installed with what is.
func TestVersions(t *testing.T) {
	t.Parallel()
	w := newTwo(t)
	version := "2.39.5"
	w.run = func(_ context.Context, name string, args ...string) ([]byte, error) {
		switch {
		case filepath.Base(name) == "git" && args[0] == "--version":
			return []byte("git version " + version + " (Apple Git-154)\n"), nil
		case name == "/opt/homebrew/bin/brew" && version == "2.39.5":
			return []byte("Homebrew 4.3.1\n"), nil
		}
		return nil, fs.ErrNotExist
	}
	w.backup()
	version = "2.50.1"
	want := []engine.VersionChange{{Name: "homebrew", Was: "4.3.1"}, {Name: "git", Was: "2.39.5", Now: "2.50.1"}}
	if res, _, err := w.restore(nil); err != nil || !slices.Equal(res.Versions, want) {
		t.Errorf("%v %+v", err, res)
	}
	if res, _, err := w.restore(func(o *engine.RestoreOptions) { o.TargetHome += "2" }); err != nil || len(res.Versions) > 0 {
		t.Errorf("another home: %v %+v", err, res)
	}
}

// TestOwnPython: an agent whose Python will not take its packages on another machine is mapped to an environment of its
// own, by the program and by the script alike; one whose Python takes them, or needs none, is not.
func TestOwnPython(t *testing.T) {
	t.Parallel()
	w := newTwo(t)
	pyenv := w.oldHome + "/.pyenv/bin/python3"
	w.run = func(_ context.Context, name string, args ...string) ([]byte, error) {
		list := map[string]string{"/opt/homebrew/bin/python3": "flask==3.0.3\npip==24.0\n", pyenv: "rich==13.0.0\n", "/opt/other/bin/python3": "pip==24.0\n", "/opt/free/bin/python3": "attrs==1.0\n"}[name]
		switch {
		case list == "":
			return nil, fs.ErrNotExist
		case args[0] == "-c" && strings.Contains(args[1], `pip("freeze")`):
			return []byte(list + "\x00" + list), nil
		case args[0] == "-c":
			return fmt.Appendf(nil, "{\"executable\": %q, \"version\": \"3.11.4\", \"prefix\": %q, \"pip\": true, \"managed\": %v}\n", name, name, name == "/opt/homebrew/bin/python3" || name == "/opt/other/bin/python3"), nil
		}
		return []byte(list), nil
	}
	agents := map[string]string{"a": "/opt/homebrew/bin/python3", "b": pyenv, "c": "/opt/other/bin/python3", "d": "/opt/free/bin/python3"}
	if err := os.MkdirAll(w.oldHome+"/Library/LaunchAgents", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, python := range agents {
		w.write(w.oldHome+"/Library/LaunchAgents/com.maia."+name+".plist", `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>Label</key><string>com.maia.`+name+`</string><key>ProgramArguments</key><array><string>`+python+`</string><string>`+w.root+`/claude/run.py</string></array></dict></plist>
`)
	}
	w.backup()
	res, _, err := w.restore(nil)
	if err != nil || len(res.Plan.Relocated) != 4 {
		t.Fatalf("%v %+v", err, res)
	}
	byProgram := map[string]string{}
	for name := range agents {
		b, err := os.ReadFile(w.home + "/Library/LaunchAgents/com.maia." + name + ".plist")
		if err != nil {
			t.Fatal(err)
		}
		byProgram[name] = string(b)
	}
	for name, want := range map[string]string{"a": w.to + "/.maia-venv", "b": w.to + "/.maia-venv-1", "c": "/opt/other", "d": "/opt/free"} {
		if !strings.Contains(byProgram[name], "<string>"+want+"/bin/python3</string><string>"+w.to+"/claude/run.py</string>") {
			t.Errorf("%s became\n%s", name, byProgram[name])
		}
	}
	// The script finds every file equal: nothing is to be moved out of its way.
	cmd := exec.Command("bash", filepath.Join(w.oneDrive, repository.DirName, repository.ScriptName), "--to", w.to, "--yes", "--no-packages", "--vault-password-file", "-")
	cmd.Env, cmd.Stdin = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.home}, strings.NewReader(testPassword+"\n")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "There is nothing to do.") {
		t.Errorf("the script: %v\n%s", err, out)
	}
}

// TestAgentsAfterPackages: an agent whose Python comes with the packages is loaded when it is there, and once.
func TestAgentsAfterPackages(t *testing.T) {
	t.Parallel()
	w := newTwo(t)
	const brewed = "/opt/homebrew/bin/python3"
	w.run = func(_ context.Context, name string, args ...string) ([]byte, error) {
		switch {
		case name != brewed:
			return nil, fs.ErrNotExist
		case args[0] == "-c":
			return []byte("{\"executable\": \"" + brewed + "\", \"version\": \"3.99.4\", \"prefix\": \"/opt\", \"pip\": true, \"managed\": true}\n"), nil
		}
		return []byte("flask==3.0.3\n"), nil
	}
	if err := os.MkdirAll(w.oldHome+"/Library/LaunchAgents", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, program := range map[string]string{"a": brewed, "b": "/bin/sh", "c": "/nowhere/x"} {
		w.write(w.oldHome+"/Library/LaunchAgents/com.maia."+name+".plist", `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>Label</key><string>com.maia.`+name+`</string><key>ProgramArguments</key><array><string>`+program+`</string></array></dict></plist>
`)
	}
	w.backup()
	w.tool("xcode-select", "exit 0")
	w.tool("python3.99", `case "$1 $2" in '-c import sys'*) echo 3.99 ;; '-m venv') mkdir -p "$3/bin" && cp "$0" "$3/bin/python3" && : > "$3/pyvenv.cfg" ;; esac`)
	var loaded []string
	w.load = func(_ context.Context, label, _ string) error { loaded = append(loaded, label); return nil }
	res, said, err := w.restore(nil)
	if err != nil || res.Phases == nil || res.Phases.ExitCode != 0 {
		t.Fatalf("%v %+v\n%s", err, res, said)
	}
	states := map[string]engine.AgentState{}
	for _, a := range res.Agents {
		states[a.Label] = a.State
	}
	want := map[string]engine.AgentState{"com.maia.a": engine.AgentLoaded, "com.maia.b": engine.AgentLoaded, "com.maia.c": engine.AgentProgramMissing}
	if !maps.Equal(states, want) || !slices.Equal(loaded, []string{"com.maia.b", "com.maia.a"}) {
		t.Errorf("%v, loaded %v\n%s", states, loaded, said)
	}
}

// TestPackagesPhase: after a whole restore into one's own home the embedded script installs the packages, from a proven
// backup and nothing else; what fails is left over and can be done again alone.
func TestPackagesPhase(t *testing.T) {
	t.Parallel()
	w := newTwo(t)
	w.run = brewOnly
	w.backup()
	brew := "echo \"brew $*\" >> '" + w.log + "'\n"
	w.tool("brew", brew+"case \"$*\" in *broken*) exit 1 ;; esac")
	const all = "brew install --formula jq\nbrew install --formula broken\n"

	w.tool("xcode-select", "exit 0")
	for name, change := range map[string]func(*engine.RestoreOptions){
		"left out":   func(o *engine.RestoreOptions) { o.Phases.Skip = []engine.Phase{engine.PhasePackages} },
		"a part":     func(o *engine.RestoreOptions) { o.Only = []string{component.Code} },
		"unproven":   func(o *engine.RestoreOptions) { o.Password = nil },
		"other home": func(o *engine.RestoreOptions) { o.TargetHome = w.home + "2" },
	} {
		res, said, err := w.restore(change)
		if err != nil || res.Phases != nil || said != "" || w.logged() != "" {
			t.Errorf("%s: %v %+v %q", name, err, res.Phases, said)
		}
	}
	res, said, err := w.restore(nil)
	if err != nil || !res.Done || res.Phases == nil || res.Phases.ExitCode != 3 || !strings.Contains(said, "brew broken: see its log") {
		t.Fatalf("%v %+v\n%s", err, res, said)
	}
	if got := w.logged(); got != all {
		t.Errorf("brew was asked\n%swant\n%s", got, all)
	}
	only := func(o *engine.RestoreOptions) { o.Only = []string{string(engine.PhasePackages)} }
	for name, change := range map[string]func(*engine.RestoreOptions){
		"unproven":   func(o *engine.RestoreOptions) { only(o); o.Password = nil },
		"no Maia":    func(o *engine.RestoreOptions) { only(o); o.To += "2" },
		"with code":  func(o *engine.RestoreOptions) { only(o); o.Only = append(o.Only, component.Code) },
		"other home": func(o *engine.RestoreOptions) { only(o); o.TargetHome = w.home + "2" },
	} {
		if _, said, err := w.restore(change); err == nil || w.logged() != "" {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
	}
	res, said, err = w.restore(func(o *engine.RestoreOptions) { only(o); o.DryRun = true })
	if err != nil || res.Done || !strings.Contains(said, "Packages to install: 1 by Homebrew") || w.logged() != "" {
		t.Errorf("dry: %v %+v\n%s", err, res, said)
	}
	w.tool("brew", brew)
	res, said, err = w.restore(only)
	if err != nil || !res.Done || res.Restored != 0 || res.Phases.ExitCode != 0 || !strings.Contains(said, "All packages are installed.") {
		t.Errorf("again: %v %+v\n%s", err, res, said)
	}
	if got := w.logged(); got != "brew install --formula broken\n" {
		t.Errorf("again brew was asked %q", got)
	}
	if b, err := os.ReadFile(w.to + "/maia-recovered/packages.time"); err != nil || !regexp.MustCompile(`^1 \d+\n1 \d+\n$`).Match(b) {
		t.Errorf("how long it took: %q %v", b, err)
	}
	if strings.Contains(said, testPassword) {
		t.Error("the password was said")
	}
}
